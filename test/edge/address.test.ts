import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { echoThrough } from '../rig/agent.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts, BACKEND, EDGE } from '../rig/hosts.ts'
import { resources } from '../rig/resources.ts'
import { COLD, startTruepeer, TRUEPEER } from '../rig/truepeer.ts'

const ADDRESS = '203.0.113.10'
const ADDRESS6 = '2001:db8:203::10'
const FRONTEND = `${ADDRESS}:110`
const FRONTEND6 = `[${ADDRESS6}]:110`
const APP_ENDPOINT = `${BACKEND}:9001`
const ONE_LINE = ['--listen', FRONTEND, '--backend', APP_ENDPOINT, '--proxy-header', 'NONE']

function greet(backend: Host): Promise<unknown> {
  return backend.listen(APP_ENDPOINT, (socket) => socket.on('end', () => socket.end('hello')).resume())
}

function ask(from: Host, to = FRONTEND): Promise<string> {
  return echoThrough(from, 'x', to, '')
}

async function isOnLoopback(host: Host, address: string): Promise<boolean> {
  return (await host.ip('address show dev lo')).includes(` ${address}/`)
}

test('an address that is not there yet can be listened on, with a warning, and serves once it is there', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await greet(backend)
  const { program } = await startTruepeer(edge, 'edge', ONE_LINE)
  const warning = await program.waitForLine(/Some addresses of frontends are not on this host/)
  assert.match(warning, /"addresses":\["203\.0\.113\.10"\]/)
  assert.notEqual(await ask(edge), 'hello')
  await edge.ip(`address add ${ADDRESS}/32 dev lo`)
  assert.equal(await ask(edge), 'hello')
})

test('--assign-addresses puts addresses on lo, and takes away only its own, when no connection uses them', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await greet(backend)
  await edge.ip('address add 203.0.113.11/32 dev lo')
  const frontends = [FRONTEND, '203.0.113.11:110', FRONTEND6]
  const described = (listened: readonly string[]): object[] =>
    resources({
      frontends: Object.fromEntries(
        listened.map((listen) => [`rule-${frontends.indexOf(listen)}`, { listen, service: 'web' }]),
      ),
      services: { web: { groups: { 'web-neg': { endpoints: [APP_ENDPOINT] } }, healthCheck: {} } },
    })
  const { program, reload } = await startConfiguredEdge(t, edge, described(frontends), ['--assign-addresses'])
  assert.deepEqual(await Promise.all(frontends.map((listen) => ask(edge, listen))), ['hello', 'hello', 'hello'])

  // The first rule goes while it has a connection: that still needs the address.
  const held = await edge.connect({ to: FRONTEND })
  const answer = readToEnd(held)
  assert.equal(await reload(described(frontends.slice(1))), 'ok')
  await eventually('the port is closed', async () => (await ask(edge)) === 'ECONNREFUSED')
  assert.equal(await isOnLoopback(edge, ADDRESS), true)
  held.end()
  assert.equal((await answer).toString(), 'hello')
  await eventually('the address is taken away', async () => !(await isOnLoopback(edge, ADDRESS)))

  program.signal('SIGTERM')
  await program.exited
  assert.equal(await isOnLoopback(edge, ADDRESS6), false)
  assert.equal(await isOnLoopback(edge, '203.0.113.11'), true, 'it was there before')
})

test('--assign-addresses takes back what a reload has put on lo when that reload fails', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await greet(backend)
  const [taken, further] = ['127.0.0.1:4444', '203.0.113.12']
  await edge.listen(taken, (socket) => socket.destroy())
  const described = (listened: readonly string[]): object[] =>
    resources({
      frontends: Object.fromEntries(listened.map((listen, index) => [`rule-${index}`, { listen, service: 'web' }])),
      services: { web: { groups: { 'web-neg': { endpoints: [APP_ENDPOINT] } } } },
    })
  const { program, reload } = await startConfiguredEdge(t, edge, described([FRONTEND]), ['--assign-addresses'])
  assert.equal(await reload(described([FRONTEND, `${further}:110`, taken])), 'failed')
  await program.waitForLine(/127\.0\.0\.1:4444.*EADDRINUSE/)
  assert.deepEqual([await isOnLoopback(edge, ADDRESS), await isOnLoopback(edge, further)], [true, false])
  assert.equal(await reload(described([FRONTEND, `${further}:110`])), 'ok')
  assert.equal(await ask(edge, `${further}:110`), 'hello')
})

