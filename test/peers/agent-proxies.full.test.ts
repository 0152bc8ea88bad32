import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import { AGENT, AGENT6, APP, APP6, startAgent } from '../rig/agent.ts'
import { assertIsAsCaptured, namedEnds } from '../rig/captured-headers.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually } from '../rig/eventually.ts'
import { answerTo, headerBefore, interopHosts, RECORDER, recordedHeader, startPeerApp } from '../rig/interop-hosts.ts'
import { skipWithout } from '../rig/skip.ts'
import { startTruepeer } from '../rig/truepeer.ts'
import { selfSignedPem, startHaproxy, startNginx } from './proxies.ts'

const TO_AGENT = 2001
const TO_RECORDER = 2002
const CLIENT_PORT = 40_001

/** Two `listen` sections with the same sender behind them: one before the agent, one before the recorder of headers. */
function listens(serverOptions: string, bindOptions = '', more = ''): string {
  return [
    { port: TO_AGENT, server: AGENT },
    { port: TO_RECORDER, server: RECORDER },
  ]
    .map(
      ({ port, server }) => `listen to-${port}
  bind ${IPV4.edge}:${port}${bindOptions}
  bind [${IPV6.edge}]:${port}${bindOptions}
${more}  server only ${server} ${serverOptions}
`,
    )
    .join('')
}

function fromClient(client: Host, port: number, family: typeof IPV4 = IPV4): Promise<Socket> {
  return client.connect({ to: endpoint(family.edge, port), from: family.client, port: CLIENT_PORT })
}

function endpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

for (const { name, options, section, captured } of [
  { name: 'HAProxy send-proxy', options: 'send-proxy', section: '', captured: 'haproxy 2.6.12 send-proxy' },
  { name: 'HAProxy send-proxy-v2', options: 'send-proxy-v2', section: '', captured: 'haproxy send-proxy-v2' },
  {
    name: 'HAProxy send-proxy-v2 with checksum and unique ID',
    options: 'send-proxy-v2 proxy-v2-options crc32c,unique-id',
    section: '  unique-id-format uid-%Ts-%rt\n',
    captured: 'haproxy send-proxy-v2 + crc32c,unique-id',
  },
]) {
  test(`behind ${name} the app sees the client, and the header is as captured`, {
    skip: skipWithout('haproxy'),
  }, async (t) => {
    const { client, edge, backend, recorder } = await interopHosts(t)
    await startAgent(backend)
    await startHaproxy(t, edge, listens(options, '', section), endpoint(IPV4.edge, TO_RECORDER))
    assert.equal(await answerTo(await fromClient(client, TO_AGENT)), endpoint(IPV4.client, CLIENT_PORT))
    const header = await headerBefore(recorder, await fromClient(client, TO_RECORDER), 'hello')
    assert.deepEqual(namedEnds(header), {
      source: endpoint(IPV4.client, CLIENT_PORT),
      destination: endpoint(IPV4.edge, TO_RECORDER),
    })
    assertIsAsCaptured(header, captured)
  })
}

test('behind HAProxy the app sees an IPv6 client although HAProxy reaches the agent over IPv4', {
  skip: skipWithout('haproxy'),
}, async (t) => {
  const { client, edge, backend, recorder } = await interopHosts(t)
  await startAgent(backend)
  await startHaproxy(t, edge, listens('send-proxy-v2'), endpoint(IPV4.edge, TO_RECORDER))
  assert.equal(await answerTo(await fromClient(client, TO_AGENT, IPV6)), endpoint(IPV6.client, CLIENT_PORT))
  const header = await headerBefore(recorder, await fromClient(client, TO_RECORDER, IPV6), 'hello')
  assert.equal(namedEnds(header)?.source, endpoint(IPV6.client, CLIENT_PORT))
  assertIsAsCaptured(header, 'haproxy send-proxy-v2, IPv6 client, IPv4 server')
})

