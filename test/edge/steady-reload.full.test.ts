import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { Conversation, startLineApps } from '../rig/line-app.ts'
import { startLoad } from '../rig/load.ts'
import { simple } from '../rig/resources.ts'
import { checkReloads } from './steady-reload.ts'

const UPGRADES = 5

test('sixty reloads under 200 connections a second: no connection fails, none is touched', (t) =>
  checkReloads(t, 6, 200))

test('upgrades under 200 connections a second: a new edge beside the old one, which drains, and nobody is refused or reset', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const app = `${IPV4.backend}:9001`
  await startLineApps(backend, [app])
  await edge.run('sh', ['-c', 'echo 1 > /proc/sys/net/ipv4/tcp_migrate_req'])
  const address = '203.0.113.77'
  const configuration = simple(`${address}:7000`, [app], { healthCheck: {} })
  const args = ['--workers', '2', '--assign-addresses']
  let running = await startConfiguredEdge(t, edge, configuration, args)
  const first = running
  const open = await Conversation.open(client, `${address}:7000`)
  assert.equal(await open.ask('before'), app)
  const load = await startLoad(client, { targets: [`${address}:7000`], perSecond: 200 })
  for (let upgrade = 0; upgrade < UPGRADES; upgrade++) {
    await sleep(500)
    const next = await startConfiguredEdge(t, edge, configuration, args)
    running.program.signal('SIGTERM')
    if (upgrade > 0) assert.deepEqual(await running.program.exited, { exitCode: 0, signal: undefined })
    running = next
  }
  await sleep(500)
  const result = await load.stop()
  assert.deepEqual(result.failures, {})
  assert.ok(result.answered > 500, `${result.answered}`)
  assert.equal(await open.ask('after'), app, 'through the first edge, which drains')
  open.socket.end()
  assert.deepEqual(await first.program.exited, { exitCode: 0, signal: undefined })
  assert.match(
    await edge.ip('address show dev lo'),
    new RegExp(` ${address}/`),
    'it is the last one that takes it away',
  )
  running.program.signal('SIGTERM')
  await running.program.exited
  assert.doesNotMatch(await edge.ip('address show dev lo'), new RegExp(` ${address}/`))
})
