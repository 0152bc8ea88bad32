// HAProxy and nginx in front of an edge that stands behind them, and as backends that read its header.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import { readProxyHeader } from '../../src/proxy-protocol/read-proxy-header.ts'
import { readTlvs, TlvType } from '../../src/proxy-protocol/tlv.ts'
import { startAgent } from '../rig/agent.ts'
import { namedEnds } from '../rig/captured-headers.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { answerTo, headerBefore, interopHosts, RECORDER } from '../rig/interop-hosts.ts'
import { LOG_ALL, simple } from '../rig/resources.ts'
import { skipWithout } from '../rig/skip.ts'
import { startHaproxy, startNginx } from './proxies.ts'

/** Where the load balancer in front listens, on the client's host, and clients of it beside. */
const FRONT_PORT = 2001
const FRONT = `${IPV4.client}:${FRONT_PORT}`
const FRONT6 = `[${IPV6.client}]:${FRONT_PORT}`
const [BEHIND, BEHIND6] = ['209.52.88.5', '2001:db8:209::5']
const EDGE_PORT = 7000
const FRONTEND = `${IPV4.edge}:${EDGE_PORT}`
const BEHIND_PROXY = ['--accept-proxy', `${IPV4.client}/32`]
const SERVER = `${IPV4.backend}:120`
const CRC32C_AND_ID = { proxyHeader: 'PROXY_V2', proxyHeaderOptions: ['CRC32C', 'UNIQUE_ID'] }

/** Gives the client's host addresses for clients of a load balancer on it. */
async function addClients(client: Host): Promise<void> {
  await client.ip(`address add ${BEHIND}/24 dev eth0`)
  await client.ip(`-6 address add ${BEHIND6}/64 dev eth0 nodad`)
  // The load balancer's own connections come from the address that the edge trusts.
  await client.ip(`route replace 203.0.113.0/24 dev eth0 src ${IPV4.client}`)
}

function haproxySection(options: string): string {
  const binds = `  bind ${FRONT}\n  bind ${FRONT6}\n`
  return `listen front\n${binds}  unique-id-format uid-%rt\n  server edge ${FRONTEND} ${options}\n`
}

const NGINX_SENDER = `server { listen ${FRONT}; listen ${FRONT6}; proxy_protocol on; proxy_pass ${FRONTEND}; }\n`

for (const [name, program, start] of [
  [
    'HAProxy send-proxy',
    'haproxy',
    (client) => startHaproxy(client.t, client.host, haproxySection('send-proxy'), FRONT),
  ],
  [
    'HAProxy send-proxy-v2 with checksum and unique ID',
    'haproxy',
    (client) =>
      startHaproxy(client.t, client.host, haproxySection('send-proxy-v2 proxy-v2-options crc32c,unique-id'), FRONT),
  ],
  ['nginx', 'nginx', (client) => startNginx(client.t, client.host, NGINX_SENDER, FRONT)],
] as const satisfies readonly (readonly [string, string, (client: ClientHost) => Promise<unknown>])[]) {
  test(`behind ${name} the edge names the client of that, in header and log, and the app behind an agent sees it`, {
    skip: skipWithout(program),
  }, async (t) => {
    const { client, edge, backend } = await interopHosts(t)
    await addClients(client)
    await startAgent(backend)
    await start({ t, host: client })
    const configuration = simple(FRONTEND, [`${IPV4.backend}:110`], { fields: LOG_ALL }, CRC32C_AND_ID)
    const live = await startConfiguredEdge(t, edge, configuration, BEHIND_PROXY)
    const fourth = await client.connect({ to: FRONT, from: BEHIND })
    const sixth = await client.connect({ to: FRONT6, from: BEHIND6 })
    const [port, port6] = [fourth.localPort, sixth.localPort]
    assert.equal(await answerTo(fourth), `${BEHIND}:${port}`)
    assert.equal(await answerTo(sixth), `[${BEHIND6}]:${port6}`)
    await eventually('both are in the log', () => live.records().length === 2)
    const clients = live.records().map(({ connection: { clientIp, clientPort } }) => [clientIp, clientPort])
    assert.deepEqual(new Set(clients.map(String)), new Set([`${BEHIND},${port}`, `${BEHIND6},${port6}`]))
  })
}