test('behind HAProxy with TLS and every option of version 2 the app sees the client', {
  skip: skipWithout('haproxy', 'openssl'),
}, async (t) => {
  const { client, edge, backend, recorder } = await interopHosts(t)
  await startAgent(backend)
  const directory = testDirectory(t)
  const [serverPem, clientPem] = [
    await selfSignedPem(directory, 'app.example'),
    await selfSignedPem(directory, 'client.example'),
  ]
  const tlvs = 'ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,crc32c,unique-id'
  const sections = listens(
    `send-proxy-v2-ssl-cn proxy-v2-options ${tlvs}`,
    ` ssl crt ${serverPem} alpn h2 verify optional ca-file ${clientPem}`,
    '  unique-id-format uid-%Ts-%rt\n',
  )
  await startHaproxy(t, edge, sections, endpoint(IPV4.edge, TO_RECORDER))
  const pem = readFileSync(clientPem)
  const overTls = async (port: number): Promise<Socket> => {
    const socket = await fromClient(client, port)
    const identity = { key: pem, cert: pem, rejectUnauthorized: false }
    return connectTls({ socket, servername: 'app.example', ALPNProtocols: ['h2'], ...identity })
  }
  assert.equal(await answerTo(await overTls(TO_AGENT)), endpoint(IPV4.client, CLIENT_PORT))
  const header = await headerBefore(recorder, await overTls(TO_RECORDER), 'hello')
  assert.equal(namedEnds(header)?.source, endpoint(IPV4.client, CLIENT_PORT))
  const sender = 'haproxy send-proxy-v2-ssl-cn + all options (TLS client with SNI, ALPN, client certificate)'
  assertIsAsCaptured(header, sender)
})

for (const [options, captured] of [
  ['send-proxy', 'haproxy send-proxy, UNIX client'],
  ['send-proxy-v2', 'haproxy send-proxy-v2, UNIX client'],
] as const) {
  test(`behind HAProxy ${options} a client on a UNIX socket has the edge's address`, {
    skip: skipWithout('haproxy'),
  }, async (t) => {
    const { edge, backend, recorder } = await interopHosts(t)
    await startAgent(backend)
    const directory = testDirectory(t)
    const more = (port: number) => `  bind unix@${join(directory, `${port}.sock`)}\n`
    const sections = listens(options).replace(/listen to-([0-9]+)\n/g, (line, port) => line + more(port))
    await startHaproxy(t, edge, sections, endpoint(IPV4.edge, TO_RECORDER))
    const peer = await answerTo(connect({ path: join(directory, `${TO_AGENT}.sock`) }))
    assert.match(peer, new RegExp(`^${IPV4.edgeSource}:[0-9]+$`))
    const header = await headerBefore(recorder, connect({ path: join(directory, `${TO_RECORDER}.sock`) }), 'hello')
    assertIsAsCaptured(header, captured)
  })
}

for (const [options, captured] of [
  ['send-proxy', 'haproxy health check, send-proxy check-send-proxy'],
  ['send-proxy-v2', 'haproxy health check, send-proxy-v2 check-send-proxy'],
] as const) {
  test(`HTTP checks of HAProxy (${options} check-send-proxy) follow the app behind the agent`, {
    skip: skipWithout('haproxy'),
  }, async (t) => {
    const hosts = await interopHosts(t, { hasApp: false })
    await startAgent(hosts.backend)
    const check = 'check check-send-proxy inter 100ms fall 1 rise 1'
    const sections = listens(`${options} ${check}`, '', '  option httpchk\n')
    const haproxy = await startHaproxy(t, hosts.edge, sections, endpoint(IPV4.edge, TO_RECORDER))
    await haproxy.waitForLine(/to-2001\/only is DOWN/)
    const app = await startPeerApp(hosts)
    await haproxy.waitForLine(/to-2001\/only is UP/)
    for (const peer of app.peers) assert.match(peer, new RegExp(`^${IPV4.edgeSource}:[0-9]+$`))
    assertIsAsCaptured(await recordedHeader(hosts.recorder), captured)
  })
}

const NGINX_SENDER = [
  [TO_AGENT, AGENT],
  [TO_RECORDER, RECORDER],
].map(
  ([port, server]) =>
    `server { listen ${IPV4.edge}:${port}; listen [${IPV6.edge}]:${port}; proxy_protocol on; proxy_pass ${server}; }\n`,
)

for (const [addresses, captured] of [
  [IPV4, 'nginx 1.22.1 stream proxy_protocol on'],
  [IPV6, 'nginx stream, IPv6 client'],
] as const) {
  test(`behind nginx the app sees an ${addresses.family} client, and the header is as captured`, {
    skip: skipWithout('nginx'),
  }, async (t) => {
    const { client, edge, backend, recorder } = await interopHosts(t)
    await startAgent(backend)
    await startNginx(t, edge, NGINX_SENDER.join(''), endpoint(IPV4.edge, TO_RECORDER))
    const source = endpoint(addresses.client, CLIENT_PORT)
    assert.equal(await answerTo(await fromClient(client, TO_AGENT, addresses)), source)
    const header = await headerBefore(recorder, await fromClient(client, TO_RECORDER, addresses), 'hello')
    assert.deepEqual(namedEnds(header), { source, destination: endpoint(addresses.edge, TO_RECORDER) })
    assertIsAsCaptured(header, captured)
  })
}

