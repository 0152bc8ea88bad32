// A frontend for UDP: one client's datagrams are a flow, with a header in front of each, and go to one backend.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { openDatagrams, startDatagramApp } from '../rig/datagrams.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { LOG_ALL, resources } from '../rig/resources.ts'

const FRONTEND = `${IPV4.edge}:53`
const [FIRST, SECOND] = [5301, 5302].map((port) => `${IPV4.backend}:${port}`)

test('flows are told apart by their clients, stay with a backend, and answers come from where they were sent to', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const apps = [FIRST, SECOND].map((endpoint) => startDatagramApp(t, backend, endpoint))
  const live = await startConfiguredEdge(
    t,
    edge,
    resources({
      frontends: { dns: { listen: FRONTEND, service: 'dns', udp: { proxyHeader: 'PROXY_V2' } } },
      services: {
        dns: {
          groups: { group: { endpoints: [FIRST, SECOND] } },
          fields: { protocol: 'UDP', connectionTrackingPolicy: { idleTimeoutSec: 1 }, ...LOG_ALL },
        },
      },
    }),
  )
  const clients = Array.from({ length: 16 }, () => openDatagrams(t, client, `${IPV4.client}:0`))
  const chosen = new Map<number, string>()
  for (const text of ['one', '', 'x'.repeat(8_000)]) {
    for (const datagrams of clients) {
      const { port } = datagrams.socket.address()
      datagrams.send(text, FRONTEND)
      const { text: answer, from } = await datagrams.next()
      const [app = '', seen, ...rest] = answer.split(' ')
      assert.deepEqual([from, seen, rest.join(' ')], [FRONTEND, `${IPV4.client}:${port}`, text])
      assert.equal(app, chosen.get(port) ?? app, 'it stays with its backend')
      chosen.set(port, app)
    }
  }
  assert.deepEqual([...new Set(chosen.values())].sort(), [FIRST, SECOND], 'both have some')
  assert.equal(apps[0].peers.size + apps[1].peers.size, clients.length, 'a socket for each flow')

  const { frontends } = await live.status()
  assert.deepEqual([frontends[0].protocol, frontends[0].connections], ['UDP', clients.length])
  await eventually('silence ends them', async () => (await live.metric('truepeer_flows_open')) === 0)
  assert.equal(await live.metric('truepeer_flows_ended_total{reason="idle"}'), clients.length)
  const flows = live.program.texts().filter((line) => line.includes('"msg":"flow"'))
  assert.equal(flows.length, clients.length)
  const { connection, datagramsReceived, datagramsSent, end } = JSON.parse(flows[0] ?? '{}')
  assert.deepEqual([connection.protocol, datagramsReceived, datagramsSent, end], [17, 3, 3, 'idle'])
})
