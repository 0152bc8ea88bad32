import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { AGENT, AGENT6, APP, APP6, CLIENT, CLIENT6, headerFrom, startAgent } from '../rig/agent.ts'
import { agentHosts, EDGE, EDGE6 } from '../rig/hosts.ts'
import { startTruepeer } from '../rig/truepeer.ts'

/** An app that answers each connection with the peer that it sees and ends it. */
async function startWhoami(backend: Host): Promise<void> {
  const answer = (socket: Socket): void => {
    socket.on('end', () => socket.end(`${socket.remoteAddress} ${socket.remotePort}`))
    socket.resume()
  }
  await backend.listen(APP, answer)
  await backend.listen(APP6, answer)
}

async function ask(edge: Host, to: string, header: string | Buffer): Promise<string> {
  const socket = await edge.connect({ to })
  const answer = readToEnd(socket)
  socket.end(header)
  return (await answer).toString()
}

const LOCAL_V2 = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex')
const UNSPEC_V2 = Buffer.from('0d0a0d0a000d0a515549540a21000000', 'hex')

test('the app sees the address and port that the header names, IPv4 and IPv6', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startWhoami(backend)
  await startAgent(backend)
  assert.equal(await ask(edge, AGENT, headerFrom(CLIENT, 51_001)), `${CLIENT} 51001`)
  assert.equal(await ask(edge, AGENT, headerFrom(CLIENT6, 51_002)), `${CLIENT6} 51002`)
})

test('one listener on [::] takes edges of both families', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startWhoami(backend)
  await startTruepeer(backend, 'agent', ['-l', '[::]:110', '-4', APP, '-6', APP6, '--allow-all-subnets'])
  assert.equal(await ask(edge, AGENT, headerFrom(CLIENT, 51_003)), `${CLIENT} 51003`)
  assert.equal(await ask(edge, AGENT6, headerFrom(CLIENT6, 51_004)), `${CLIENT6} 51004`)
  assert.match(await ask(edge, AGENT, LOCAL_V2), new RegExp(`^${EDGE} `))
  assert.match(await ask(edge, AGENT6, LOCAL_V2), new RegExp(`^${EDGE6} `))
})

for (const [name, header] of [
  ['version 1 UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n')],
  ['version 2 LOCAL', LOCAL_V2],
  ['version 2 UNSPEC', UNSPEC_V2],
] as const) {
  test(`${name}: the app sees the edge's own address`, async (t) => {
    const { edge, backend } = await agentHosts(t)
    await startWhoami(backend)
    const agent = await startAgent(backend)
    assert.match(await ask(edge, AGENT, header), new RegExp(`^${EDGE} \\d+$`))
    assert.equal(await agent.metric('truepeer_headers_local_total'), 1)
  })
}