test('behind nginx a client on a UNIX socket has the address of the edge', {
  skip: skipWithout('nginx'),
}, async (t) => {
  const { edge, backend, recorder } = await interopHosts(t)
  await startAgent(backend)
  const directory = testDirectory(t)
  const servers = NGINX_SENDER.map((server, index) =>
    server.replace(';', `; listen unix:${join(directory, `${TO_AGENT + index}.sock`)};`),
  )
  await startNginx(t, edge, servers.join(''), endpoint(IPV4.edge, TO_RECORDER))
  const peer = await answerTo(connect({ path: join(directory, `${TO_AGENT}.sock`) }))
  assert.match(peer, new RegExp(`^${IPV4.edgeSource}:[0-9]+$`))
  const header = await headerBefore(recorder, connect({ path: join(directory, `${TO_RECORDER}.sock`) }), 'hello')
  assertIsAsCaptured(header, 'nginx stream, UNIX client')
})

for (const [addresses, captured] of [
  [IPV4, 'curl --haproxy-protocol'],
  [IPV6, 'curl --haproxy-protocol IPv6'],
] as const) {
  test(`curl --haproxy-protocol gets its page over ${addresses.family}, and the app sees curl's own address`, {
    skip: skipWithout('curl'),
  }, async (t) => {
    const { edge, backend, recorder } = await interopHosts(t)
    await startTruepeer(backend, 'agent', ['-l', '[::]:110', '-4', APP, '-6', APP6, '--allow-all-subnets'])
    const curl = ['--silent', '--show-error', '--haproxy-protocol', '--noproxy', '*', '--max-time', '5']
    const agent = addresses === IPV4 ? AGENT : AGENT6
    const { stdout, stderr } = await edge.run('curl', [...curl, `http://${agent}/`])
    assert.equal(stderr, '')
    assert.equal(stdout.replace(/:[0-9]+$/, ':'), endpoint(addresses.edgeSource, 0).slice(0, -1))
    edge.start('curl', [...curl, `http://${endpoint(addresses.backend, 109)}/`])
    const header = await recordedHeader(recorder)
    assert.equal(namedEnds(header)?.destination, endpoint(addresses.backend, 109))
    assertIsAsCaptured(header, captured)
  })
}

for (const addresses of [IPV4, IPV6]) {
  const listen = endpoint(addresses.edge, 110)
  const server = endpoint(addresses.backend, 120)

  test(`HAProxy behind truepeer edge logs and answers with the ${addresses.family} client's address`, {
    skip: skipWithout('haproxy'),
  }, async (t) => {
    const { client, edge, backend } = await interopHosts(t)
    const section = `listen receiver
  bind ${server} accept-proxy
  mode http
  log global
  log-format "client %ci %cp"
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port]"
`
    const haproxy = await startHaproxy(t, backend, section, server)
    await startTruepeer(edge, 'edge', ['--listen', listen, '--backend', server])
    const socket = await fromClient(client, 110, addresses)
    const answer = await answerTo(socket, 'GET / HTTP/1.0\r\n\r\n')
    assert.equal(answer.split('\r\n\r\n')[1], `${addresses.client} ${CLIENT_PORT}`)
    await haproxy.waitForLine(new RegExp(`^client ${addresses.client} ${CLIENT_PORT}$`))
  })

  test(`nginx behind truepeer edge logs and answers with the ${addresses.family} client's address`, {
    skip: skipWithout('nginx'),
  }, async (t) => {
    const { client, edge, backend } = await interopHosts(t)
    const block = `log_format seen "client $remote_addr $remote_port";
server {
  listen ${server} proxy_protocol;
  set_real_ip_from ${IPV4.edgeSource}; set_real_ip_from ${IPV6.edgeSource};
  access_log access.log seen;
  return "$proxy_protocol_addr $proxy_protocol_port";
}
`
    const directory = await startNginx(t, backend, block, server)
    await startTruepeer(edge, 'edge', ['--listen', listen, '--backend', server])
    assert.equal(await answerTo(await fromClient(client, 110, addresses)), `${addresses.client} ${CLIENT_PORT}`)
    const line = `client ${addresses.client} ${CLIENT_PORT}\n`
    await eventually('nginx logs the client', () => readFileSync(join(directory, 'access.log'), 'utf8').includes(line))
  })
}