type ClientHost = { readonly t: Parameters<typeof interopHosts>[0]; readonly host: Host }

test("HAProxy's TLVs are passed on: its unique ID stays the connection's, under a checksum of the edge's own", {
  skip: skipWithout('haproxy'),
}, async (t) => {
  const { client, edge, recorder } = await interopHosts(t)
  await addClients(client)
  await startHaproxy(t, client, haproxySection('send-proxy-v2 proxy-v2-options crc32c,unique-id'), FRONT)
  await startConfiguredEdge(t, edge, simple(FRONTEND, [RECORDER], {}, CRC32C_AND_ID), BEHIND_PROXY)
  const socket = await client.connect({ to: FRONT, from: BEHIND })
  const source = `${BEHIND}:${socket.localPort}`
  const header = await headerBefore(recorder, socket, 'hello')
  assert.deepEqual(namedEnds(header), { source, destination: FRONT })
  const read = readProxyHeader(header, 0, header.length, { v2LengthMax: 1_024 })
  assert.ok(read.kind === 'proxied' && read.version === 2, read.kind)
  const tlvs = readTlvs(header, read.tlvStart, read.tlvEnd)
  assert.deepEqual(tlvs.map(({ type }) => type).sort(), [TlvType.crc32c, TlvType.uniqueId].sort())
  const id = tlvs.find(({ type }) => type === TlvType.uniqueId)?.value ?? new Uint8Array()
  assert.match(Buffer.from(id).toString(), /^uid-/)
})

test('who is not trusted, and who is and sends no header, gets no backend', async (t) => {
  const { client, edge, recorder } = await interopHosts(t)
  await addClients(client)
  const args = [...BEHIND_PROXY, '--header-timeout', '500ms']
  const live = await startConfiguredEdge(t, edge, simple(FRONTEND, [RECORDER]), args)
  for (const from of [BEHIND, IPV4.client]) {
    assert.equal(await answerTo(await client.connect({ to: FRONTEND, from }), 'GET / HTTP/1.0\r\n\r\n'), '', from)
  }
  await client.connect({ to: FRONTEND, from: IPV4.client })
  await eventually('three are refused', async () => (await live.status()).frontends[0].refused === 3)
  assert.deepEqual(recorder.seen, [])
})

