// Clients that take all connections they can get, and those that come after them.
import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts } from '../rig/hosts.ts'
import { resources } from '../rig/resources.ts'

const APP = '127.0.0.1:9001'
const [FRONTEND, FRONTEND6] = ['127.0.0.1:9000', '[::1]:9000']
const CONFIGURATION = resources({
  frontends: { web: { listen: FRONTEND, service: 'web' }, web6: { listen: FRONTEND6, service: 'web' } },
  services: { web: { groups: { neg: { endpoints: [APP] } } } },
})
const PLACES = 90
/** Each tries to have a fifth more than anybody gets. */
const ATTEMPTS = 12

function serve(socket: Socket): void {
  socket.on('error', () => {}).on('end', () => socket.end())
  socket.resume().write('welcome')
}

type Crowd = { readonly sockets: Socket[]; served: number; reset: number }

/** Opens connections from these addresses in turn, and keeps them open. */
async function crowd(host: Host, froms: readonly string[], to: string): Promise<Crowd> {
  const all: Crowd = { sockets: [], served: 0, reset: 0 }
  for (let count = 0; count < ATTEMPTS; count++) {
    const refuse = (): void => {
      all.reset += 1
    }
    // The reset may come before it is known to be connected.
    const socket = await host.connect({ to, from: froms[count % froms.length] }).catch(refuse)
    socket?.on('error', refuse)
    socket?.once('data', () => {
      all.served += 1
    })
    if (socket instanceof Socket) all.sockets.push(socket)
    await eventually('it is served or reset', () => all.served + all.reset === count + 1)
  }
  return all
}

test('three addresses and a /64 take what they can, and whoever comes next is served', async (t) => {
  const { edge: host } = await agentHosts(t)
  for (const last of ['1', '2', '3', '4', '5']) await host.ip(`address add 2001:db8:77::${last}/128 dev lo`)
  await host.listen(APP, serve)
  const limits = ['--max-connections', `${PLACES}`, '--workers', '2']
  const edge = await startConfiguredEdge(t, host, CONFIGURATION, limits)
  const first = await crowd(host, ['127.0.0.2'], FRONTEND)
  assert.deepEqual([first.served, first.reset], [10, 2], 'an eighth of the 80 that are free then')
  const second = await crowd(host, ['127.0.0.3'], FRONTEND)
  assert.deepEqual([second.served, second.reset], [8, 4], 'an eighth of 72')
  const addresses = [1, 2, 3, 4, 5].map((last) => `2001:db8:77::${last}`)
  const third = await crowd(host, addresses, FRONTEND6)
  assert.deepEqual([third.served, third.reset], [8, 4], 'the addresses of a /64 are one client')
  const next = await crowd(host, ['127.0.0.4'], FRONTEND)
  assert.ok(next.served > 5)
  assert.equal(await edge.metric('truepeer_connections_ended_total{reason="client-limit"}'), 10 + next.reset)
  const told = edge.records().filter(({ end }) => end === 'client-limit')
  const names = new Set(told.map(({ connection }) => connection.clientIp ?? ''))
  for (const name of ['127.0.0.2', '127.0.0.3']) assert.ok(names.has(name), [...names].join())
  for (const { sockets } of [first, second, third, next]) for (const socket of sockets) socket.destroy()
  await eventually('all have ended', async () => (await edge.metric('truepeer_connections_open')) === 0)
  const again = await crowd(host, ['127.0.0.2'], FRONTEND)
  assert.equal(again.served, 10)
})

test('--max-connections-per-client and --unlimited-clients', async (t) => {
  const { edge: host } = await agentHosts(t)
  await host.listen(APP, serve)
  const limits = ['--max-connections-per-client', '3', '--unlimited-clients', '127.0.0.8/29']
  await startConfiguredEdge(t, host, CONFIGURATION, limits)
  assert.equal((await crowd(host, ['127.0.0.2'], FRONTEND)).served, 3)
  assert.equal((await crowd(host, ['127.0.0.9'], FRONTEND)).served, ATTEMPTS)
})