test('--assign-addresses never takes an address that the edge needs itself', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await greet(backend)
  const router = '10.128.0.77'
  const router6 = '2001:db8:10::77'
  await edge.ip(`route add 198.51.100.0/24 via ${router}`)
  await edge.ip(`-6 route add 2001:db8:99::/48 via ${router6}`)
  // As on a host with several uplinks.
  await edge.ip('route add 198.51.101.0/24 via 10.128.0.78 table 77')
  const described = (listened: readonly string[]): object[] =>
    resources({
      frontends: Object.fromEntries(
        listened.map((listen, index) => [`rule-${index}`, { listen, service: 'web' }] as const),
      ),
      services: { web: { groups: { 'web-neg': { endpoints: [APP_ENDPOINT] } }, healthCheck: {} } },
    })
  const { program, reload } = await startConfiguredEdge(t, edge, described([FRONTEND]), ['--assign-addresses'])
  for (const [address, what] of [
    [BACKEND, 'a backend'],
    [router, 'a router of this host'],
    [router6, 'a router of this host'],
    ['10.128.0.78', 'a router of this host'],
  ] as const) {
    const listen = address.includes(':') ? `[${address}]:112` : `${address}:112`
    assert.equal(await reload(described([FRONTEND, listen])), 'failed')
    await program.waitForLine(
      new RegExp(`The address .*${address}.* is not put on this host: it is that of ${what}; give`),
    )
    assert.equal(await isOnLoopback(edge, address), false)
  }
  assert.equal(await ask(edge), 'hello')

  // Nor may an address that it has become one that it needs.
  const backwards = resources({
    frontends: { 'rule-0': { listen: FRONTEND, service: 'web' } },
    services: { web: { groups: { 'web-neg': { endpoints: [APP_ENDPOINT, `${ADDRESS}:9001`] } }, healthCheck: {} } },
  })
  assert.equal(await reload(backwards), 'failed')
  assert.equal(await reload(described([FRONTEND])), 'ok')
})

test('backends at link-local addresses are taken only with --allow-local-backends, and those at loopback always', async (t) => {
  const { edge } = await agentHosts(t)
  for (const [backend, args, expected] of [
    ['169.254.169.254:80', [], 2],
    ['[fe80::1]:80', [], 2],
    ['[::ffff:169.254.169.254]:80', [], 2],
    ['169.254.169.254:80', ['--allow-local-backends'], 0],
    ['127.0.0.1:80', [], 0],
    ['[::1]:80', [], 0],
  ] as const) {
    const words = ['edge', '--listen', FRONTEND, '--backend', backend, '--check', ...args]
    const { exitCode, stderr } = await edge.run(TRUEPEER, words)
    assert.equal(exitCode, expected, `${backend}: ${stderr}`)
    if (expected === 2)
      assert.match(
        stderr,
        /^command line: .*link-local.*; give the address of another host, or start .*--allow-local-backends\n$/,
      )
  }
})

test('what of a configuration is perhaps not meant is in the log when the edge starts', async (t) => {
  const { edge } = await agentHosts(t)
  const words = ['--listen', FRONTEND, '--backend', '127.0.0.1:80', '--unlimited-clients', '0.0.0.0/0', ...COLD]
  const program = edge.start(TRUEPEER, ['edge', ...words])
  await program.waitForLine(/"level":"warn".*"msg":"The configuration: --unlimited-clients/)
  await program.stop()
})

test('after kill -9 the next edge takes the address over, and a draining one leaves it to its successor', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await greet(backend)
  const flags = [...ONE_LINE, '--assign-addresses', '--drain-timeout', '20s']
  const killed = await startTruepeer(edge, 'edge', flags)
  killed.program.signal('SIGKILL')
  await killed.program.exited
  assert.equal(await isOnLoopback(edge, ADDRESS), true)

  const old = await startTruepeer(edge, 'edge', flags)
  const held = await edge.connect({ to: FRONTEND })
  await eventually('established', async () => JSON.parse(await old.read('/connections')).length === 1)
  const successor = await startTruepeer(edge, 'edge', flags)
  old.program.signal('SIGTERM')
  await old.program.waitForLine(/draining/)
  held.destroy()
  await old.program.exited
  assert.equal(await isOnLoopback(edge, ADDRESS), true)
  assert.equal(await ask(edge), 'hello')
  successor.program.signal('SIGTERM')
  await successor.program.exited
  assert.equal(await isOnLoopback(edge, ADDRESS), false)
})

test('without the privilege --assign-addresses is refused with the remedy', async (t) => {
  const { edge } = await agentHosts(t)
  const command = ['--inh-caps=-net_admin', '--bounding-set=-net_admin', '--', TRUEPEER, 'edge', ...ONE_LINE]
  const { exitCode, stderr } = await edge.run('setpriv', [...command, '--assign-addresses'])
  assert.equal(exitCode, 1)
  assert.match(stderr, /Addresses cannot be put on "lo": .*not permitted; run the edge as root or with CAP_NET_ADMIN/)
})

test('--source-ranges: backends see each of the addresses in turn; one that is not on the host is an error', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const seen = new Set<string>()
  await backend.listen(APP_ENDPOINT, (socket) => {
    seen.add(String(socket.remoteAddress))
    socket.on('end', () => socket.end('hello')).resume()
  })
  await edge.ip('address add 35.191.7.0/31 dev lo')
  await edge.ip('address add 35.191.7.1/31 dev lo')
  const listen = ['--listen', `${EDGE}:700`, '--backend', APP_ENDPOINT, '--proxy-header', 'NONE']
  const flags = [...listen, '--check-interval', '1h', '--check-timeout', '1s', '--source-ranges']
  await startTruepeer(edge, 'edge', [...flags, '35.191.7.0/31'])
  seen.clear()
  for (let turn = 0; turn < 4; turn++) assert.equal(await ask(edge, `${EDGE}:700`), 'hello')
  assert.deepEqual([...seen].sort(), ['35.191.7.0', '35.191.7.1'])

  const missing = await edge.run(TRUEPEER, ['edge', ...flags, '35.191.7.1,35.191.7.2/31'])
  assert.equal(missing.exitCode, 1)
  assert.match(
    missing.stderr,
    /--source-ranges: "35\.191\.7\.2" is not an address of this host; add it to an interface \("ip address add/,
  )
  assert.match(missing.stderr, /"35\.191\.7\.3" is not/)
})
