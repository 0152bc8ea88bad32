import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import { assertMetrics } from '../rig/admin.ts'
import { echoThrough } from '../rig/agent.ts'
import { startEchoApp } from '../rig/apps.ts'
import { type LiveEdge, startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts, BACKEND } from '../rig/hosts.ts'
import { resources } from '../rig/resources.ts'
import { startTruepeer, TRUEPEER } from '../rig/truepeer.ts'

const FRONTEND = '127.0.0.1:9000'
const [FIRST, SECOND] = [9001, 9002].map((port) => `${BACKEND}:${port}`)
/** Two services, of which the second has only the second backend. */
const CONFIGURATION = resources({
  frontends: { web: { listen: FRONTEND, service: 'web' }, api: { listen: '127.0.0.1:9005', service: 'api' } },
  services: {
    web: { groups: { 'web-neg': { endpoints: [FIRST, SECOND] } }, healthCheck: {} },
    api: { groups: { 'api-neg': { endpoints: [SECOND] } }, healthCheck: {} },
  },
})

async function start(t: TestContext): Promise<LiveEdge & { readonly edge: Host }> {
  const { edge, backend } = await agentHosts(t)
  for (const endpoint of [FIRST, SECOND]) {
    await backend.listen(endpoint, (socket) => socket.on('end', () => socket.end(endpoint)).resume())
  }
  return { ...(await startConfiguredEdge(t, edge, CONFIGURATION)), edge }
}

async function answers(edge: Host, times: number): Promise<string[]> {
  const names = new Set<string>()
  for (let time = 0; time < times; time++) names.add(await echoThrough(edge, 'x', FRONTEND, ''))
  return [...names].sort()
}

test('a backend that is drained gets no new connections, also after a reload, until it is enabled', async (t) => {
  const { edge, ask, program } = await start(t)
  assert.deepEqual(await answers(edge, 4), [FIRST, SECOND])
  const drained = await ask('POST', `/backends/${encodeURIComponent(FIRST)}/drain`)
  assert.equal(drained.status, 200, drained.body)
  const key = `web/us-central1-b/web-neg/${FIRST}`
  assert.deepEqual(JSON.parse(drained.body), { backend: key, availability: 'draining', open: 0 })
  assert.deepEqual(await answers(edge, 4), [SECOND])
  program.signal('SIGHUP')
  await program.waitForLine(/configuration applied/)
  assert.deepEqual(await answers(edge, 4), [SECOND])
  const enabled = await ask('POST', `/backends/${encodeURIComponent(key)}/enable`)
  assert.equal(JSON.parse(enabled.body).availability, 'up')
  assert.deepEqual(await answers(edge, 4), [FIRST, SECOND])
})

test('a name that no backend has, or more than one, is refused with what to do', async (t) => {
  const { ask } = await start(t)
  const unknown = await ask('POST', '/backends/nobody/drain')
  assert.deepEqual([unknown.status, Object.keys(JSON.parse(unknown.body))], [404, ['error', 'backends']])
  const ambiguous = await ask('POST', `/backends/${SECOND}/drain`)
  assert.equal(ambiguous.status, 409)
  assert.deepEqual(JSON.parse(ambiguous.body).backends, [
    `api/us-central1-b/api-neg/${SECOND}`,
    `web/us-central1-b/web-neg/${SECOND}`,
  ])
  // The slashes of a full name may stand as they are.
  assert.equal((await ask('POST', `/backends/api/us-central1-b/api-neg/${SECOND}/drain`)).status, 200)
  assert.equal((await ask('GET', `/backends/${FIRST}/drain`)).status, 405)
})

test('/status and the metrics show frontends, groups and backends with their connections', async (t) => {
  const { edge, read, status } = await start(t)
  await answers(edge, 4)
  const held = await edge.connect({ to: FRONTEND })
  await eventually('counted', async () => (await status()).frontends[1].open === 1)
  const { configuration, frontends, services } = await status()
  assert.equal(configuration.version, 1)
  const { open, connections, service, proxy, port } = frontends[1]
  assert.deepEqual(
    { open, connections, service, proxy, port },
    { open: 1, connections: 5, service: 'web', proxy: 'web-proxy', port: 9000 },
  )
  const [group] = services[1].groups
  assert.equal(group.open, 1)
  for (const backend of group.backends) {
    assert.deepEqual([backend.health, backend.availability, backend.isDrained], ['HEALTHY', 'up', false])
    assert.ok(backend.probes !== undefined && backend.probes.total >= 1 && backend.connections >= 2)
  }
  const metrics = await read('/metrics')
  const labels = `service="web",group="us-central1-b/web-neg",backend="${FIRST}"`
  assertMetrics(metrics, {
    'truepeer_frontend_connections_total{frontend="web"}': 5,
    'truepeer_frontend_connections_open{frontend="web"}': 1,
    [`truepeer_backend_health{${labels},state="HEALTHY"}`]: 1,
    [`truepeer_backend_availability{${labels},state="down"}`]: 0,
    'truepeer_configuration_reloads_total{result="failed"}': 0,
  })
  held.destroy()
})

test('truepeer status prints aligned tables, or what /status answers, and 1 when nobody answers', async (t) => {
  const { edge, admin, program } = await start(t)
  await answers(edge, 2)
  const { stdout, exitCode, stderr } = await edge.run(TRUEPEER, ['status', '--admin', admin])
  assert.deepEqual([exitCode, stderr], [0, ''])
  assert.match(stdout, /^Configuration 1, applied \S+; reloads: 0 ok, 0 failed\n/)
  assert.match(stdout, /^FRONTEND {2}ADDRESS {9}PROXY {6}TLS {2}HEADER {2}SERVICE {2}OPEN {2}TOTAL {2}REFUSED$/m)
  assert.match(stdout, /^web {7}127\.0\.0\.1:9000 {2}web-proxy {2}- {4}NONE {4}web {9}0 {6}2 {8}0$/m)
  assert.match(stdout, /^web {6}us-central1-b\/web-neg {2}us-central1 {2}2\/2 {6}CONNECTION/m)
  assert.match(stdout, new RegExp(`^web/us-central1-b/web-neg/${FIRST} +${FIRST} +HEALTHY +up +- +0 +1 +0$`, 'm'))
  const json = await edge.run(TRUEPEER, ['status', '--admin', admin, '--json'])
  assert.equal(JSON.parse(json.stdout).frontends.length, 2)

  program.signal('SIGTERM')
  await program.exited
  const nobody = await edge.run(TRUEPEER, ['status', '--admin', admin])
  assert.deepEqual([nobody.exitCode, nobody.stdout], [1, ''])
  assert.match(
    nobody.stderr,
    /^truepeer: Nothing answers on "unix:.*" \(.*\); is it running, and is this the address of its --admin\?$/m,
  )
})

test('truepeer status shows the listeners of an agent, whom they trust, and how connections ended', async (t) => {
  const { backend } = await agentHosts(t)
  await startEchoApp(backend)
  const { admin } = await startTruepeer(backend, 'agent', ['--allow-all-subnets'])
  const { exitCode, stdout, stderr } = await backend.run(TRUEPEER, ['status', '--admin', admin])
  assert.deepEqual([exitCode, stderr], [0, ''])
  assert.match(stdout, /^Connections: 0 open, 0 accepted$/m)
  assert.match(stdout, /^0\.0\.0\.0:8443 +tcp +127\.0\.0\.1:443 +\[::1\]:443 +open +everyone$/m)
  const drained = await backend.run(TRUEPEER, ['drain', 'x', '--admin', admin])
  assert.equal(drained.exitCode, 1)
})
