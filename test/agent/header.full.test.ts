import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { AGENT, CLIENT, headerFrom, startAgent } from '../rig/agent.ts'
import { piecesOf, streamVectors } from '../rig/header-vectors.ts'
import { agentHosts } from '../rig/hosts.ts'
import { answerOf, exchange, startRecordingApp } from '../rig/recording-app.ts'

const CONNECTIONS_AT_ONCE = 1_000
const ROUNDS = 8
/** The collector's own breathing. */
const RSS_TOLERANCE_BYTES = 4 * 1024 * 1024

function residentBytes(pid: number): number {
  return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

test('1000 malformed headers at once, again and again: clients are served and memory does not grow', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const { seen } = await startRecordingApp(backend)
  const agent = await startAgent(backend)
  const { pid } = agent.program
  const vectors = streamVectors().filter(({ expect }) => expect.result === 'reject')
  const residents: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const answers = Array.from({ length: CONNECTIONS_AT_ONCE }, (_, index) =>
      exchange(edge, AGENT, piecesOf(vectors[index % vectors.length]), 1),
    )
    const client = await exchange(edge, AGENT, [headerFrom(CLIENT, 51_000 + round), 'x'])
    assert.equal(client, answerOf(`${CLIENT}:${51_000 + round}`, 'x'))
    assert.ok((await Promise.all(answers)).every((answer) => answer === ''))
    residents.push(residentBytes(pid))
  }
  assert.equal(seen.length, ROUNDS)
  assert.ok(agent.program.isRunning)
  assert.equal(
    await agent.metric('truepeer_connections_ended_total{reason="header-malformed"}'),
    ROUNDS * CONNECTIONS_AT_ONCE,
  )
  // The first rounds fill the pool of connections and warm V8 up.
  const growth = residents[ROUNDS - 1] - residents[ROUNDS / 2 - 1]
  assert.ok(growth < RSS_TOLERANCE_BYTES, `resident bytes after each round: ${residents.join(', ')}`)
})
