import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type DemoHosts, IPV4 } from '../src/lab/demo-hosts.ts'
import type { Program } from '../src/lab/program.ts'
import { readToEnd } from '../src/lab/sockets.ts'
import { eventually, TRUEPEER } from './agent-host.ts'
import { edgeHosts, testDirectory } from './edge-host.ts'
import { change, insertChain, insertRule, startController } from './live-controller.ts'

const APP = '127.0.0.1:112'
const AGENT_PORT = 110

/** An app behind an agent that says who its peer is. */
async function startAgent(hosts: DemoHosts, socketPath: string, state: string): Promise<Program> {
  const { backend } = hosts
  const controller = ['--controller', `unix:${socketPath}`, '--instance', 'backend', '--state', state]
  const ports = ['-l', `${IPV4.backend}:${AGENT_PORT}`, '-4', APP, '-6', '[::1]:112']
  const agent = backend.start(TRUEPEER, ['agent', ...ports, ...controller])
  await agent.waitForLine(/"msg":"listening"/)
  return agent
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
  await hosts.backend.ip('rule add from 127.0.0.0/8 iif lo lookup 100')
  await hosts.backend.ip('route add local 0.0.0.0/0 dev lo table 100')
  await hosts.backend.listen(APP, (socket) => socket.end(socket.remoteAddress ?? ''))
  return hosts
}

test('an agent trusts the edges of its controller, and knows them after a restart without it', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  const state = join(directory, 'agent')
  const controller = await startController(hosts.edge, join(directory, 'data'), ['--addresses', IPV4.edge])
  const { socketPath } = controller
  const agent = await startAgent(hosts, socketPath, state)
  const name = ['--controller', `unix:${socketPath}`, '--name', 'edge-1', '--state', join(directory, 'edge')]
  const edge = hosts.edge.start(TRUEPEER, ['edge', ...name])
  await edge.waitForLine(/following the controller/)
  await insertChain(controller, IPV4.backend, AGENT_PORT)
  await change(controller, 'POST', 'global/targetTcpProxies/proxy/setProxyHeader', { proxyHeader: 'PROXY_V1' })
  await insertRule(controller, 'rule', IPV4.edge, 443)
  await eventually('the client is served as itself', async () => (await peerSeen(hosts)) === IPV4.client)
  assert.equal(statSync(join(state, 'agent-backend.json')).mode & 0o777, 0o600)
  // Not everybody who reaches the port is an edge.
  const foreign = await hosts.backend.connect({ to: `${IPV4.backend}:${AGENT_PORT}` })
  foreign.write('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n')
  assert.equal((await readToEnd(foreign).catch(() => Buffer.alloc(0))).length, 0)

  controller.program.kill()
  await agent.stop()
  const again = await startAgent(hosts, socketPath, state)
  // Its health checks failed in between.
  await eventually('the client is served as itself', async () => (await peerSeen(hosts)) === IPV4.client)
  edge.kill()
  await edge.exited
  await again.stop()
})

test('an agent whose controller was never there trusts nobody', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  await startAgent(hosts, join(directory, 'none.sock'), join(directory, 'state'))
  const edge = await hosts.edge.connect({ to: `${IPV4.backend}:${AGENT_PORT}` })
  edge.write('PROXY TCP4 209.52.88.4 203.0.113.10 1 2\r\n')
  assert.equal((await readToEnd(edge).catch(() => Buffer.alloc(0))).length, 0)
})

test('an edge that the controller has forgotten is not trusted any more', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  const controller = await startController(hosts.backend, join(directory, 'data'), [])
  await startAgent(hosts, controller.socketPath, join(directory, 'state'))
  const report = { applied: { generation: '', version: 0 }, health: {}, sources: [IPV4.edgeSource] }
  assert.equal((await controller.ask('POST', '/truepeer/v1/edges/edge-1/status', report)).status, 200)
  const isServed = async (): Promise<boolean> => {
    const edge = await hosts.edge.connect({ to: `${IPV4.backend}:${AGENT_PORT}` })
    edge.write(`PROXY TCP4 ${IPV4.client} 203.0.113.10 1234 2\r\n`)
    return (await readToEnd(edge).catch(() => '')).toString() === IPV4.client
  }
  await eventually('the edge is trusted', isServed)
  assert.equal((await controller.ask('DELETE', '/truepeer/v1/edges/edge-1')).status, 200)
  await eventually('the edge is trusted no more', async () => !(await isServed()))
})
