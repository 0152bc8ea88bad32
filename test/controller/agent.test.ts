import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createToken } from '../../src/controller/store/tokens.ts'
import { type DemoHosts, IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import type { Program } from '../../src/lab/program.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import {
  change,
  insertChain,
  insertRule,
  type LiveController,
  startController,
  startFollowingEdge,
} from '../rig/controller.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts, routeForAgent } from '../rig/hosts.ts'
import { exchange } from '../rig/recording-app.ts'
import { NEEDS_ROOT } from '../rig/skip.ts'
import { startTruepeer, TRUEPEER } from '../rig/truepeer.ts'

const APP = '127.0.0.1:112'
const AGENT_PORT = 110
const AGENT = `${IPV4.backend}:${AGENT_PORT}`

/** An app behind an agent that says who its peer is. */
async function startAgent({ backend }: DemoHosts, controller: string, state: string): Promise<Program> {
  const follows = ['--controller', controller, '--instance', 'backend', '--state', state]
  const ports = ['-l', `${IPV4.backend}:${AGENT_PORT}`, '-4', APP, '-6', '[::1]:112']
  return (await startTruepeer(backend, 'agent', [...ports, ...follows])).program
}

/** What a client gets from the load balancer; undefined: nothing. */
async function peerSeen({ client }: DemoHosts): Promise<string | undefined> {
  try {
    const socket = await client.connect({ to: `${IPV4.edge}:443` })
    return (await readToEnd(socket)).toString()
  } catch {
    return undefined
  }
}

async function hostsWithApp(t: TestContext): Promise<DemoHosts> {
  const hosts = await edgeHosts(t)
  await routeForAgent(hosts.backend)
  await hosts.backend.listen(APP, (socket) => socket.end(socket.remoteAddress ?? ''))
  return hosts
}

test('an agent trusts the edges of its controller, and knows them after a restart without it', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  const state = join(directory, 'agent')
  const controller = await startController(hosts.edge, join(directory, 'data'), ['--addresses', IPV4.edge])
  const agent = await startAgent(hosts, controller.url, state)
  const { program: edge } = await startFollowingEdge(hosts.edge, controller.url, join(directory, 'edge'))
  await insertChain(controller, IPV4.backend, AGENT_PORT)
  await change(controller, 'POST', 'global/targetTcpProxies/proxy/setProxyHeader', { proxyHeader: 'PROXY_V1' })
  await insertRule(controller, 'rule', IPV4.edge, 443)
  await eventually('the client is served as itself', async () => (await peerSeen(hosts)) === IPV4.client)
  assert.equal(statSync(join(state, 'agent-backend.json')).mode & 0o777, 0o600)
  // Not everybody who reaches the port is an edge.
  assert.equal(await exchange(hosts.backend, AGENT, 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n'), '')

  controller.program.kill()
  await agent.stop()
  const again = await startAgent(hosts, controller.url, state)
  // Its health checks failed in between.
  await eventually('the client is served as itself', async () => (await peerSeen(hosts)) === IPV4.client)
  edge.kill()
  await edge.exited
  await again.stop()
})

test('an agent whose controller was never there trusts nobody', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  await startAgent(hosts, `unix:${join(directory, 'none.sock')}`, join(directory, 'state'))
  assert.equal(await exchange(hosts.edge, AGENT, 'PROXY TCP4 209.52.88.4 203.0.113.10 1 2\r\n'), '')
})

test('an edge that the controller has forgotten is not trusted any more', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  const controller = await startController(hosts.backend, join(directory, 'data'), [])
  await startAgent(hosts, controller.url, join(directory, 'state'))
  await reportEdge(controller, [IPV4.edgeSource])
  await eventually('the edge is trusted', () => isServed(hosts))
  assert.equal((await controller.ask('DELETE', '/truepeer/v1/edges/edge-1')).status, 200)
  await eventually('the edge is trusted no more', async () => !(await isServed(hosts)))
})

/** Says to a controller, as an edge, from where backends are connected to. */
async function reportEdge(controller: LiveController, sources: readonly string[]): Promise<void> {
  const report = { applied: { generation: '', version: 0 }, health: {}, sources }
  assert.equal((await controller.ask('POST', '/truepeer/v1/edges/edge-1/status', report)).status, 200)
}

/** Whether the agent takes a header from the host of the edge. */
async function isServed(hosts: DemoHosts): Promise<boolean> {
  return (await exchange(hosts.edge, AGENT, `PROXY TCP4 ${IPV4.client} 203.0.113.10 1234 2\r\n`)) === IPV4.client
}

/** The user of a service, with what the unit of `truepeer agent install` gives it. */
const USER = 65_534
const AS_USER = [
  ...['--reuid', `${USER}`, '--regid', `${USER}`, '--clear-groups', '--no-new-privs'],
  ...['--inh-caps', '-all,+net_raw,+net_bind_service', '--ambient-caps', '-all,+net_raw,+net_bind_service'],
]

