import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { loadQuestion } from '../../src/proxy-protocol/load-report.ts'
import { AGENT, APP, APP6, CLIENT, headerFrom, startAgent } from '../rig/agent.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts, BACKEND, EDGE } from '../rig/hosts.ts'
import { startTruepeer, TRUEPEER } from '../rig/truepeer.ts'

async function ask(edge: Host, to: string, header: string | Uint8Array): Promise<string> {
  const socket = await edge.connect({ to })
  const answer = readToEnd(socket)
  socket.end(header)
  return (await answer).toString()
}

async function isRefused(edge: Host, to: string): Promise<boolean> {
  try {
    const socket = await edge.connect({ to, timeoutMs: 1_000 })
    socket.destroy()
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED'
  }
}

const FLAGS = ['-4', APP, '-6', APP6]

test('a configuration file opens several ports, and SIGHUP applies the difference without touching a connection', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const greet = (text: string) => (socket: import('node:net').Socket) => {
    socket.write(text)
    socket.on('end', () => socket.end())
    socket.resume()
  }
  await backend.listen('127.0.0.1:112', greet('one'))
  await backend.listen('127.0.0.1:113', greet('two'))
  const path = join(tmpdir(), `agent-${process.pid}-${Date.now()}.yaml`)
  const write = (listeners: readonly string[]): void =>
    writeFileSync(path, `listeners:\n${listeners.map((text) => `  - ${text}\n`).join('')}`)
  const first = `{listen: "${BACKEND}:110", target4: "127.0.0.1:112", allowAllSubnets: true}`
  write([first, `{listen: "${BACKEND}:111", target4: "127.0.0.1:112", allowAllSubnets: true}`])
  const program = backend.start(TRUEPEER, ['agent', '--config', path])
  await program.waitForLine(/"listen":"10.128.0.2:111"/)
  await eventually('both ports are open', async () => !(await isRefused(edge, `${BACKEND}:111`)))

  const established = await edge.connect({ to: AGENT })
  const stream = readToEnd(established)
  established.write(headerFrom(CLIENT))
  assert.equal(await ask(edge, `${BACKEND}:111`, headerFrom(CLIENT, 40_001)), 'one')

  write([
    `{listen: "${BACKEND}:110", target4: "127.0.0.1:113", allowAllSubnets: true}`,
    `{listen: "${BACKEND}:115", allowAllSubnets: true}`,
  ])
  const before = program.output.length
  program.signal('SIGHUP')
  await program.waitForLine(/reloaded/, { from: before })
  await eventually('the removed port is closed', () => isRefused(edge, `${BACKEND}:111`))
  assert.equal(await isRefused(edge, `${BACKEND}:115`), false, 'the added one is open')
  assert.equal(await ask(edge, AGENT, headerFrom(CLIENT, 40_002)), 'two', 'new connections follow the change')

  for (const broken of [
    'listeners: []',
    'listeners: [',
    `listeners: [{listen: "192.0.2.77:110", allowAllSubnets: true}]`,
  ]) {
    writeFileSync(path, broken)
    const from = program.output.length
    program.signal('SIGHUP')
    await program.waitForLine(/The reload failed and nothing was changed/, { from })
    assert.equal(await ask(edge, AGENT, headerFrom(CLIENT, 40_003)), 'two')
  }
  established.end()
  assert.equal((await stream).toString(), 'one', 'the connection of before goes on as it began')
})

test('with --app-check close-port the port is open only while the app listens', async (t) => {
  const { edge, backend } = await agentHosts(t)
  const flags = ['agent', '-l', AGENT, ...FLAGS, '--allow-all-subnets', '--app-check', 'close-port']
  const program = backend.start(TRUEPEER, flags)
  await program.waitForLine(/port closed: the app does not listen/)
  assert.equal(await isRefused(edge, AGENT), true, 'closed at first')
  const app = await backend.listen(APP, (socket) => socket.end('hello'))
  await eventually('the port opens', async () => !(await isRefused(edge, AGENT)))
  assert.equal(await ask(edge, AGENT, headerFrom(CLIENT)), 'hello')
  app.close()
  await eventually('the port closes', () => isRefused(edge, AGENT))
})

test('an edge that asks for the load gets one JSON document, and the app is not disturbed', async (t) => {
  const { edge, backend } = await agentHosts(t)
  let connections = 0
  const app = await backend.listen(APP, () => {
    connections += 1
  })
  const agent = await startAgent(backend)
  const question = loadQuestion()

  const up = JSON.parse(await ask(edge, AGENT, question))
  assert.equal(up.app_listening, true)
  assert.equal(up.open_connections, 1, 'the question itself')
  for (const name of ['cpu_utilization', 'mem_utilization'])
    assert.ok(up[name] >= 0 && up[name] <= 1, `${name} ${up[name]}`)
  await new Promise((resolve) => app.close(resolve))
  const down = JSON.parse(await ask(edge, AGENT, question))
  assert.equal(down.app_listening, false)
  assert.equal(connections, 0)
  assert.equal(await agent.metric('truepeer_connections_ended_total{reason="answered"}'), 2)
})

test('/connections lists what is open, with both addresses and the bytes so far', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await backend.listen(APP, (socket) => socket.write('hello'))
  const agent = await startAgent(backend)
  const socket = await edge.connect({ to: AGENT })
  socket.write(`${headerFrom(CLIENT, 51_234)}abc`)
  await new Promise((resolve) => socket.once('data', resolve))
  const [connection, ...others] = JSON.parse(await agent.read('/connections'))
  assert.deepEqual(others, [])
  assert.equal(connection.client, `${CLIENT}:51234`)
  assert.match(connection.peer, new RegExp(`^${EDGE}:`))
  assert.deepEqual(
    [connection.target, connection.bytesFromClient, connection.bytesFromBackend, connection.phase],
    [APP, 3, 5, 'Relaying'],
  )
  socket.destroy()
})

test('with --max-utilization an edge hears from the agent that its app is down, and that it is back', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startAgent(backend)
  const flags = ['--max-utilization', '1', '--check-interval', '100ms', '--check-timeout', '100ms']
  const { program } = await startTruepeer(edge, 'edge', ['--listen', `${EDGE}:700`, '--backend', AGENT, ...flags])
  await program.waitForLine(/the app of a backend does not listen/)
  await backend.listen(APP, (socket) => socket.end('hello'))
  await program.waitForLine(/the app of a backend listens/)
})
