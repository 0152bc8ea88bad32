// Headers in datagrams, read by four programs that others have made: each answers by the client's own address.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { skipWithout } from '../rig/skip.ts'
import { startTruepeer } from '../rig/truepeer.ts'
import {
  ANSWER,
  dig,
  type StartNameServer,
  startAuthoritative,
  startKnotResolver,
  startRecursor,
  startUnbound,
  WHOAMI,
} from './name-servers.ts'

const PORT = 5300
/** Another client, whom no server but PowerDNS's own answers. */
const STRANGER = '209.52.88.5'
const ROUTES = [
  { family: IPV4, isTcp: false },
  { family: IPV4, isTcp: true },
  { family: IPV6, isTcp: false },
  { family: IPV6, isTcp: true },
]

/** Starts an edge for both protocols at one address and port, on the edge's addresses, for the server on the backend. */
async function behindEdge(t: TestContext, start: StartNameServer) {
  const hosts = await edgeHosts(t)
  const { client, edge, backend } = hosts
  const server = await start(t, backend, PORT)
  for (const { edge: frontend, backend: address } of [IPV4, IPV6]) {
    const at = (host: string): string => (host.includes(':') ? `[${host}]:${PORT}` : `${host}:${PORT}`)
    const words = ['--listen', at(frontend), '--backend', at(address), '--proxy-header', 'PROXY_V2']
    await startTruepeer(edge, 'edge', ['-p', 'tcp,udp', ...words])
  }
  await client.ip(`address add ${STRANGER}/24 dev eth0`)
  return { client, server }
}

for (const [name, program, start] of [
  ['Unbound', 'unbound', startUnbound],
  ["PowerDNS's resolver", 'pdns_recursor', startRecursor],
  ['Knot Resolver', 'kresd', startKnotResolver],
] as const) {
  test(`${name} reads the edge's headers, and answers the client that they name and nobody else`, {
    skip: skipWithout(program, 'dig'),
  }, async (t) => {
    const { client, server } = await behindEdge(t, start)
    // Over TCP, this one takes only a header that comes in one segment with the question (5.6.0).
    const routes = ROUTES.filter(({ isTcp }) => !isTcp || program !== 'kresd')
    for (const { family, isTcp } of routes) {
      const before = server.queriesOf(family.client).length
      const heard = await dig(client, family.edge, PORT, { isTcp })
      assert.deepEqual(heard, { status: 'NOERROR', answer: ANSWER }, `${family.family}, TCP: ${isTcp}`)
      await eventually('the server has logged it', () => server.queriesOf(family.client).length === before + 1)
    }
    for (const isTcp of [false, true]) {
      const { status, answer } = await dig(client, IPV4.edge, PORT, { from: STRANGER, isTcp })
      assert.ok(status === 'REFUSED' || status === undefined, status)
      assert.equal(answer, '')
    }
  })
}

test("PowerDNS's server reads the edge's headers, and tells each client its own address", {
  skip: skipWithout('pdns_server', 'dig'),
}, async (t) => {
  const { client, server } = await behindEdge(t, startAuthoritative)
  for (const { family, isTcp } of ROUTES) {
    const heard = await dig(client, family.edge, PORT, { isTcp, name: WHOAMI, type: 'TXT' })
    assert.deepEqual(heard, { status: 'NOERROR', answer: family.client }, `${family.family}, TCP: ${isTcp}`)
    assert.notEqual(server.queriesOf(family.client).length, 0)
  }
  const stranger = await dig(client, IPV4.edge, PORT, { from: STRANGER, name: WHOAMI, type: 'TXT' })
  assert.equal(stranger.answer, STRANGER)
})
