import assert from 'node:assert/strict'
import { test } from 'node:test'
import { produced, producedBytes, received } from '../linux/openssl.ts'
import { readCertificate } from './certificate.ts'
import { TlsClient } from './client.ts'
import { DEFAULT_POLICY } from './policy.ts'
import { TlsServer } from './server.ts'
import { TlsSession } from './session.ts'
import { issue } from './test-certificates.ts'
import { TicketKeys } from './ticket-keys.ts'

const ISSUED = issue({ names: ['a.example'], uris: ['spiffe://example/a'] })
const CERTIFICATE = readCertificate('test', ISSUED.certificatePem, ISSUED.keyPem)
const TICKETS = new TicketKeys().table
const GROWTH_BYTES_MAX = 4 * 1024 * 1024

function makeServer(): TlsServer {
  return new TlsServer({
    name: 'test',
    certificates: [CERTIFICATE],
    policy: DEFAULT_POLICY,
    protocols: [],
    tickets: TICKETS,
    handshakeTimeoutMs: 1_000,
  })
}

/** Gives one side what the other has produced, and has it go on. */
function pass(session: TlsSession, bytes: Uint8Array): { readonly step: string; readonly answer: Uint8Array } {
  const front = session.restore()
  received.set(bytes, front)
  const step = session.step(front + bytes.length)
  return { step, answer: produced.slice(0, producedBytes()) }
}

function shakeHands(server: TlsServer, client: TlsClient): void {
  const serverSide = TlsSession.accepting(server)
  const clientSide = client.open()
  assert.ok(clientSide)
  const hello = pass(clientSide, new Uint8Array(0))
  const flight = pass(serverSide, hello.answer)
  const finished = pass(clientSide, flight.answer)
  const done = pass(serverSide, finished.answer)
  assert.deepEqual([finished.step, done.step], ['open', 'open'])
  serverSide.close()
  clientSide.close()
}

/** By how much the process has grown, once it has grown to its size. */
function growthOf(count: number, work: () => void): number {
  for (let index = 0; index < count / 5; index++) work()
  const before = process.memoryUsage.rss()
  for (let index = 0; index < count; index++) work()
  return process.memoryUsage.rss() - before
}

test('10,000 handshakes leave nothing behind', () => {
  const server = makeServer()
  const client = new TlsClient({ serverName: '', rootsPem: '' })
  const grownBytes = growthOf(10_000, () => shakeHands(server, client))
  assert.ok(grownBytes < GROWTH_BYTES_MAX, `${grownBytes} bytes more`)
})

test('10,000 handshakes with a look into the certificate leave nothing behind', () => {
  const server = makeServer()
  const names = { dnsNames: ['b.example'], uris: ['spiffe://example/a'] }
  const grownBytes = growthOf(10_000, () => {
    // A client of its own for each: one looks into the same certificate but once.
    const client = new TlsClient({ serverName: '', rootsPem: ISSUED.certificatePem, names })
    shakeHands(server, client)
    client.close()
  })
  assert.ok(grownBytes < GROWTH_BYTES_MAX, `${grownBytes} bytes more`)
})

test('10,000 handshakes that fail leave nothing behind', () => {
  const server = makeServer()
  const garbage = Uint8Array.of(22, 3, 1, 0, 5, 1, 0, 0, 1, 0)
  const grownBytes = growthOf(10_000, () => {
    const session = TlsSession.accepting(server)
    assert.equal(pass(session, garbage).step, 'failed')
    session.close()
  })
  assert.ok(grownBytes < GROWTH_BYTES_MAX, `${grownBytes} bytes more`)
})

test('1,000 sets of certificates, each with a handshake and then retired, leave nothing behind', () => {
  const client = new TlsClient({ serverName: '', rootsPem: '' })
  const grownBytes = growthOf(1_000, () => {
    const server = makeServer()
    shakeHands(server, client)
    server.retire()
  })
  assert.ok(grownBytes < GROWTH_BYTES_MAX, `${grownBytes} bytes more`)
})
