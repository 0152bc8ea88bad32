import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createToken } from '../../src/controller/store/tokens.ts'
import type { DemoHosts } from '../../src/lab/demo/demo-hosts.ts'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { makeCertificate } from '../rig/certificate.ts'
import {
  change,
  type EdgeItem,
  edgeIsAt,
  insertChain,
  insertRule,
  PROJECT,
  startController,
  startFollowingEdge,
} from '../rig/controller.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import type { Running } from '../rig/truepeer.ts'

const ADDRESS = IPV4.edge
const APP_PORT = 110
const ADDRESSES = ['--addresses', ADDRESS]

type Answered = 'served' | 'refused'

/** Hosts with an app on the backend that says "hello" and closes. */
async function hostsWithApp(t: TestContext): Promise<DemoHosts> {
  const hosts = await edgeHosts(t)
  await hosts.backend.listen(`${IPV4.backend}:${APP_PORT}`, (socket) => socket.end('hello'))
  return hosts
}

function startEdge({ edge }: DemoHosts, controller: string, state: string, ready?: RegExp): Promise<Running> {
  const zone = ['--zone', 'us-central1-b']
  return startFollowingEdge(edge, controller, state, zone, ready === undefined ? {} : { ready })
}

async function callPort({ client }: DemoHosts, port: number): Promise<Answered> {
  try {
    const socket = await client.connect({ to: `${ADDRESS}:${port}` })
    assert.equal((await readToEnd(socket)).toString(), 'hello')
    // The client's side is still open: an edge that ends would wait for it.
    socket.destroy()
    return 'served'
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ECONNREFUSED', String(error))
    return 'refused'
  }
}

test('a forwarding rule is served when its insert returns, within a second, and no longer when it is deleted', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  const controller = await startController(hosts.edge, join(directory, 'data'), ADDRESSES)
  const regionFile = join(directory, 'regions.yaml')
  writeFileSync(regionFile, 'regions: []\n')
  const args = ['--zone', 'us-central1-b', '--regions', regionFile]
  const edge = await startFollowingEdge(hosts.edge, controller.url, join(directory, 'state'), args)
  await insertChain(controller, IPV4.backend, APP_PORT)
  const times: number[] = []
  for (const port of [443, 465, 587, 993]) {
    const startedMs = performance.now()
    await insertRule(controller, `rule-${port}`, ADDRESS, port)
    assert.equal(await callPort(hosts, port), 'served')
    times.push(Math.round(performance.now() - startedMs))
  }
  t.diagnostic(`insert until served: ${times.join(', ')} ms`)
  assert.ok(Math.max(...times) < 1_000, `${times}`)
  await change(controller, 'DELETE', 'global/forwardingRules/rule-443')
  assert.equal(await callPort(hosts, 443), 'refused')
  assert.equal(await callPort(hosts, 465), 'served')

  // A mistake in a file of this host keeps no configuration away.
  writeFileSync(regionFile, 'regions: [{ name: cellar }]\n')
  edge.program.signal('SIGHUP')
  await edge.program.waitForLine(/Regions stay where they were: .*regions\[0\]\.latitude: it is missing/)
  await insertRule(controller, 'rule-995', ADDRESS, 995)
  assert.equal(await callPort(hosts, 995), 'served')
})

test('an edge reports health, what it has applied, and why it could not', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  const controller = await startController(hosts.edge, join(directory, 'data'), ADDRESSES)
  await startEdge(hosts, controller.url, join(directory, 'state'))
  await insertChain(controller, IPV4.backend, APP_PORT)
  await insertRule(controller, 'rule', ADDRESS, 443)
  const key = 'service/us-central1-b/group/backend'
  await edgeIsAt(controller, ({ report }) => report?.health[key] === 'HEALTHY')
  const taken = await hosts.edge.listen(`${ADDRESS}:465`, () => {})
  await controller.ask('POST', '/compute/v1/projects/truepeer/global/forwardingRules', {
    name: 'taken',
    IPAddress: ADDRESS,
    IPProtocol: 'TCP',
    portRange: '465-465',
    target: 'global/targetTcpProxies/proxy',
  })
  await edgeIsAt(controller, ({ report }) => report?.refused?.problems.join().includes('"taken"') === true)
  assert.equal(await callPort(hosts, 443), 'served')
  await new Promise((resolve) => taken.close(resolve))
  // Any other version is an occasion to try again.
  await change(controller, 'POST', 'global/healthChecks', { name: 'other', type: 'TCP', tcpHealthCheck: { port: 1 } })
  await edgeIsAt(controller, ({ report }) => report !== undefined && report.refused === undefined)
  assert.equal(await callPort(hosts, 465), 'served')
})

