// Clients and backends of both families, and the addresses from which an edge comes to its backends.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DemoAddresses, IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import { AGENT, startAgent } from '../rig/agent.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { answerTo, interopHosts } from '../rig/interop-hosts.ts'
import { Conversation, startLineApps } from '../rig/line-app.ts'
import { resources, simple } from '../rig/resources.ts'

const V1 = { proxyHeader: 'PROXY_V1' }
const [PORT, PORT6] = [7000, 7006]
const APP = `${IPV4.backend}:9001`
const APP6 = `[${IPV6.backend}]:9006`

function endpoint({ edge }: DemoAddresses, port: number): string {
  return edge.includes(':') ? `[${edge}]:${port}` : `${edge}:${port}`
}

test("the header names clients of either family by their own addresses, whatever the backend's family", async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const apps = await startLineApps(backend, [APP, APP6])
  const frontend = (family: DemoAddresses, port: number, service: string) => ({
    listen: endpoint(family, port),
    service,
    proxy: V1,
  })
  const configuration = resources({
    frontends: {
      'ipv4-to-ipv4': frontend(IPV4, PORT, 'ipv4'),
      'ipv4-to-ipv6': frontend(IPV4, PORT6, 'ipv6'),
      'ipv6-to-ipv4': frontend(IPV6, PORT, 'ipv4'),
      'ipv6-to-ipv6': frontend(IPV6, PORT6, 'ipv6'),
    },
    services: { ipv4: { groups: { one: { endpoints: [APP] } } }, ipv6: { groups: { two: { endpoints: [APP6] } } } },
  })
  await startConfiguredEdge(t, edge, configuration)
  for (const family of [IPV4, IPV6]) {
    for (const [index, port] of [PORT, PORT6].entries()) {
      const conversation = await Conversation.open(client, endpoint(family, port))
      assert.equal(await conversation.ask('hello'), apps[index].endpoint)
      const version = family === IPV4 ? 'TCP4' : 'TCP6'
      const header = `PROXY ${version} ${family.client} ${family.edge} ${conversation.socket.localPort} ${port}`
      assert.deepEqual(apps[index].headers.splice(0), [header])
    }
  }
})

test('an app sees its IPv6 client although the edge reaches the agent over IPv4, by headers of both versions', async (t) => {
  const { client, edge, backend } = await interopHosts(t)
  await startAgent(backend)
  const proxies = { one: V1, two: { proxyHeader: 'PROXY_V2' } }
  const configuration = resources({
    frontends: Object.fromEntries(
      Object.entries(proxies).map(([name, proxy], index) => [
        name,
        { listen: endpoint(IPV6, PORT + index), service: 'app', proxy },
      ]),
    ),
    services: { app: { groups: { group: { endpoints: [AGENT] } } } },
  })
  await startConfiguredEdge(t, edge, configuration)
  for (const port of [PORT, PORT + 1]) {
    const socket = await client.connect({ to: endpoint(IPV6, port) })
    const { localPort } = socket
    assert.equal(await answerTo(socket), `[${IPV6.client}]:${localPort}`)
  }
})

test('--source-ranges: backends see these addresses in turn and no other, of clients and of probes', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const ranges = ['35.191.0.10', '35.191.0.11']
  for (const address of ranges) await edge.ip(`address add ${address}/16 dev eth1`)
  const all: string[] = []
  const clients: string[] = []
  await backend.listen(APP, (socket) => {
    const peer = socket.remoteAddress ?? ''
    all.push(peer)
    socket.on('error', () => {})
    socket.once('data', () => {
      clients.push(peer)
      socket.end('seen')
    })
  })
  const args = ['--source-ranges', '35.191.0.10/31']
  await startConfiguredEdge(t, edge, simple(endpoint(IPV4, PORT), [APP], { healthCheck: {} }), args)
  for (let time = 0; time < 10; time++) {
    const socket = await client.connect({ to: endpoint(IPV4, PORT) })
    socket.write('hello')
    await new Promise((resolve) => socket.once('data', resolve))
    socket.destroy()
  }
  const counts = ranges.map((address) => clients.filter((peer) => peer === address).length)
  assert.deepEqual(counts, [5, 5], clients.join())
  assert.ok(all.length > clients.length, 'there was a probe')
  assert.deepEqual(new Set(all), new Set(ranges))
})
