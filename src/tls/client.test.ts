import assert from 'node:assert/strict'
import { test } from 'node:test'
import { produced, producedBytes, received } from '../linux/openssl.ts'
import type { AcceptedNames } from './alternative-names.ts'
import { CertificateError, readCertificate } from './certificate.ts'
import { TlsClient } from './client.ts'
import { DEFAULT_POLICY } from './policy.ts'
import { TlsServer } from './server.ts'
import { TlsSession } from './session.ts'
import { type Issued, issue } from './test-certificates.ts'
import { TicketKeys } from './ticket-keys.ts'

const ROOT = issue({ commonName: 'Root', isAuthority: true })
const LEAF = issue({ commonName: 'app.example', names: ['app.example'], uris: ['spiffe://example/app'], issuer: ROOT })
const SERVER = serverWith(LEAF)

function serverWith({ certificatePem, keyPem }: Issued): TlsServer {
  return new TlsServer({
    name: 'app',
    certificates: [readCertificate('app', certificatePem, keyPem)],
    policy: DEFAULT_POLICY,
    protocols: [],
    tickets: new TicketKeys().table,
    handshakeTimeoutMs: 1_000,
  })
}

/** Passes one side's bytes to the other; returns how far that came. */
function pass(session: TlsSession, bytes: Uint8Array): { readonly step: string; readonly answer: Uint8Array } {
  const front = session.restore()
  received.set(bytes, front)
  return { step: session.step(front + bytes.length), answer: produced.slice(0, producedBytes()) }
}

function handshakeWith(rootsPem: string, serverName: string, names?: AcceptedNames) {
  const client = new TlsClient({ serverName, rootsPem, names })
  const result = handshake(client, SERVER)
  client.close()
  return result
}

function handshake(client: TlsClient, server: TlsServer) {
  const clientSide = client.open()
  assert.ok(clientSide)
  const serverSide = TlsSession.accepting(server)
  const flight = pass(serverSide, pass(clientSide, new Uint8Array(0)).answer)
  const { step, answer } = pass(clientSide, flight.answer)
  const serverStep = pass(serverSide, answer).step
  return { step, serverStep, clientSide, serverSide }
}

test('a client that trusts the root and knows the name is content, and both sides agree', () => {
  const { step, serverStep, clientSide, serverSide } = handshakeWith(ROOT.certificatePem, 'app.example')
  assert.deepEqual([step, serverStep], ['open', 'open'])
  assert.equal(clientSide.info()?.commonName, 'app.example')
  assert.equal(serverSide.info()?.serverName, 'app.example')
  assert.equal(serverSide.info()?.commonName, undefined)
})

test('a client offers each curve that the key of a backend may be on', () => {
  const client = new TlsClient({ serverName: '', rootsPem: '' })
  const session = client.open()
  assert.ok(session)
  const hello = Buffer.from(pass(session, new Uint8Array(0)).answer).toString('hex')
  // supported_groups (RFC 8446 §4.2.7): X25519, P-256, P-384, P-521.
  assert.match(hello, /000a000a0008001d001700180019/)
  session.close()
  client.close()
})

test('a client that is given no roots takes any certificate', () => {
  assert.equal(handshakeWith('', 'other.example').step, 'open')
})

test('another name and another root are refused, and the server learns why', () => {
  for (const [rootsPem, name] of [
    [ROOT.certificatePem, 'other.example'],
    [issue({ commonName: 'Other Root', isAuthority: true }).certificatePem, 'app.example'],
  ]) {
    const { step, serverStep, clientSide, serverSide } = handshakeWith(rootsPem, name)
    assert.deepEqual([step, clientSide.failure], ['failed', 'certificate-invalid'])
    assert.deepEqual([serverStep, serverSide.failure], ['failed', 'certificate-refused'])
  }
})

test('a client that looks for other names than it asks for takes what carries one of them, and from its roots only', () => {
  const root = ROOT.certificatePem
  const other = issue({ commonName: 'Other Root', isAuthority: true }).certificatePem
  for (const [rootsPem, names, step] of [
    [root, { dnsNames: ['other.example', 'app.example'], uris: [] }, 'open'],
    [root, { dnsNames: ['other.example'], uris: ['spiffe://example/app'] }, 'open'],
    [root, { dnsNames: ['other.example'], uris: ['spiffe://example/APP'] }, 'failed'],
    [other, { dnsNames: ['app.example'], uris: [] }, 'failed'],
  ] as const) {
    const { clientSide, serverSide, ...steps } = handshakeWith(rootsPem, 'asked.example', names)
    assert.equal(steps.step, step, JSON.stringify(names))
    assert.equal(clientSide.failure, step === 'open' ? undefined : 'certificate-invalid')
    // The server never learns that a handshake that was refused has ended.
    assert.equal(serverSide.isOpen, step === 'open')
    assert.equal(serverSide.serverName, 'asked.example')
  }
})

test('a client that meets two certificates again and again judges each by its own names', () => {
  const names = { dnsNames: ['app.example'], uris: [] }
  const client = new TlsClient({ serverName: '', rootsPem: ROOT.certificatePem, names })
  const other = serverWith(issue({ commonName: 'app.example', names: ['other.example'], issuer: ROOT }))
  const steps = [SERVER, other, SERVER, other].map((server) => handshake(client, server).step)
  assert.deepEqual(steps, ['open', 'failed', 'open', 'failed'])
})

test('roots that cannot be read are refused', () => {
  assert.throws(() => new TlsClient({ serverName: '', rootsPem: 'x' }), CertificateError)
})

test('a receiver with little room gets everything in pieces', () => {
  const { clientSide, serverSide } = handshakeWith('', '')
  const payload = Buffer.alloc(40_000, 'some payload, ')
  assert.ok(clientSide.send(payload, 0, payload.length))
  const records = produced.slice(0, producedBytes())
  const room = new Uint8Array(1_000)
  const parts: Buffer[] = []
  received.set(records, serverSide.restore())
  for (let end = records.length; ; end = serverSide.restore()) {
    const count = serverSide.receive(end, room, 0, room.length)
    parts.push(Buffer.from(room.subarray(0, count)))
    if (!serverSide.hasMore) break
  }
  assert.ok(Buffer.concat(parts).equals(payload))
})

test('what was cut short is no end, and close_notify is', () => {
  const { clientSide, serverSide } = handshakeWith('', '')
  const room = new Uint8Array(1_000)
  clientSide.finish()
  const notify = produced.slice(0, producedBytes())
  received.set(notify.subarray(0, 10))
  assert.deepEqual([serverSide.receive(10, room, 0, room.length), serverSide.hasEnded], [0, false])
  received.set(notify.subarray(10))
  assert.deepEqual([serverSide.receive(notify.length - 10, room, 0, room.length), serverSide.hasEnded], [0, true])
})