test('a port that cannot be opened holds nothing else back: it is told everywhere, and opened once it is free', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  const state = join(directory, 'state')
  const controller = await startController(hosts.edge, join(directory, 'data'), ADDRESSES)
  const first = await startEdge(hosts, controller.url, state)
  await insertChain(controller, IPV4.backend, APP_PORT)
  const taken = await hosts.edge.listen(`${ADDRESS}:465`, () => {})
  const insert = async (port: number): Promise<string> => {
    const { body } = await controller.ask('POST', `${PROJECT}/global/forwardingRules`, {
      name: `rule-${port}`,
      IPAddress: ADDRESS,
      IPProtocol: 'TCP',
      portRange: `${port}-${port}`,
      target: 'global/targetTcpProxies/proxy',
    })
    return JSON.stringify(body)
  }
  const why = /edge-1 \(Forwarding rule .*rule-465.*EADDRINUSE/
  assert.match(await insert(465), why)
  // Each later change is applied, and says it, too.
  assert.match(await insert(443), why)
  assert.equal(await callPort(hosts, 443), 'served')
  await edgeIsAt(controller, ({ report }) => report?.refused?.version === report?.applied.version)
  const isTold = async ({ status, metric, program }: Running): Promise<void> => {
    const { configuration } = await status()
    assert.match(configuration.unopened.join(), /^Forwarding rule "rule-465": Listening on "[^"]*:465": EADDRINUSE/)
    assert.deepEqual(configuration.problems, [])
    assert.equal(await metric('truepeer_configuration_frontends_not_served'), 1)
    assert.equal(program.texts().filter((line) => line.includes('EADDRINUSE')).length, 1)
  }
  await isTold(first)

  // A process that starts with it serves the rest as well.
  first.program.signal('SIGTERM')
  await first.program.exited
  const second = await startEdge(hosts, controller.url, state, /"msg":"listening"/)
  assert.equal(await callPort(hosts, 443), 'served')
  await isTold(second)
  assert.match(await insert(993), why)
  assert.equal(await callPort(hosts, 993), 'served')
  await new Promise((resolve) => taken.close(resolve))
  await eventually('the port is served', async () => (await callPort(hosts, 465)) === 'served')
  await edgeIsAt(controller, ({ report }) => report !== undefined && report.refused === undefined)
  assert.deepEqual((await second.status()).configuration.unopened, [])
})

test('an edge goes on without its controller, starts without it, and follows it again', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  const data = join(directory, 'data')
  const state = join(directory, 'state')
  const socketPath = join(directory, 'controller.sock')
  const [args, url] = [[...ADDRESSES, '--unix', socketPath], `unix:${socketPath}`]
  const first = await startController(hosts.edge, data, args)
  const { program: edge } = await startEdge(hosts, url, state)
  await insertChain(first, IPV4.backend, APP_PORT)
  await insertRule(first, 'rule', ADDRESS, 443)
  first.program.kill()
  await first.program.exited
  assert.equal(await callPort(hosts, 443), 'served')

  edge.kill()
  await edge.exited
  assert.deepEqual(
    readdirSync(state).map((file) => [file, statSync(join(state, file)).mode & 0o777]),
    [['edge-edge-1.json', 0o600]],
  )
  // Another edge follows, too, when it has heard of the controller last: they still share limits.
  const kept = join(state, 'edge-edge-1.json')
  const configuration = JSON.parse(readFileSync(kept, 'utf8'))
  writeFileSync(kept, JSON.stringify({ ...configuration, edges: { count: 2, index: 1 } }))
  const { program: again, status } = await startEdge(hosts, url, state, /"msg":"listening"/)
  assert.equal(await callPort(hosts, 443), 'served')
  assert.equal((await status()).place.edges, 2)

  const second = await startController(hosts.edge, data, args)
  await again.waitForLine(/following the controller/)
  await insertRule(second, 'other', ADDRESS, 465)
  assert.equal(await callPort(hosts, 465), 'served')
})

