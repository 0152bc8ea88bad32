// A program of life.test.ts: an agent in which, once it serves, something throws outside of any promise.
import { startAgent } from '../../src/agent/agent.ts'
import { serve } from '../../src/bin/serve.ts'
import { parseAgent } from '../../src/cli/agent.ts'

const FAILS_AFTER_MS = 300
const limits = { connectionsMax: 100, connectionsPerWorkerMax: 100, flowsMax: 100 }
const command = parseAgent(process.argv.slice(2))
await serve(command, async (context) => {
  const program = await startAgent(
    {
      workers: command.workers,
      warmsUp: false,
      workerWatch: { timeoutMs: 60_000, aborts: false },
      limits,
      flowsPerEdgeMax: 0,
      examineHost: async () => [],
      readConfiguration: () => ({ listeners: command.listeners, controller: undefined }),
    },
    context,
  )
  setTimeout(() => {
    throw new Error('injected by a test')
  }, FAILS_AFTER_MS)
  return program
})
