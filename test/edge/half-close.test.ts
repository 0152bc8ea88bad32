import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createSecureContext, TLSSocket } from 'node:tls'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { type LiveEdge, startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts } from '../rig/hosts.ts'
import { LOG_ALL, simple } from '../rig/resources.ts'
import { connectTls, LEAF, sslResources } from '../rig/ssl-resources.ts'

const FRONTEND = `${IPV4.edge}:443`
const APP = `${IPV4.backend}:9000`
const CONNECTIONS = 16
const BYTES = 400_000

/** Which sides of the edge speak TLS. */
type Sides = { readonly client: boolean; readonly app: boolean }

/** Starts an app that is given each connection, once it speaks TLS if it does. */
async function startApp(host: Host, isTls: boolean, serve: (socket: Socket) => Promise<void>): Promise<void> {
  const secureContext = createSecureContext({ cert: LEAF.certificatePem, key: LEAF.keyPem })
  await host.listen(APP, (socket) => {
    const served = isTls ? new TLSSocket(socket, { isServer: true, secureContext }) : socket
    // A failure shows in what the client gets.
    void serve(served).catch(() => served.destroy())
  })
}

async function startEdge(t: TestContext, edge: Host, sides: Sides): Promise<LiveEdge> {
  const service = { ...LOG_ALL, protocol: sides.app ? 'SSL' : 'TCP' }
  const description = sides.client
    ? sslResources({ listen: FRONTEND, endpoints: [APP], service })
    : simple(FRONTEND, [APP], { fields: service })
  return await startConfiguredEdge(t, edge, description)
}

function open(client: Host, { client: isTls }: Sides): Promise<Socket> {
  return isTls ? connectTls(client, FRONTEND) : client.connect({ to: FRONTEND })
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Compares what was sent with what arrived on each connection, all of which have to end in order. */
async function assertWhole(live: LiveEdge, pairs: readonly Promise<readonly [Buffer, Buffer]>[]): Promise<void> {
  assert.equal(pairs.length, CONNECTIONS)
  for (const [sent, arrived] of await Promise.all(pairs)) assert.equal(sha256(arrived), sha256(sent))
  await eventually('all have ended', () => live.records().length === CONNECTIONS)
  assert.ok(live.records().every(({ end }) => end === 'finished'))
}

for (const sides of [
  { client: false, app: false },
  { client: true, app: false },
  { client: false, app: true },
  { client: true, app: true },
]) {
  const where = `the client in ${sides.client ? 'TLS' : 'the clear'}, the app in ${sides.app ? 'TLS' : 'the clear'}`

  test(`${where}: a client that half-closes at once gets all that the app then says, and its end`, async (t) => {
    const { client, edge, backend } = await edgeHosts(t)
    // It says nothing before the client's end.
    await startApp(backend, sides.app, async (socket) => void socket.end(await readToEnd(socket)))
    const live = await startEdge(t, edge, sides)
    const talk = async (): Promise<readonly [Buffer, Buffer]> => {
      const socket = await open(client, sides)
      const question = randomBytes(BYTES)
      const answer = readToEnd(socket)
      socket.end(question)
      return [question, await answer]
    }
    await assertWhole(live, Array.from({ length: CONNECTIONS }, talk))
  })

  test(`${where}: an app that half-closes at once gets all that the client then says, and its end`, async (t) => {
    const { client, edge, backend } = await edgeHosts(t)
    const pairs: Promise<readonly [Buffer, Buffer]>[] = []
    await startApp(backend, sides.app, async (socket) => {
      const greeting = randomBytes(BYTES)
      const pair = readToEnd(socket).then((answer) => [greeting, answer] as const)
      pairs.push(pair)
      socket.end(greeting)
      await pair
    })
    const live = await startEdge(t, edge, sides)
    const answer = async (): Promise<void> => {
      const socket = await open(client, sides)
      // It says nothing before the app's end.
      socket.end(await readToEnd(socket))
    }
    await Promise.all(Array.from({ length: CONNECTIONS }, answer))
    await assertWhole(live, pairs)
  })
}