test('an ordinary user with a folder and a credential of its own needs no file of root', NEEDS_ROOT, async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  chmodSync(directory, 0o755)
  const data = join(directory, 'data')
  const controller = await startController(hosts.backend, data, ['--listen', '127.0.0.1:8080'])
  await reportEdge(controller, [IPV4.edgeSource])
  const token = createToken(data, { user: 'web', role: 'agent' })
  const file = join(directory, 'token')
  writeFileSync(file, token, { mode: 0o600 })
  const [state, credentials] = ['state', 'credentials'].map((name) => join(directory, name))
  for (const folder of [state, credentials]) mkdirSync(folder, { mode: 0o700 })
  writeFileSync(join(credentials, 'controller-token'), token, { mode: 0o400 })
  for (const path of [state, credentials, join(credentials, 'controller-token')]) chownSync(path, USER, USER)
  const following = ['--controller', 'http://127.0.0.1:8080', '--instance', 'web', '--token-file', file]
  const ports = ['-l', `${IPV4.backend}:${AGENT_PORT}`, '-4', APP]
  const words = [...AS_USER, TRUEPEER, 'agent', ...ports, ...following, '--state', state]
  const without = await hosts.backend.run('setpriv', words)
  assert.match(without.stderr, /--token-file .*EACCES.*give a readable file/)
  const agent = hosts.backend.start('env', [`CREDENTIALS_DIRECTORY=${credentials}`, 'setpriv', ...words])
  await eventually('the edge is trusted', async () => agent.texts().join().includes('listening') && isServed(hosts))
  const { mode, uid } = statSync(join(state, 'agent-web.json'))
  assert.deepEqual([mode & 0o777, uid], [0o600, USER])
  assert.equal((await agent.stop()).exitCode, 0)
})

test('a credential of the service manager stands in for the file of the token', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  const data = join(directory, 'data')
  const controller = await startController(hosts.backend, data, [])
  const token = createToken(data, { user: 'web', role: 'agent' })
  const file = join(directory, 'token')
  writeFileSync(file, `tp_${'0'.repeat(12)}_${'A'.repeat(43)}`, { mode: 0o600 })
  writeFileSync(join(directory, 'controller-token'), token)
  const listening = ['-l', `${IPV4.backend}:${AGENT_PORT}`, '-4', APP]
  const following = ['--controller', controller.url, '--instance', 'web', '--token-file', file]
  const words = [TRUEPEER, 'agent', ...listening, ...following, '--state', join(directory, 'state')]
  const without = hosts.backend.start('env', words)
  await without.waitForLine(/status 401: The bearer token is not valid/)
  await without.stop()
  const agent = hosts.backend.start('env', [`CREDENTIALS_DIRECTORY=${directory}`, ...words])
  await agent.waitForLine(/following the controller/)
  assert.equal((await agent.stop()).exitCode, 0)
})

test('SIGHUP applies another controller of the file, or refuses it; addresses need no SIGHUP', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  const [first, second] = await Promise.all(
    ['first', 'second'].map((name) => startController(hosts.backend, join(directory, name), [])),
  )
  await reportEdge(first, [IPV4.edgeSource])
  const file = join(directory, 'agent.yaml')
  const write = (controller: string): void => {
    const listener = `{ listen: "${IPV4.backend}:${AGENT_PORT}", target4: "${APP}" }`
    writeFileSync(file, `${controller}\nstate: ${directory}/state\nlisteners: [${listener}]\n`)
  }
  const followed = ({ url }: LiveController, instance: string) => `controller: "${url}"\ninstance: ${instance}`
  write(followed(first, 'one'))
  const agent = hosts.backend.start(TRUEPEER, ['agent', '--config', file])
  await agent.waitForLine(/"msg":"listening"/)
  await eventually('the edge of the first controller is trusted', () => isServed(hosts))

  write(`${followed(second, 'two')}\ntokenFile: ${directory}/none`)
  agent.signal('SIGHUP')
  await agent.waitForLine(/The reload failed and nothing was changed: --token-file .*none.*give a readable file/)
  assert.equal(await isServed(hosts), true)
  // Half an edit does not keep a change of the edges from being applied.
  writeFileSync(file, 'listeners: [')
  await reportEdge(first, [])
  await eventually('the edge is trusted no more', async () => !(await isServed(hosts)))

  write(followed(second, 'two'))
  agent.signal('SIGHUP')
  await agent.waitForLine(/"msg":"reloaded"/)
  await reportEdge(second, ['192.0.2.7'])
  await agent.waitForLine(/"edges":\["192\.0\.2\.7\/32"\],"msg":"trusted edges"/)
  await reportEdge(first, [IPV4.edgeSource])
  await reportEdge(second, ['192.0.2.8'])
  await agent.waitForLine(/"edges":\["192\.0\.2\.8\/32"\],"msg":"trusted edges"/)
  const trusted = agent.texts().filter((line) => line.includes(`"edges":["${IPV4.edgeSource}/32"]`))
  assert.equal(trusted.length, 1, 'what the first controller says counts no more')
  await reportEdge(second, [IPV4.edgeSource])
  await eventually('the edge of the second controller is trusted', () => isServed(hosts))
  assert.equal((await agent.stop()).exitCode, 0)
})
