// An app over UDP on every address, whose answers leave from wherever the kernel likes: lost, and told of.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AGENT, APP, CLIENT, startAgent } from '../rig/agent.ts'
import { datagramHeader } from '../rig/datagram-headers.ts'
import { openDatagrams, startDatagramApp } from '../rig/datagrams.ts'
import { pause } from '../rig/eventually.ts'
import { agentHosts, EDGE } from '../rig/hosts.ts'
import { examine } from './good-host.ts'

test('answers of an app on every address are lost and the doctor says so; one on loopback is heard', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await backend.ip(`route add default via ${EDGE}`)
  await startAgent(backend, ['-p', 'udp'])
  const socket = openDatagrams(t, edge, `${EDGE}:0`)
  const doctor = `-p udp -l ${AGENT} -4 ${APP} -6 none --allow-all-subnets`
  const everywhere = startDatagramApp(t, backend, '0.0.0.0:112')
  socket.send(`${datagramHeader(`${CLIENT}:5001`)}x`, AGENT)
  await pause(700, 'an answer would have to have come')
  assert.deepEqual([everywhere.seen.map(({ from }) => from), socket.received], [[`${CLIENT}:5001`], []])
  const found = await examine(backend, doctor)
  assert.equal(found.status['udp-app-ipv4'], 'warn')
  assert.match(found.text, /they leave from 10\.128\.0\.2 instead of from 127\.0\.0\.1, and are lost/)
  everywhere.close()
  startDatagramApp(t, backend, APP)
  assert.match(await socket.ask(`${datagramHeader(`${CLIENT}:5001`)}y`, AGENT), / y$/)
  assert.equal((await examine(backend, doctor)).status['udp-app-ipv4'], 'ok')
})
