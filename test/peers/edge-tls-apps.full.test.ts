// Real apps in the clear behind a TLS frontend and an agent: each sees its client's own address.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { testDirectory } from '../rig/directory.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { type InteropHosts, interopHosts } from '../rig/interop-hosts.ts'
import { resources } from '../rig/resources.ts'
import { skipWithout } from '../rig/skip.ts'
import { certificateResource, LEAF, policyResource, ROOT } from '../rig/ssl-resources.ts'
import { startTruepeer } from '../rig/truepeer.ts'
import { MAIL_PASSWORD, MAIL_USER, startDovecot } from './dovecot.ts'

const CLIENT = IPV4.client.replaceAll('.', '\\.')

/** A port of a frontend, and that of the app on 127.0.0.1; the agent between them has the frontend's. */
type Route = { readonly name: string; readonly tls: number; readonly app: number }

/** Starts agents and the edge for these routes; returns the hosts, and where the root's certificate is. */
async function chain(t: TestContext, routes: readonly Route[]): Promise<InteropHosts & { readonly root: string }> {
  const hosts = await interopHosts(t, { hasApp: false })
  for (const { tls, app } of routes) {
    const addresses = ['-l', `${IPV4.backend}:${tls}`, '-4', `${IPV4.app}:${app}`]
    await startTruepeer(hosts.backend, 'agent', [...addresses, '--allow-all-subnets'])
  }
  const ssl = { sslCertificates: ['mine'], sslPolicy: 'my-ssl-policy', proxyHeader: 'PROXY_V1' }
  const entries = <Value>(make: (route: Route) => Value): Record<string, Value> =>
    Object.fromEntries(routes.map((route) => [route.name, make(route)]))
  await startConfiguredEdge(t, hosts.edge, [
    ...resources({
      frontends: entries(({ name, tls }) => ({ listen: `${IPV4.edge}:${tls}`, service: name, proxy: ssl })),
      services: entries(({ name, tls }) => ({ groups: { [name]: { endpoints: [`${IPV4.backend}:${tls}`] } } })),
    }),
    certificateResource('mine', LEAF),
    policyResource('my-ssl-policy', { profile: 'MODERN', minTlsVersion: 'TLS_1_2' }),
  ])
  const root = join(testDirectory(t), 'root.pem')
  writeFileSync(root, ROOT.certificatePem)
  return { ...hosts, root }
}

test('redis-cli --tls', { skip: skipWithout('redis-server', 'redis-cli') }, async (t) => {
  const { client, backend, root } = await chain(t, [{ name: 'redis', tls: 6380, app: 6379 }])
  const options = ['--port', '6379', '--bind', IPV4.app, '--save', '', '--protected-mode', 'no']
  const server = backend.start('redis-server', [...options, '--dir', testDirectory(t)])
  await server.waitForLine(/Ready to accept connections/)
  const cli = (words: readonly string[], input?: string) =>
    client.run(
      'redis-cli',
      ['-h', IPV4.edge, '-p', '6380', '--tls', '--sni', 'app.example', '--cacert', root, ...words],
      { timeoutMs: 60_000, ...(input === undefined ? {} : { input }) },
    )
  const listed = await cli(['client', 'list'])
  assert.match(listed.stdout, new RegExp(` addr=${CLIENT}:\\d+ .*cmd=client\\|list`), listed.stderr)
  const value = 'truepeer '.repeat(1_000_000)
  assert.equal((await cli(['-x', 'set', 'large'], value)).stdout.trim(), 'OK')
  assert.equal((await cli(['--raw', 'get', 'large'])).stdout, `${value}\n`)
})

test('mosquitto_sub and mosquitto_pub over TLS', { skip: skipWithout('mosquitto', 'mosquitto_sub') }, async (t) => {
  const { client, backend, root } = await chain(t, [{ name: 'mqtt', tls: 8883, app: 1883 }])
  const path = join(testDirectory(t), 'mosquitto.conf')
  writeFileSync(path, `listener 1883 ${IPV4.app}\nallow_anonymous true\nlog_dest stderr\nuser root\n`)
  const broker = backend.start('mosquitto', ['-c', path, '-v'])
  await broker.waitForLine(/mosquitto version .* running/)
  // It has no flag for a name to verify beside the address: --insecure leaves the name out, and the chain is verified.
  const options = ['-h', IPV4.edge, '-p', '8883', '--cafile', root, '--insecure', '-t', 'news']
  const subscriber = client.start('stdbuf', ['-oL', 'mosquitto_sub', ...options])
  await broker.waitForLine(/Sending SUBACK/)
  const { exitCode, stderr } = await client.run('mosquitto_pub', [...options, '-m', 'Hello, world'])
  assert.equal(exitCode, 0, stderr)
  await subscriber.waitForLine(/^Hello, world$/)
  await broker.waitForLine(new RegExp(`New connection from ${CLIENT}:\\d+ on port 1883`))
})

test("IMAPS and POP3S to Dovecot in the clear: its log has the client's address", {
  skip: skipWithout('dovecot', 'curl', 'openssl'),
}, async (t) => {
  const { client, backend, root } = await chain(t, [
    { name: 'imap', tls: 993, app: 143 },
    { name: 'pop3', tls: 995, app: 1110 },
  ])
  const dovecot = await startDovecot(t, backend, IPV4.app, { imap: 143, pop3: 1110 })
  const ask = (url: string, ...more: string[]) => {
    const name = ['--cacert', root, '--connect-to', `app.example::${IPV4.edge}:`]
    return client.run('curl', ['-sS', ...name, '-u', `${MAIL_USER}:${MAIL_PASSWORD}`, ...more, url])
  }
  const imap = await ask('imaps://app.example/', '--request', 'CAPABILITY')
  assert.match(imap.stdout, /^\* CAPABILITY IMAP4rev1/m, `${imap.stderr}${dovecot.texts().join('\n')}`)
  const pop3 = await ask('pop3s://app.example/')
  assert.equal(pop3.exitCode, 0, pop3.stderr)
  await eventually('both logins are in the log', () => {
    const log = dovecot.texts().join('\n')
    return ['imap', 'pop3'].every((name) => new RegExp(`${name}-login: Info: Login: .*rip=${CLIENT},`).test(log))
  })
  const { stdout } = await client.run(
    'openssl',
    ['s_client', '-connect', `${IPV4.edge}:993`, '-CAfile', root, '-verify_return_error', '-quiet', '-crlf'],
    { input: 'a LOGOUT\n' },
  )
  assert.match(stdout, /^\* OK .*\r\n\* BYE/m)
})