test('a controller with another, empty database closes no port, until it has something to serve', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  const state = join(directory, 'state')
  const socketPath = join(directory, 'controller.sock')
  const [args, url] = [[...ADDRESSES, '--unix', socketPath], `unix:${socketPath}`]
  const first = await startController(hosts.edge, join(directory, 'data'), args)
  const { program: edge } = await startEdge(hosts, url, state)
  await insertChain(first, IPV4.backend, APP_PORT)
  await insertRule(first, 'rule', ADDRESS, 443)
  const kept = readFileSync(join(state, 'edge-edge-1.json'), 'utf8')
  await first.program.stop()

  const wrong = await startController(hosts.edge, join(directory, 'wrong'), args)
  await edge.waitForLine(/another database, which has nothing to serve; the last configuration is still in use/)
  let heldVersion = 0
  const isHeld =
    (before: number) =>
    ({ report }: EdgeItem): boolean => {
      heldVersion = report?.refused?.version ?? 0
      return heldVersion > before && report?.refused?.problems.join().includes('another database') === true
    }
  await edgeIsAt(wrong, isHeld(0))
  // Versions without a difference for edges do not make it theirs; the edge says that it has seen them.
  await change(wrong, 'POST', 'global/healthChecks', { name: 'other', type: 'TCP', tcpHealthCheck: { port: 1 } })
  await edgeIsAt(wrong, isHeld(heldVersion))
  assert.equal(await callPort(hosts, 443), 'served')
  assert.equal(readFileSync(join(state, 'edge-edge-1.json'), 'utf8'), kept)
  await wrong.program.stop()

  const again = await startController(hosts.edge, join(directory, 'data'), args)
  await edgeIsAt(again, ({ report }) => report !== undefined && report.refused === undefined)
  await insertRule(again, 'other', ADDRESS, 465)
  assert.equal(await callPort(hosts, 465), 'served')
  await again.program.stop()

  const other = await startController(hosts.edge, join(directory, 'other'), args)
  await edgeIsAt(other, ({ report }) => report?.refused !== undefined)
  await insertChain(other, IPV4.backend, APP_PORT)
  await insertRule(other, 'rule', ADDRESS, 587)
  await eventually('the edge is at the other database', async () => (await callPort(hosts, 587)) === 'served')
  assert.equal(await callPort(hosts, 443), 'refused')
})

test('of two edges of one name the first stays, the second is told, and follows once the first drains', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  const controller = await startController(hosts.edge, join(directory, 'data'), ADDRESSES)
  const { program: first } = await startEdge(hosts, controller.url, join(directory, 'state'))
  const { program: second } = await startEdge(hosts, controller.url, join(directory, 'other'), /"msg":"listening"/)
  await second.waitForLine(
    /409: Another edge follows as .*edge-1.*give each edge a --name of its own.*cannot be followed/,
  )
  await insertChain(controller, IPV4.backend, APP_PORT)
  await insertRule(controller, 'rule', ADDRESS, 443)
  assert.equal(await callPort(hosts, 443), 'served')
  assert.equal(
    (
      first
        .texts()
        .join()
        .match(/cannot be followed/g) ?? []
    ).length,
    0,
  )
  // As in an upgrade: a connection keeps the first one, which is no longer the edge.
  const held = await hosts.client.connect({ to: `${ADDRESS}:443` })
  first.signal('SIGTERM')
  await second.waitForLine(/following the controller/)
  await eventually('the second serves', async () => (await callPort(hosts, 443)) === 'served')
  held.destroy()
})

