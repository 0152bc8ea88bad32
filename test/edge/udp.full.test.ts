// A frontend for UDP: what becomes of flows when backends, configurations and edges come and go, and what they are
// limited by.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseEndpoint } from '../../src/address/endpoint.ts'
import { IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import { type ProxyV2Options, writeProxyV2, writeProxyV2Local } from '../../src/proxy-protocol/write-v2.ts'
import type { DatagramLoadOrder, DatagramLoadResult } from '../programs/datagram-load.ts'
import { openDatagrams, startDatagramApp, type TestDatagrams } from '../rig/datagrams.ts'
import { type LiveEdge, startConfiguredEdge } from '../rig/edge.ts'
import { eventually, pause } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { Conversation, LineApp } from '../rig/line-app.ts'
import { residentBytes } from '../rig/process.ts'
import { LOG_ALL, resources, type ServiceDescription } from '../rig/resources.ts'
import { startTruepeer } from '../rig/truepeer.ts'

const FRONTEND = `${IPV4.edge}:53`
const [FIRST, SECOND] = [5301, 5302].map((port) => `${IPV4.backend}:${port}`)
const BOTH = [FIRST, SECOND]
const LOAD_PROGRAM = fileURLToPath(new URL('../programs/datagram-load.js', import.meta.url))
const NO_ANSWER_MS = 300

type Service = { readonly endpoints?: readonly string[]; readonly fields?: object; readonly healthCheck?: object }

function service({ endpoints = BOTH, fields = {}, healthCheck }: Service = {}): ServiceDescription {
  return {
    groups: { group: { endpoints } },
    ...(healthCheck && { healthCheck }),
    fields: { protocol: 'UDP', ...LOG_ALL, ...fields },
  }
}

/** One frontend for UDP, with a service `dns`. */
function dns(given: Service = {}, udp: object = { proxyHeader: 'PROXY_V2' }, listen = FRONTEND): object[] {
  return resources({ frontends: { dns: { listen, service: 'dns', udp } }, services: { dns: service(given) } })
}

/** Clients on as many ports, and the backend that each has got. */
class Clients {
  readonly all: readonly TestDatagrams[]
  readonly #to: string

  constructor(t: TestContext, host: Host, count: number, { from = IPV4.client, to = FRONTEND } = {}) {
    const address = from.includes(':') ? `[${from}]` : from
    this.all = Array.from({ length: count }, () => openDatagrams(t, host, `${address}:0`))
    this.#to = to
  }

  /** The backends that answer them now, in their order. */
  async backends(text = 'x'): Promise<string[]> {
    const answers: string[] = []
    for (const one of this.all) {
      one.received.length = 0
      answers.push((await one.ask(text, this.#to)).split(' ')[0] ?? '')
    }
    return answers
  }
}

/** Reports whether nothing comes back for a while. */
async function isSilent(client: TestDatagrams, to: string): Promise<boolean> {
  client.received.length = 0
  client.send('anybody?', to)
  await pause(NO_ANSWER_MS, 'nothing comes')
  return client.received.length === 0
}

function metric(live: Pick<LiveEdge, 'metric'>, name: string): Promise<number> {
  return live.metric(`truepeer_${name}`)
}

test('flows leave a backend that is unhealthy with their next datagram, and stay with ALWAYS_PERSIST', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  for (const endpoint of BOTH) startDatagramApp(t, backend, endpoint)
  const check = new LineApp(backend, FIRST)
  await check.open()
  await new LineApp(backend, SECOND).open()
  const healthCheck = { unhealthyThreshold: 1, healthyThreshold: 1 }
  const persist = { connectionTrackingPolicy: { connectionPersistenceOnUnhealthyBackends: 'ALWAYS_PERSIST' } }
  const stays = `${IPV4.edge}:54`
  const live = await startConfiguredEdge(
    t,
    edge,
    resources({
      frontends: {
        dns: { listen: FRONTEND, service: 'dns', udp: {} },
        stays: { listen: stays, service: 'stays', udp: {} },
      },
      services: {
        dns: service({ healthCheck }),
        stays: { ...service({ healthCheck, fields: persist }), groups: { other: { endpoints: BOTH } } },
      },
    }),
    ['--workers', '2'],
  )
  await eventually('both are healthy', async () => (await live.group('dns/us-central1-b/group')).healthy === 2)
  const [moving, staying] = [new Clients(t, client, 12), new Clients(t, client, 12, { to: stays })]
  const before = await staying.backends()
  assert.deepEqual(new Set(await moving.backends()), new Set(BOTH))
  check.close()
  await eventually('one is unhealthy', async () => (await live.group('dns/us-central1-b/group')).healthy === 1)
  assert.deepEqual(new Set(await moving.backends()), new Set([SECOND]))
  assert.deepEqual(await staying.backends(), before)
  assert.ok((await metric(live, 'flows_ended_total{reason="backend-unhealthy"}')) > 0)
  const fresh = new Clients(t, client, 6, { to: stays })
  assert.deepEqual(new Set(await fresh.backends()), new Set([SECOND]), 'new ones go elsewhere')
})

test('a drained backend keeps its flows, and one that leaves keeps them for the draining timeout', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  for (const endpoint of BOTH) startDatagramApp(t, backend, endpoint)
  const fields = { connectionDraining: { drainingTimeoutSec: 2 } }
  const live = await startConfiguredEdge(t, edge, dns({ fields }))
  const clients = new Clients(t, client, 12)
  const before = await clients.backends()
  await live.steer(FIRST, 'drain')
  assert.deepEqual(await clients.backends(), before)
  assert.deepEqual(new Set(await new Clients(t, client, 12).backends()), new Set([SECOND]))
  await live.steer(FIRST, 'enable')
  assert.equal(await live.reload(dns({ endpoints: [SECOND], fields })), 'ok')
  assert.deepEqual(await clients.backends(), before, 'they go on')
  await eventually('their time is over', async () => {
    return (await metric(live, 'flows_ended_total{reason="drained"}')) > 0
  })
  assert.deepEqual(new Set(await clients.backends()), new Set([SECOND]))
})

test('the next process, and one beside it, choose the same backends', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const endpoints = [5301, 5302, 5303, 5304].map((port) => `${IPV4.backend}:${port}`)
  const apps = endpoints.map((endpoint) => startDatagramApp(t, backend, endpoint))
  const configuration = dns({ endpoints })
  const first = await startConfiguredEdge(t, edge, configuration)
  const clients = new Clients(t, client, 24)
  const before = await clients.backends()
  assert.equal(new Set(before).size, 4)

  const second = await startConfiguredEdge(t, edge, configuration, ['--workers', '2'])
  await second.program.waitForLine(/"listen":"203\.0\.113\.10:53\/udp".*Another process listens on the same port/)
  first.program.signal('SIGTERM')
  await eventually('newcomers come to the second', async () => {
    await new Clients(t, client, 1).backends()
    return (await metric(second, 'flows_opened_total')) > 0
  })
  for (let round = 0; round < 3; round++) assert.deepEqual(await clients.backends(), before, 'while the first drains')
  const fresh = new Clients(t, client, 12)
  const chosen = await fresh.backends()
  first.program.signal('SIGTERM')
  await first.program.exited
  assert.deepEqual([...(await clients.backends()), ...(await fresh.backends())], [...before, ...chosen])

  second.program.signal('SIGKILL')
  await second.program.exited
  await startConfiguredEdge(t, edge, configuration)
  assert.deepEqual(await clients.backends(), before, 'after a crash')
  assert.ok(apps.every(({ seen }) => seen.length > 0))
})

test('a reload changes header, idle timeout and port, and leaves flows and TCP on the same port alone', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const apps = BOTH.map((endpoint) => startDatagramApp(t, backend, endpoint))
  const lines = `${IPV4.backend}:5300`
  await new LineApp(backend, lines).open()
  const configuration = (udp: object | undefined, listen = FRONTEND): object[] =>
    resources({
      frontends: {
        tcp: { listen: FRONTEND, service: 'tcp' },
        ...(udp === undefined ? {} : { udp: { listen, service: 'udp', udp } }),
      },
      services: {
        tcp: { groups: { lines: { endpoints: [lines] } } },
        ...(udp === undefined ? {} : { udp: service() }),
      },
    })
  const live = await startConfiguredEdge(t, edge, configuration({ proxyHeader: 'PROXY_V2' }))
  const talk = await Conversation.open(client, FRONTEND)
  assert.equal(await talk.ask('one'), lines)
  const [one] = new Clients(t, client, 1).all
  const seen = async (who: TestDatagrams, to = FRONTEND): Promise<string> =>
    (await who.ask('x', to)).split(' ')[1] ?? ''
  const own = `${IPV4.client}:${one?.socket.address().port}`
  assert.ok(one)
  assert.equal(await seen(one), own)

  assert.equal(await live.reload(configuration({ proxyHeader: 'NONE' })), 'ok')
  assert.equal(await seen(one), own, 'a flow keeps its header')
  const [two] = new Clients(t, client, 1).all
  assert.ok(two)
  assert.match(await seen(two), new RegExp(`^${IPV4.edgeSource}:`), 'a new one has none')

  assert.equal(await live.reload(configuration({}, `${IPV4.edge}:54`)), 'ok')
  assert.match(await seen(two, `${IPV4.edge}:54`), new RegExp(`^${IPV4.edgeSource}:`))
  const [three] = new Clients(t, client, 1).all
  assert.ok(three)
  assert.ok(await isSilent(three, FRONTEND), 'nobody is there for newcomers')
  assert.equal(await seen(one), own, 'a flow goes on when its port is closed')
  assert.equal(await live.reload(configuration(undefined)), 'ok')
  await eventually('its backends have left', () => isSilent(one, FRONTEND))
  assert.ok(await isSilent(two, `${IPV4.edge}:54`))
  assert.equal(await talk.ask('two'), lines)
  talk.socket.destroy()
  assert.ok(apps.some((app) => app.seen.length > 0))
})