test("HAProxy's checks go through the edge: they fail while no backend is healthy", {
  skip: skipWithout('haproxy'),
}, async (t) => {
  const { client, edge, backend } = await interopHosts(t, { hasApp: false })
  // A check is over before anything is sent: only an edge that resets at once can fail it.
  const check = 'send-proxy-v2 check check-send-proxy inter 200ms fall 1 rise 1'
  const configuration = simple(FRONTEND, [SERVER], { healthCheck: {} })
  const live = await startConfiguredEdge(t, edge, configuration, BEHIND_PROXY)
  const section = `${haproxySection(check)}  option tcp-check\n  tcp-check connect send-proxy\n  tcp-check send hello\n  tcp-check expect string hello\n`
  const haproxy = await startHaproxy(t, client, section, FRONT)
  await haproxy.waitForLine(/front\/edge is DOWN/)
  await backend.listen(SERVER, (socket) => {
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  await haproxy.waitForLine(/front\/edge is UP/)
  assert.equal((await live.status()).services[0].groups[0].backends[0].health, 'HEALTHY')
})

const HTTP_CHECK = {
  type: 'HTTP',
  tcpHealthCheck: undefined,
  httpHealthCheck: { portSpecification: 'USE_SERVING_PORT', requestPath: '/', proxyHeader: 'PROXY_V1' },
}
const TCP_CHECK = { tcpHealthCheck: { portSpecification: 'USE_SERVING_PORT', proxyHeader: 'PROXY_V1' } }

for (const [name, proxy] of [
  ['version 1', { proxyHeader: 'PROXY_V1' }],
  ['version 2', { proxyHeader: 'PROXY_V2' }],
  ['version 2 with CRC32C and UNIQUE_ID', CRC32C_AND_ID],
] as const) {
  for (const { family, edge: address, client: own } of [IPV4, IPV6]) {
    const frontend = address.includes(':') ? `[${address}]:${EDGE_PORT}` : `${address}:${EDGE_PORT}`

    test(`HAProxy as a backend reads the header of ${name} of an ${family} client, and answers health checks`, {
      skip: skipWithout('haproxy'),
    }, async (t) => {
      const { client, edge, backend } = await interopHosts(t, { hasApp: false })
      const section = `listen receiver
  bind ${SERVER} accept-proxy
  mode http
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[fc_pp_unique_id,hex]"
`
      await startHaproxy(t, backend, section, SERVER)
      const live = await startConfiguredEdge(t, edge, simple(frontend, [SERVER], { healthCheck: HTTP_CHECK }, proxy))
      const ids = new Set<string>()
      for (let time = 0; time < 3; time++) {
        const socket = await client.connect({ to: frontend })
        const { localPort } = socket
        const body = (await answerTo(socket, 'GET / HTTP/1.0\r\n\r\n')).split('\r\n\r\n')[1] ?? ''
        const [source, port, id] = body.split(' ')
        assert.deepEqual([source, port], [own, `${localPort}`])
        ids.add(id)
      }
      if (proxy !== CRC32C_AND_ID) assert.deepEqual([...ids], [''])
      else assert.ok(ids.size === 3 && [...ids].every((id) => /^[0-9A-F]{32}$/.test(id)), [...ids].join())
      const { health, probes } = (await live.status()).services[0].groups[0].backends[0]
      assert.deepEqual([health, probes?.failures], ['HEALTHY', 0])
    })

    test(`nginx as a backend reads the header of ${name} of an ${family} client, and logs it`, {
      skip: skipWithout('nginx'),
    }, async (t) => {
      const { client, edge, backend } = await interopHosts(t, { hasApp: false })
      const block = `log_format seen "client $remote_addr $remote_port";
server {
  listen ${SERVER} proxy_protocol;
  set_real_ip_from ${IPV4.edgeSource};
  access_log access.log seen;
  return "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port";
}
`
      const directory = await startNginx(t, backend, block, SERVER)
      const live = await startConfiguredEdge(t, edge, simple(frontend, [SERVER], { healthCheck: TCP_CHECK }, proxy))
      const socket = await client.connect({ to: frontend })
      const { localPort } = socket
      const answer = await answerTo(socket, '')
      assert.equal(answer, `${own} ${localPort} ${address} ${EDGE_PORT}`)
      const line = `client ${own} ${localPort}\n`
      await eventually('nginx logs the client', () =>
        readFileSync(join(directory, 'access.log'), 'utf8').includes(line),
      )
      assert.equal((await live.status()).services[0].groups[0].backends[0].health, 'HEALTHY')
    })
  }
}

test('HAProxy checks the CRC32C: of the same header with one bit changed it wants nothing', {
  skip: skipWithout('haproxy'),
}, async (t) => {
  const { client, edge, backend, recorder } = await interopHosts(t, { hasApp: false })
  await startHaproxy(t, backend, `listen receiver\n  bind ${SERVER} accept-proxy\n  server echo ${RECORDER}\n`, SERVER)
  await startConfiguredEdge(t, edge, simple(FRONTEND, [RECORDER], {}, CRC32C_AND_ID))
  const header = await headerBefore(recorder, await client.connect({ to: FRONTEND }), 'hello')
  const wrong = Buffer.from(header)
  wrong[wrong.length - 1] ^= 1
  for (const [bytes, isTaken] of [
    [header, true],
    [wrong, false],
  ] as const) {
    const seen = recorder.seen.length
    const socket = await edge.connect({ to: SERVER })
    const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.resume()
    socket.end(Buffer.concat([bytes, Buffer.from('payload')]))
    await ended
    const taken = recorder.seen.slice(seen).map(({ received }) => received.toString())
    assert.deepEqual(taken, isTaken ? ['payload'] : [])
  }
})