test('an edge leads no client to its own host, whatever its controller says, unless its operator allows it', async (t) => {
  const hosts = await hostsWithApp(t)
  await hosts.edge.listen(`127.0.0.1:${APP_PORT}`, (socket) => socket.end('hello'))
  const directory = testDirectory(t)
  const data = join(directory, 'data')
  const socketPath = join(directory, 'controller.sock')
  const [args, url] = [[...ADDRESSES, '--unix', socketPath], `unix:${socketPath}`]
  const lax = await startController(hosts.edge, data, [...args, '--allow-local-backends'])
  const state = join(directory, 'state')
  const { program: careful } = await startEdge(hosts, url, state)
  await insertChain(lax, '127.0.0.1', APP_PORT)
  const rule = {
    name: 'rule',
    IPAddress: ADDRESS,
    IPProtocol: 'TCP',
    portRange: '443',
    target: 'global/targetTcpProxies/proxy',
  }
  assert.equal((await lax.ask('POST', '/compute/v1/projects/truepeer/global/forwardingRules', rule)).status, 200)
  const why =
    /backendServices\/service: the backend "127\.0\.0\.1" is of the class "loopback", .*--allow-local-backends/
  await edgeIsAt(lax, ({ report }) => why.test(report?.refused?.problems.join() ?? ''))
  assert.equal(await callPort(hosts, 443), 'refused')
  await careful.stop()

  const { program: allowing } = await startFollowingEdge(hosts.edge, url, state, ['--allow-local-backends'])
  await eventually('it is served', async () => (await callPort(hosts, 443)) === 'served')
  await allowing.stop()
  // Its file is no way around.
  const { program: again } = await startEdge(hosts, url, state, /"msg":"listening"/)
  await again.waitForLine(/The last configuration cannot be used.*|loopback.*The last configuration cannot be used/)
  assert.equal(await callPort(hosts, 443), 'refused')
  await lax.program.stop()

  // A controller without the flag leaves out what one with it took, as soon as anybody follows.
  const strict = await startController(hosts.edge, data, args)
  await strict.program.waitForLine(/class .*loopback.*parts of the configuration cannot be served/)
})

test('an edge does not take the address of its controller', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  const data = join(directory, 'data')
  const [cert, key] = await makeCertificate(directory, IPV4.backend)
  const tls = ['--listen', `${IPV4.backend}:8443`, '--tls-cert', cert, '--tls-key', key]
  const controller = await startController(hosts.backend, data, ['--addresses', `${ADDRESS},${IPV4.backend}`, ...tls])
  const token = join(directory, 'token')
  writeFileSync(token, createToken(data, { user: 'edge-1', role: 'edge' }), { mode: 0o600 })
  const secrets = ['--token-file', token, '--controller-ca', cert, '--assign-addresses']
  const { program } = await startFollowingEdge(
    hosts.edge,
    `https://${IPV4.backend}:8443`,
    join(directory, 'state'),
    secrets,
  )
  await insertChain(controller, IPV4.client, APP_PORT)
  const rule = { name: 'rule', IPAddress: IPV4.backend, portRange: '443', target: 'global/targetTcpProxies/proxy' }
  assert.equal((await controller.ask('POST', '/compute/v1/projects/truepeer/global/forwardingRules', rule)).status, 200)
  await program.waitForLine(new RegExp(`${IPV4.backend}.* is not put on this host: it is that of the controller`))
  await edgeIsAt(controller, ({ report }) => report?.refused?.problems.join().includes('the controller') === true)
  await change(controller, 'DELETE', 'global/forwardingRules/rule')
  await edgeIsAt(controller, ({ isConnected, report }) => isConnected && report?.refused === undefined)
})

test('an edge whose last configuration is damaged waits for the controller', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  mkdirSync(join(directory, 'state'))
  writeFileSync(join(directory, 'state', 'edge-edge-1.json'), '{"format":1,"snap')
  const controller = await startController(hosts.edge, join(directory, 'data'), ADDRESSES)
  const { program } = await startEdge(hosts, controller.url, join(directory, 'state'))
  await program.waitForLine(/The last configuration cannot be used/)
  await insertChain(controller, IPV4.backend, APP_PORT)
  await insertRule(controller, 'rule', ADDRESS, 443)
  assert.equal(await callPort(hosts, 443), 'served')
})
