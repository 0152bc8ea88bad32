import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Program } from '../../src/lab/program.ts'
import { AGENT, APP, APP6, CLIENT, headerFrom } from '../rig/agent.ts'
import { agentHosts } from '../rig/hosts.ts'

const SOURCE = fileURLToPath(new URL('../../src/bin/truepeer.js', import.meta.url))
const WARM_UP_MESSAGES = 10_000
const MESSAGES = 30_000

/** How often the young generation of the worker has been collected so far (--trace-gc). */
function collections(program: Program): number {
  const isolates = program.texts().flatMap((line) => /^\[\d+:(0x[0-9a-f]+)\].*Scavenge/.exec(line)?.[1] ?? [])
  const [main] = isolates
  return isolates.filter((isolate) => isolate !== main).length
}

async function ping(socket: Socket, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent++) {
    socket.write('x')
    await once(socket, 'data')
  }
}

test('steady traffic allocates nothing: the worker collects no garbage in tens of thousands of messages', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await backend.listen(APP, (socket) => {
    socket.pipe(socket)
  })
  const flags = ['agent', '-l', AGENT, '-4', APP, '-6', APP6, '--allow-all-subnets']
  const program = backend.start(process.execPath, ['--trace-gc', SOURCE, ...flags])
  await program.waitForLine(/"msg":"listening"/)
  const socket = await edge.connect({ to: AGENT })
  socket.setNoDelay()
  socket.write(headerFrom(CLIENT))
  await ping(socket, WARM_UP_MESSAGES)
  const before = collections(program)
  await ping(socket, MESSAGES)
  const after = collections(program)
  t.diagnostic(`${after - before} collections in ${MESSAGES} messages`)
  // 100 bytes for each of the four events of a message would fill the young generation ten times.
  assert.ok(after - before <= 2, `${after - before} collections`)
  socket.destroy()
})