test('flows are limited for each client and for the service, and a place is free again when one ends', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  startDatagramApp(t, backend, FIRST)
  const tracking = { connectionTrackingPolicy: { idleTimeoutSec: 1 } }
  const capped = { loadBalancingScheme: 'EXTERNAL_MANAGED', circuitBreakers: { maxConnections: 2 }, ...tracking }
  const full = `${IPV4.edge}:54`
  const live = await startConfiguredEdge(
    t,
    edge,
    resources({
      frontends: {
        dns: { listen: FRONTEND, service: 'dns', udp: {} },
        full: { listen: full, service: 'full', udp: { loadBalancingScheme: 'EXTERNAL_MANAGED' } },
      },
      services: {
        dns: service({ endpoints: [FIRST], fields: tracking }),
        full: { ...service({ fields: capped }), groups: { other: { endpoints: [FIRST] } } },
      },
    }),
    ['--max-connections-per-client', '3'],
  )
  const [one, two, three] = new Clients(t, client, 3).all
  assert.ok(one && two && three)
  // Who sends again after an answer is assured, and makes way for nobody.
  for (const text of ['x', 'y']) {
    await one.ask(text, full)
    await two.ask(text, full)
  }
  assert.ok(await isSilent(three, full))
  assert.equal(await metric(live, 'datagrams_dropped_total{reason="service-full"}'), 1)
  for (const text of ['x', 'y']) await three.ask(text, FRONTEND)
  const [four] = new Clients(t, client, 1).all
  assert.ok(four)
  assert.ok(await isSilent(four, FRONTEND))
  assert.equal(await metric(live, 'datagrams_dropped_total{reason="client-limit"}'), 1)
  const { frontends } = await live.status()
  assert.deepEqual(
    frontends.map(({ open, refused }) => [open, refused]),
    [
      [1, 1],
      [2, 1],
    ],
  )
  await eventually('silence ends them', async () => (await metric(live, 'flows_open')) === 0)
  await four.ask('x', FRONTEND)
})

