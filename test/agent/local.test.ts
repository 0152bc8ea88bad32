import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readToEnd } from '../../src/lab/sockets.ts'
import { AGENT, APP, APP6, CLIENT, headerFrom, startAgent } from '../rig/agent.ts'
import { agentHosts, BACKEND, EDGE } from '../rig/hosts.ts'
import { answerOf, exchange, startRecordingApp } from '../rig/recording-app.ts'
import { startTruepeer } from '../rig/truepeer.ts'

const LOCAL_V2 = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex')
const UNKNOWN_V1 = Buffer.from('PROXY UNKNOWN\r\n')

for (const [name, header] of [
  ['LOCAL', LOCAL_V2],
  ['UNKNOWN', UNKNOWN_V1],
] as const) {
  test(`with --local check a ${name} probe is answered from the socket table, and the app sees no connection`, async (t) => {
    const { edge, backend } = await agentHosts(t)
    let connections = 0
    const app = await backend.listen(APP, (socket) => {
      connections += 1
      socket.end('hello')
    })
    const agent = await startAgent(backend, ['--local', 'check'])

    const probe = await edge.connect({ to: AGENT })
    probe.write(header)
    assert.equal((await readToEnd(probe)).length, 0, 'closed in order, without a byte')
    assert.equal(connections, 0)
    assert.equal(await agent.metric('truepeer_connections_ended_total{reason="local-probe"}'), 1)

    const client = await edge.connect({ to: AGENT })
    client.write(headerFrom(CLIENT))
    assert.equal((await readToEnd(client)).toString(), 'hello', 'a client is served all the same')
    client.end()

    await new Promise((resolve) => app.close(resolve))
    const failing = await edge.connect({ to: AGENT })
    failing.write(header)
    await assert.rejects(readToEnd(failing), { code: 'ECONNRESET' }, 'reset while the app does not listen')
    assert.equal(await agent.metric('truepeer_connections_ended_total{reason="app-down"}'), 1)
  })
}

test('by default a LOCAL connection is forwarded to the app', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await backend.listen(APP, (socket) => socket.end('hello'))
  await startAgent(backend)
  const probe = await edge.connect({ to: AGENT })
  probe.write(LOCAL_V2)
  assert.equal((await readToEnd(probe)).toString(), 'hello')
  probe.end()
})

test("with --local check a client on the load balancer's own host is a client, and keeps its port", async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend, [APP])
  const agent = await startAgent(backend, ['--local', 'check'])
  assert.equal(await exchange(edge, AGENT, [headerFrom(EDGE, 51_001), 'x']), answerOf(`${EDGE}:51001`, 'x'))
  const probe = await edge.connect({ to: AGENT })
  probe.end(headerFrom(EDGE, probe.localPort))
  assert.equal((await readToEnd(probe)).length, 0)
  assert.equal(await agent.metric('truepeer_connections_ended_total{reason="local-probe"}'), 1)
  // Also where that host is this one.
  const own = await exchange(backend, AGENT, [headerFrom(BACKEND, 51_002), 'x'])
  assert.equal(own, answerOf(`${BACKEND}:51002`, 'x'))
})

test('a header without a client from a link-local peer shows the app that peer', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await backend.listen(APP6, (socket) => socket.end(`from ${socket.remoteAddress}`))
  await startTruepeer(backend, 'agent', ['-l', '[::]:110', '-6', APP6, '--allow-all-subnets'])
  await backend.ip('address add fe80::b/64 dev eth0 nodad')
  await edge.ip('address add fe80::a/64 dev eth0 nodad')
  const talk = "exec 3<>/dev/tcp/fe80::b%eth0/110; printf 'PROXY UNKNOWN\\r\\n'x >&3; timeout 3 cat <&3"
  const { stdout } = await edge.run('bash', ['-c', talk])
  assert.equal(stdout, 'from fe80::a%lo')
})
