// `outlierDetection`: backends that fail connections are left out for a while.
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import { type LiveEdge, startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { answersOf, startLineApps, whoAnswers } from '../rig/line-app.ts'
import { type ServiceDescription, simple } from '../rig/resources.ts'

const FRONTEND = `${IPV4.edge}:110`
const APPS = [111, 112, 113].map((port) => `${IPV4.backend}:${port}`)
const [FIRST, SECOND, THIRD] = APPS
const SOON = { interval: { nanos: 100_000_000 } }

function configuration(detection: object, service: Omit<ServiceDescription, 'groups'> = {}): object[] {
  const fields = { loadBalancingScheme: 'EXTERNAL_MANAGED', outlierDetection: { ...SOON, ...detection } }
  return simple(FRONTEND, APPS, { ...service, fields })
}

async function isEjected(live: LiveEdge, endpoint: string): Promise<boolean> {
  return (await live.backend(key(endpoint))).isEjected
}

/** Connects until a backend is taken out. */
async function untilEjected(live: LiveEdge, client: Host, endpoint: string): Promise<void> {
  await eventually(`${endpoint} is ejected`, async () => {
    await whoAnswers(client, FRONTEND)
    return isEjected(live, endpoint)
  })
}

function key(endpoint: string): string {
  return `app/us-central1-b/group/${endpoint}`
}

function metric(name: string, endpoint: string, more = ''): string {
  return `truepeer_backend_${name}{service="app",group="us-central1-b/group",backend="${endpoint}"${more}}`
}

/** Accepts, and resets once it has heard something. */
function breakOff(socket: Socket): void {
  socket.on('error', () => {}).on('data', () => socket.resetAndDestroy())
}

test('a backend that refuses connections is left out for its time, and never too many at once', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startLineApps(backend, [THIRD])
  const detection = { baseEjectionTime: { nanos: 500_000_000 }, maxEjectionPercent: 34 }
  const live = await startConfiguredEdge(t, edge, configuration(detection))
  await untilEjected(live, client, FIRST)
  const ejectedMs = performance.now()
  assert.equal(await live.metric(metric('ejected', FIRST)), 1)
  assert.equal(await live.metric(metric('availability', FIRST, ',state="down"')), 1)
  const { connectFailures } = await live.backend(key(FIRST))
  assert.ok(connectFailures >= 3, `${connectFailures}`)
  assert.deepEqual(await answersOf(client, FRONTEND, 12), { [THIRD]: 12 })
  const failed = (await live.backend(key(SECOND))).connectFailures
  assert.ok(failed >= 3, `${failed}`)
  assert.equal(await isEjected(live, SECOND), false, 'one of three is 33 %, two are more than 34 %')
  await live.program.waitForLine(/"level":"warn".*"backend":".*111".*"msg":"backend ejected/)

  await eventually('it is back', async () => !(await isEjected(live, FIRST)))
  assert.ok(performance.now() - ejectedMs > 300, 'not before its time')
  assert.equal(await live.metric(metric('ejected', FIRST)), 0)
})

test('a backend that breaks its connections is left out until a health check succeeds', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startLineApps(backend, [SECOND, THIRD])
  await backend.listen(FIRST, breakOff)
  const healthCheck = { checkIntervalSec: 2 }
  const detection = { baseEjectionTime: { seconds: 300 }, consecutiveErrors: 3, enforcingConsecutiveErrors: 100 }
  const live = await startConfiguredEdge(t, edge, configuration(detection, { healthCheck }))
  const answers: string[] = []
  await eventually('it is ejected', async () => {
    answers.push(await whoAnswers(client, FRONTEND))
    return isEjected(live, FIRST)
  })
  assert.ok(answers.filter((answer) => answer === 'ECONNRESET').length >= 3, answers.join())
  await eventually('it is back', async () => !(await isEjected(live, FIRST)), 4_000)
  assert.equal((await live.backend(key(FIRST))).connectFailures, 0)
})

test('a backend that has answered is no outlier, however its connections end', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startLineApps(backend, [SECOND, THIRD])
  await backend.listen(FIRST, (socket) => {
    socket.on('error', () => {}).on('data', () => socket.write('hello\n', () => socket.resetAndDestroy()))
  })
  const live = await startConfiguredEdge(t, edge, configuration({}))
  await eventually('it has had many connections', async () => {
    await whoAnswers(client, FRONTEND)
    return (await live.backend(key(FIRST))).connections >= 6
  })
  const { probes } = await live.backend(key(FIRST))
  assert.equal(probes, undefined)
  assert.equal(await isEjected(live, FIRST), false)
})