test('an app that restarts loses what it was sent meanwhile, and nothing else', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const app = startDatagramApp(t, backend, FIRST)
  const live = await startConfiguredEdge(t, edge, dns({ endpoints: [FIRST] }))
  const [one] = new Clients(t, client, 1).all
  assert.ok(one)
  await one.ask('before', FRONTEND)
  app.close()
  assert.ok(await isSilent(one, FRONTEND))
  await eventually('the ICMP error is counted', async () => {
    return (await metric(live, 'flow_errors_total{errno="ECONNREFUSED"}')) > 0
  })
  const again = startDatagramApp(t, backend, FIRST)
  assert.match(await one.ask('after', FRONTEND), / after$/)
  assert.deepEqual([again.peers, await metric(live, 'flows_opened_total')], [app.peers, 1], 'it is the same flow')
})

test('IPv6, and wildcards, which answer from the address that was asked', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const six = `[${IPV6.backend}]:5301`
  for (const endpoint of [FIRST, six]) startDatagramApp(t, backend, endpoint)
  const everywhere = resources({
    frontends: { all: { listen: '[::]:53', service: 'all', udp: { proxyHeader: 'PROXY_V2' } } },
    services: { all: service({ endpoints: [FIRST, six] }) },
  })
  await startConfiguredEdge(t, edge, everywhere)
  await edge.ip('addr add 203.0.113.20/24 dev eth0')
  for (const [from, to] of [
    [IPV4.client, `${IPV4.edge}:53`],
    [IPV4.client, '203.0.113.20:53'],
    [IPV6.client, `[${IPV6.edge}]:53`],
  ] as const) {
    const address = from.includes(':') ? `[${from}]` : from
    const one = openDatagrams(t, client, `${address}:0`)
    for (const text of ['', 'x'.repeat(1_200)]) {
      one.send(text, to)
      const { text: answer, from: server } = await one.next()
      const [, seen, rest] = answer.split(' ')
      // An IPv4 client is named as such also where the backend is reached over IPv6.
      assert.deepEqual([server, seen, rest], [to, `${address}:${one.socket.address().port}`, text])
    }
  }
})

