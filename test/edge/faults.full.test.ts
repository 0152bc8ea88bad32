import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { startConfiguredEdge, untilNothingIsLeft } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { Conversation, startLineApps } from '../rig/line-app.ts'
import { startLoad } from '../rig/load.ts'
import { openSockets } from '../rig/process.ts'
import { simple } from '../rig/resources.ts'
import { skipWithout } from '../rig/skip.ts'
import { acceptSyns, dropAll, dropSyns, refuseSyns } from './faults.ts'

const FRONTEND = `${IPV4.edge}:7000`
const [FIRST, SECOND] = [9001, 9002].map((port) => `${IPV4.backend}:${port}`)
const FLAPPING_KEY = `app/us-central1-b/group/${FIRST}`
const FLAPS = 12

/** `up` and `down` as the log says it of a backend, in order. */
function changesInLog(texts: readonly string[], endpoint: string): string[] {
  return texts
    .filter((line) => line.includes('"msg":"backend health"'))
    .map((line) => JSON.parse(line) as { backend: string; health: string })
    .filter((record) => record.backend === endpoint)
    .map(({ health }) => (health === 'HEALTHY' ? 'up' : 'down'))
}

for (const [name, upMs, downMs] of [
  ['each second', 1_000, 1_000],
  ['slowly enough to be seen down and up', 4_000, 4_000],
] as const) {
  test(`a backend that flaps ${name} costs no client, gets nothing while it is down, and its changes are counted`, {
    skip: skipWithout('nft'),
  }, async (t) => {
    const { client, edge, backend } = await edgeHosts(t)
    await startLineApps(backend, [FIRST, SECOND])
    const configuration = simple(FRONTEND, [FIRST, SECOND], { healthCheck: { logConfig: { enable: true } } })
    const live = await startConfiguredEdge(t, edge, configuration)
    const load = await startLoad(client, { targets: [FRONTEND], perSecond: 100 })
    let connectionsWhileDown = 0
    const watched: string[] = []
    for (let flap = 0; flap < FLAPS / (upMs / 1_000); flap++) {
      for (const isUp of [false, true]) {
        // Not by closing the port: that resets who waits in its queue, which is another fault.
        if (isUp) await acceptSyns(backend)
        else await refuseSyns(backend, 9001)
        const untilMs = performance.now() + (isUp ? upMs : downMs)
        while (performance.now() < untilMs) {
          const before = await live.backend(FLAPPING_KEY)
          await sleep(50)
          const after = await live.backend(FLAPPING_KEY)
          watched.push(after.health)
          const isDownAllTheTime =
            before.health === 'UNHEALTHY' &&
            after.health === 'UNHEALTHY' &&
            before.probes?.transitions === after.probes?.transitions
          if (isDownAllTheTime) connectionsWhileDown += after.connections - before.connections
        }
      }
    }
    const result = await load.stop()
    const { probes, connectFailures } = await live.backend(FLAPPING_KEY)
    const changes = changesInLog(live.program.texts(), FIRST)
    t.diagnostic(`${changes.length} changes: ${changes.join(' ')}; ${connectFailures} attempts failed`)
    assert.deepEqual(result.failures, {})
    assert.equal(connectionsWhileDown, 0)
    // The first line of the log says what the first probe has found.
    assert.equal(probes?.transitions, changes.length - 1)
    // Rise and fall: never twice the same, and one change at most for two probes.
    for (const [index, change] of changes.entries()) assert.equal(change, index % 2 === 0 ? 'up' : 'down')
    assert.ok(changes.length <= 1 + (probes?.total ?? 0) / 2, `${changes.length} changes in ${probes?.total} probes`)
    if (upMs >= 4_000) assert.ok(watched.includes('UNHEALTHY') && changes.length >= 5, changes.join())
  })
}

test('a backend that is black-holed under load: nobody fails, its health finds out, and it comes back', {
  skip: skipWithout('nft'),
}, async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startLineApps(backend, [FIRST, SECOND])
  const live = await startConfiguredEdge(t, edge, simple(FRONTEND, [FIRST, SECOND], { healthCheck: {} }), [
    ...['--connect-timeout', '500ms'],
  ])
  const load = await startLoad(client, { targets: [FRONTEND], perSecond: 100 })
  await sleep(2_000)
  await dropSyns(backend, 9001)
  await eventually('down', async () => (await live.backend(FLAPPING_KEY)).health === 'UNHEALTHY', 10_000)
  await sleep(1_000)
  const down = await live.backend(FLAPPING_KEY)
  await sleep(2_000)
  assert.equal((await live.backend(FLAPPING_KEY)).connections, down.connections)
  await acceptSyns(backend)
  await eventually('up', async () => (await live.backend(FLAPPING_KEY)).health === 'HEALTHY', 10_000)
  await sleep(1_000)
  const result = await load.stop()
  t.diagnostic(`longest ${result.maxMs.toFixed(0)} ms, ${down.connectTimeouts} attempts timed out`)
  assert.deepEqual(result.failures, {})
  assert.ok(down.connectTimeouts > 0)
  assert.ok(result.maxMs < 500 * 1.1 + 300, `${result.maxMs} ms`)
  assert.ok((await live.backend(FLAPPING_KEY)).connections > down.connections)
})

test('backends that vanish: connections with unanswered data end at the user timeout, idle ones by keepalive', {
  skip: skipWithout('nft'),
}, async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startLineApps(backend, [FIRST])
  const live = await startConfiguredEdge(t, edge, simple(FRONTEND, [FIRST]), [
    ...['--user-timeout', '3s'],
    ...['--keepalive', '4s'],
  ])
  const sockets = openSockets(live.program.pid)
  const open = await Promise.all(Array.from({ length: 20 }, () => Conversation.open(client, FRONTEND)))
  await Promise.all(open.map((conversation) => conversation.ask('first')))
  await dropAll(backend, 9001)
  const vanishedMs = performance.now()
  const [busy, idle] = [open.slice(0, 10), open.slice(10)]
  for (const { socket } of busy) socket.write('is anybody there?\n')
  for (const [conversations, limitMs] of [
    [busy, 3_000],
    [idle, 8_000],
  ] as const) {
    const ends = await Promise.all(conversations.map(({ ended }) => ended))
    const tookMs = performance.now() - vanishedMs
    t.diagnostic(`${ends[0]} after ${Math.round(tookMs)} ms`)
    assert.deepEqual(new Set(ends), new Set(['ECONNRESET']))
    // The kernel looks at these limits when it sends again.
    assert.ok(tookMs < 1.5 * limitMs, `${tookMs} ms`)
  }
  await untilNothingIsLeft(live, sockets)
})
