// An unmodified name server behind our agent: in front of that dnsdist, which others have made, or our edge.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type DemoHosts, IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import { AGENT } from '../rig/agent.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts, routeForAgent } from '../rig/hosts.ts'
import { skipWithout } from '../rig/skip.ts'
import { type Running, startTruepeer } from '../rig/truepeer.ts'
import { ANSWER, dig, type NameServer, startDnsdist, startUnbound } from './name-servers.ts'

const PORT = 5353
const FRONTEND_PORT = 53
const STRANGER = '209.52.88.5'
const SKIP = { skip: skipWithout('unbound', 'dnsdist', 'dig') }

type Chain = DemoHosts & { readonly server: NameServer; readonly agent: Running }

/** Unbound on loopback, which knows nothing of headers, and an agent for both protocols on one port. */
async function unboundBehindAgent(t: TestContext): Promise<Chain> {
  const hosts = await edgeHosts(t)
  await routeForAgent(hosts.backend)
  // The edge's own questions, such as health checks, come from its own address.
  const server = await startUnbound(t, hosts.backend, PORT, { readsHeaders: false, allowed: [IPV4.edgeSource] })
  const targets = ['-4', `${IPV4.app}:${PORT}`, '-6', `[${IPV6.app}]:${PORT}`]
  const agent = await startTruepeer(hosts.backend, 'agent', [
    '-p',
    'tcp,udp',
    '-l',
    AGENT,
    ...targets,
    '--allow-all-subnets',
  ])
  await hosts.client.ip(`address add ${STRANGER}/24 dev eth0`)
  return { ...hosts, server, agent }
}

/** Unbound admits the client over both protocols, sees it by name, and refuses the other one. */
async function assertSeesClients({ client, server }: Chain, families: readonly (typeof IPV4)[]): Promise<void> {
  for (const { family, client: address, edge } of families) {
    for (const isTcp of [false, true]) {
      const before = server.queriesOf(address).length
      const heard = await dig(client, edge, FRONTEND_PORT, { isTcp })
      assert.deepEqual(heard, { status: 'NOERROR', answer: ANSWER }, `${family}, TCP: ${isTcp}`)
      await eventually('the server has logged it', () => server.queriesOf(address).length === before + 1)
    }
  }
  for (const isTcp of [false, true]) {
    assert.equal((await dig(client, IPV4.edge, FRONTEND_PORT, { from: STRANGER, isTcp })).status, 'REFUSED')
  }
}

test(
  'dnsdist in front of the agent: an unmodified server sees and admits the client by its own address',
  SKIP,
  async (t) => {
    const chain = await unboundBehindAgent(t)
    // Its own health checks are datagrams with a LOCAL header, which reach the server with the address of dnsdist.
    const dnsdist = await startDnsdist(t, chain.edge, `${IPV4.edge}:${FRONTEND_PORT}`, AGENT)
    await assertSeesClients(chain, [IPV4])
    assert.notEqual(chain.server.queriesOf(IPV4.edgeSource).length, 0)
    assert.ok(dnsdist.isRunning)
    // Many at once, over one socket of dnsdist each: every answer reaches who asked.
    const many = await Promise.all(Array.from({ length: 40 }, () => dig(chain.client, IPV4.edge, FRONTEND_PORT)))
    assert.deepEqual(new Set(many.map(({ answer }) => answer)), new Set([ANSWER]))
  },
)

test('the whole chain serves UDP and TCP on one address and port, over IPv4 and IPv6', SKIP, async (t) => {
  const chain = await unboundBehindAgent(t)
  for (const { edge } of [IPV4, IPV6]) {
    const listen = edge.includes(':') ? `[${edge}]:${FRONTEND_PORT}` : `${edge}:${FRONTEND_PORT}`
    const words = ['--listen', listen, '--backend', AGENT, '--proxy-header', 'PROXY_V2']
    await startTruepeer(chain.edge, 'edge', ['-p', 'tcp,udp', ...words])
  }
  await assertSeesClients(chain, [IPV4, IPV6])
})
