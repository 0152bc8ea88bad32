// Sockets that a service manager passes to an edge before the edge knows from its controller what to do with them.
import assert from 'node:assert/strict'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type DemoHosts, IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import type { Program } from '../../src/lab/program.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { change, insertChain, insertRule, type LiveController, startController } from '../rig/controller.ts'
import { testDirectory } from '../rig/directory.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { PASS_SOCKETS } from '../rig/pass-sockets.ts'
import { TRUEPEER } from '../rig/truepeer.ts'

const APP_PORT = 110

async function hostsWithApp(t: TestContext): Promise<DemoHosts> {
  const hosts = await edgeHosts(t)
  await hosts.backend.listen(`${IPV4.backend}:${APP_PORT}`, (socket) => socket.end('hello'))
  return hosts
}

/** Starts an edge with a socket for each port, as systemd does. */
function startEdge({ edge }: DemoHosts, ports: readonly number[], state: string): Program {
  const settings = ['--controller', `unix:${socketIn(dirname(state))}`, '--name', 'edge-1', '--state', state]
  const endpoints = ports.map((port) => `${IPV4.edge}:${port}`).join()
  return edge.start('perl', ['-e', PASS_SOCKETS, endpoints, TRUEPEER, 'edge', ...settings])
}

function startHere({ edge }: DemoHosts, directory: string): Promise<LiveController> {
  const args = ['--addresses', IPV4.edge, '--unix', socketIn(directory)]
  return startController(edge, join(directory, 'data'), args)
}

/** Where a controller listens, also the next one. */
function socketIn(directory: string): string {
  return join(directory, 'controller.sock')
}

async function call({ client }: DemoHosts, port: number): Promise<string> {
  const socket = await client.connect({ to: `${IPV4.edge}:${port}` })
  const answer = (await readToEnd(socket)).toString()
  socket.destroy()
  return answer
}

test('a client in the queue of a passed socket is served once the controller says how', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  const edge = startEdge(hosts, [443], join(directory, 'state'))
  await edge.waitForLine(/"frontends":\[\].*"msg":"listening"/)
  assert.match(
    edge.texts().join('\n'),
    /"sockets":\["203\.0\.113\.10:443"\].*The sockets from the service manager, and their clients, wait for the controller/,
  )
  const early = call(hosts, 443)
  // Asking the edge for what is not there yet does no harm.
  edge.signal('SIGHUP')

  const controller = await startHere(hosts, directory)
  await edge.waitForLine(/following the controller/)
  await insertChain(controller, IPV4.backend, APP_PORT)
  await insertRule(controller, 'rule', IPV4.edge, 443)
  assert.equal(await early, 'hello')
  assert.equal(await call(hosts, 443), 'hello')
})

test('of two passed sockets each is served as soon as it has a rule, and waits while it has none', async (t) => {
  const hosts = await hostsWithApp(t)
  const directory = testDirectory(t)
  const state = join(directory, 'state')
  const controller = await startHere(hosts, directory)
  const edge = startEdge(hosts, [443, 465], state)
  await edge.waitForLine(/following the controller/)
  await insertChain(controller, IPV4.backend, APP_PORT)
  await insertRule(controller, 'rule-443', IPV4.edge, 443)
  assert.equal(await call(hosts, 443), 'hello')
  const early = call(hosts, 465)
  await insertRule(controller, 'rule-465', IPV4.edge, 465)
  assert.equal(await early, 'hello')

  await change(controller, 'DELETE', 'global/forwardingRules/rule-443')
  const late = call(hosts, 443)
  assert.equal(await call(hosts, 465), 'hello')
  await insertRule(controller, 'rule-again', IPV4.edge, 443)
  assert.equal(await late, 'hello')

  // The file of the last configuration knows one of the ports only, and the controller is away.
  await change(controller, 'DELETE', 'global/forwardingRules/rule-again')
  assert.equal((await edge.stop()).exitCode, 0)
  controller.program.kill()
  await controller.program.exited
  const again = startEdge(hosts, [443, 465], state)
  await again.waitForLine(/"msg":"listening"/)
  const queued = call(hosts, 443)
  assert.equal(await call(hosts, 465), 'hello')
  const back = await startHere(hosts, directory)
  await again.waitForLine(/following the controller/)
  await insertRule(back, 'rule-443', IPV4.edge, 443)
  assert.equal(await queued, 'hello')
})

test('without a controller, a passed socket that nobody asks for stops the start, and names itself', async (t) => {
  const { edge } = await edgeHosts(t)
  const words = ['edge', '--listen', `${IPV4.edge}:443`, '--backend', `${IPV4.backend}:110`]
  const program = edge.start('perl', ['-e', PASS_SOCKETS, `${IPV4.edge}:465`, TRUEPEER, ...words])
  assert.equal((await program.exited).exitCode, 1)
  assert.match(program.texts().join('\n'), /passed a socket on "203\.0\.113\.10:465", but no listener has that address/)
})
