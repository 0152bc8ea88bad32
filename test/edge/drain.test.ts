import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { answersOf, Conversation, startLineApps } from '../rig/line-app.ts'
import { startLoad } from '../rig/load.ts'
import { simple } from '../rig/resources.ts'
import { TRUEPEER } from '../rig/truepeer.ts'

const FRONTEND = `${IPV4.edge}:7000`
const [FIRST, SECOND] = [9001, 9002].map((port) => `${IPV4.backend}:${port}`)
/** The first backend as the status calls it. */
const FIRST_KEY = `app/us-central1-b/group/${FIRST}`

test('a drained backend gets nothing new and keeps what it has, and no client is refused, until it is enabled', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const apps = await startLineApps(backend, [FIRST, SECOND])
  const live = await startConfiguredEdge(t, edge, simple(FRONTEND, [FIRST, SECOND]), ['--workers', '2'])
  const conversations = await Promise.all([1, 2, 3, 4].map(() => Conversation.open(client, FRONTEND)))
  const names = await Promise.all(conversations.map((conversation) => conversation.ask('first')))
  const othersCome = (): Promise<void> => {
    const before = apps[1].clients
    return eventually('the other backend gets connections', () => apps[1].clients > before + 50)
  }
  const load = await startLoad(client, { targets: [FRONTEND], perSecond: 200 })
  for (let round = 0; round < 2; round++) {
    const reply = await live.steer(FIRST, 'drain')
    assert.equal(reply.status, 200, reply.body)
    assert.equal(JSON.parse(reply.body).availability, 'draining')
    // Who was on the way when the answer came is counted by then.
    await othersCome()
    const { connections } = await live.backend(FIRST_KEY)
    await othersCome()
    assert.equal((await live.backend(FIRST_KEY)).connections, connections)
    const drained = apps[0].clients
    assert.deepEqual(await Promise.all(conversations.map((conversation) => conversation.ask('drained'))), names)
    assert.equal((await live.steer(FIRST, 'enable')).status, 200)
    await eventually('it gets connections', () => apps[0].clients > drained)
  }
  const result = await load.stop()
  assert.deepEqual(result.failures, {})
  assert.equal(result.answered, result.started)
})

test('truepeer drain and enable do the same, and say how many connections are open', async (t) => {
  const { edge, backend } = await edgeHosts(t)
  await startLineApps(backend, [FIRST, SECOND])
  const live = await startConfiguredEdge(t, edge, simple(FRONTEND, [FIRST, SECOND]))
  const steer = (...words: string[]) => edge.run(TRUEPEER, [...words, '--admin', live.admin])
  const drained = await steer('drain', FIRST)
  assert.deepEqual([drained.exitCode, drained.stderr], [0, ''])
  assert.equal(drained.stdout, `${FIRST_KEY} gets no new connections; open connections: 0\n`)
  assert.equal((await live.backend(FIRST_KEY)).isDrained, true)
  assert.match((await steer('enable', FIRST_KEY)).stdout, /^app\/us-central1-b\/group\/10\.128\.0\.2:9001 is up; open/)
  assert.equal((await live.backend(FIRST_KEY)).isDrained, false)
  const unknown = await steer('drain', '192.0.2.1:1')
  assert.equal(unknown.exitCode, 1)
  const keys = [FIRST, SECOND].map((name) => `app/us-central1-b/group/${name}`).join(', ')
  assert.equal(unknown.stderr, `truepeer: There is no backend "192.0.2.1:1"; give an address, or one of ${keys}\n`)
})

test('with every backend drained a client is reset at once', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  await startLineApps(backend, [FIRST])
  const live = await startConfiguredEdge(t, edge, simple(FRONTEND, [FIRST]))
  await live.steer(FIRST, 'drain')
  assert.deepEqual(await answersOf(client, FRONTEND, 2), { ECONNRESET: 2 })
  await live.steer(FIRST, 'enable')
  assert.deepEqual(await answersOf(client, FRONTEND, 2), { [FIRST]: 2 })
})