test('the one-line form serves TCP and UDP on one port', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  startDatagramApp(t, backend, FIRST)
  await new LineApp(backend, FIRST).open()
  const words = ['--listen', FRONTEND, '--backend', FIRST, '-p', 'tcp,udp', '--proxy-header', 'NONE']
  const live = await startTruepeer(edge, 'edge', words)
  const talk = await Conversation.open(client, FRONTEND)
  assert.equal(await talk.ask('tcp'), FIRST)
  talk.socket.destroy()
  const [one] = new Clients(t, client, 1).all
  assert.match((await one?.ask('udp', FRONTEND)) ?? '', / udp$/)
  const { frontends } = await live.status()
  assert.deepEqual(
    frontends.map(({ name, protocol, connections }) => [name, protocol, connections]),
    [
      ['edge', 'TCP', 1],
      ['edge-udp', 'UDP', 1],
    ],
  )
})

test('behind another load balancer the header in each datagram names the client, and nobody else is served', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const app = startDatagramApp(t, backend, FIRST)
  const live = await startConfiguredEdge(t, edge, dns({ endpoints: [FIRST] }), ['--accept-proxy', `${IPV4.client}/32`])
  const [balancer] = new Clients(t, client, 1).all
  assert.ok(balancer)
  const tlvs = [{ type: 0xe1, value: Uint8Array.of(1, 2, 3) }]
  const header = (source: string, options: ProxyV2Options = {}): string => {
    const bytes = new Uint8Array(256)
    const ends = [source, '198.51.100.1:53'].map((text) => parseEndpoint(text))
    assert.ok(ends[0] && ends[1])
    const length = writeProxyV2(bytes, 0, ends[0], ends[1], { transport: 'dgram', tlvs, ...options })
    return Buffer.from(bytes.subarray(0, length)).toString('latin1')
  }
  for (const source of ['192.0.2.1:1000', '192.0.2.2:1000', '[2001:db8::1]:7']) {
    for (const text of ['one', 'two'])
      assert.match(await balancer.ask(`${header(source)}${text}`, FRONTEND), / (one|two)$/)
    assert.deepEqual(app.seen.slice(-2), [
      { text: 'one', from: source },
      { text: 'two', from: source },
    ])
  }
  assert.equal(await metric(live, 'flows_opened_total'), 3)
  const local = Buffer.alloc(16)
  writeProxyV2Local(local, 0)
  await balancer.ask(`${local.toString('latin1')}check`, FRONTEND)
  assert.deepEqual(app.seen.at(-1), { text: 'check', from: `${IPV4.client}:${balancer.socket.address().port}` })
  assert.ok(await isSilent(balancer, FRONTEND), 'without a header')
  balancer.send(`${header('192.0.2.3:1', { transport: 'stream' })}x`, FRONTEND)
  const stranger = openDatagrams(t, backend, `${IPV4.backend}:0`)
  stranger.send(`${header('192.0.2.3:1')}x`, `${IPV4.edgeSource}:53`)
  const everywhere = dns({ endpoints: [FIRST] }, { proxyHeader: 'PROXY_V2' }, '0.0.0.0:53')
  assert.equal(await live.reload(everywhere), 'ok')
  stranger.send(`${header('192.0.2.3:1')}x`, `${IPV4.edgeSource}:53`)
  await eventually('each is counted', async () => {
    const counts = ['header-missing', 'source-refused', 'untrusted-peer'].map((reason) => {
      return metric(live, `datagrams_dropped_total{reason="${reason}"}`)
    })
    return (await Promise.all(counts)).every((count) => count > 0)
  })
})

test('100,000 clients that nobody is take no more memory than the limit of flows, and 100 live ones go on', async (t) => {
  const { client, edge, backend } = await edgeHosts(t)
  const echo = backend.start(process.execPath, [LOAD_PROGRAM, 'echo', FIRST])
  await echo.waitForLine(/^echoing$/)
  const words = ['--accept-proxy', `${IPV4.client}/32`, '--max-flows', '2000']
  const live = await startConfiguredEdge(
    t,
    edge,
    dns({ endpoints: [FIRST], fields: { logConfig: undefined } }, {}),
    words,
  )
  const { pid } = live.program
  const load = async (order: Omit<DatagramLoadOrder, 'target' | 'bytes'>): Promise<DatagramLoadResult> => {
    const given = JSON.stringify({ target: FRONTEND, bytes: 100, ...order })
    const sender = client.start(process.execPath, [LOAD_PROGRAM, 'send', given])
    return JSON.parse(await sender.waitForLine(/^\{/, { timeoutMs: (order.seconds + 20) * 1_000 }))
  }
  const flood = { flows: 100_000, headersFrom: '198.51' }
  // Everything that it will ever take: the table is full, and all code has run.
  await load({ ...flood, perSecond: 5_000, seconds: 3 })
  const before = residentBytes(pid)
  const [answers] = await Promise.all([
    load({ flows: 100, headersFrom: '203.0', perSecond: 1_000, seconds: 12 }),
    load({ ...flood, perSecond: 8_000, seconds: 10 }),
  ])
  t.diagnostic(`${JSON.stringify(answers)}; ${Math.round((residentBytes(pid) - before) / 2 ** 20)} MiB more`)
  assert.ok(answers.answered >= answers.sent * 0.999, JSON.stringify(answers))
  assert.deepEqual([answers.strayed, answers.silent], [0, 0])
  assert.ok(residentBytes(pid) - before < 16 * 2 ** 20)
  assert.ok((await metric(live, 'flows_open')) <= 2_000)
  assert.ok((await metric(live, 'flows_ended_total{reason="evicted"}')) > 10_000)
})
