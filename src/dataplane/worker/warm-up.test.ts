import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import type { Endpoint } from '../../address/endpoint.ts'
import { type Counters, METRICS } from '../../telemetry/metrics.ts'
import { DEFAULT_POLICY } from '../../tls/policy.ts'
import { TlsServer } from '../../tls/server.ts'
import { serverCertificate } from '../../tls/test-certificates.ts'
import { TicketKeys } from '../../tls/ticket-keys.ts'
import { LineRole } from '../connection/test-loop.ts'
import { WarmUp } from './warm-up.ts'

const LIMITS = { connectionsPerWorkerMax: 100, connectionsMax: 100, flowsMax: 0 }
/** Stands still: a slow machine plays as much as a fast one. */
const clock = (): number => 1

function openFiles(): number {
  return readdirSync('/proc/self/fd').length
}

/** Plays a whole warm-up; returns what was counted. */
function play(
  tls: TlsServer | null,
  limits = LIMITS,
  makeRole = (app: Endpoint) => new LineRole(app, tls === null),
  now = clock,
) {
  let counted: Counters | undefined
  const warmUp = new WarmUp(
    (app, { counters }) => {
      counted = counters
      const openings = tls === null ? [Buffer.from('header\n'), Buffer.from('X')] : [new Uint8Array(0)]
      const [plain, secure] = [makeRole(app), tls === null ? null : Object.assign(makeRole(app), { tls })]
      return { plain, tls: secure, openings }
    },
    limits,
    now,
  )
  try {
    while (warmUp.step());
  } finally {
    warmUp.close()
  }
  assert.ok(counted)
  return counted
}

test('connections are played from accept to an orderly end, and nothing stays open', () => {
  const before = openFiles()
  const counters = play(null)
  assert.equal(counters.read(METRICS.accepted.slot), 1_600)
  assert.equal(counters.read(METRICS.ended.slots.finished), 800)
  assert.equal(counters.read(METRICS.ended.slots['header-malformed']), 800)
  assert.equal(counters.read(METRICS.open.slot), 0)
  assert.ok(counters.read(METRICS.bytes.slots['backend-to-client']) > 1024 * 1024, 'no bulk')
  assert.equal(openFiles(), before)
})

test('with TLS, every handshake is completed with the certificate of the entrance', () => {
  const before = openFiles()
  const server = new TlsServer({
    name: 'test',
    certificates: [serverCertificate({ commonName: 'a.example' })],
    policy: DEFAULT_POLICY,
    protocols: [],
    tickets: new TicketKeys().table,
    handshakeTimeoutMs: 5_000,
  })
  const counters = play(server)
  assert.equal(counters.read(METRICS.tlsHandshakes.slots['TLSv1.3']), 400)
  assert.equal(counters.read(METRICS.ended.slots.finished), 1_600)
  assert.equal(counters.read(METRICS.open.slot), 0)
  assert.equal(openFiles(), before)
})

test('a service that refuses everybody, and a limit of one connection, only end it sooner or later', () => {
  const before = openFiles()
  const refusing = play(null, LIMITS, (app) =>
    Object.assign(new LineRole(app), { admit: () => 'untrusted-peer' as const }),
  )
  assert.equal(refusing.read(METRICS.ended.slots['untrusted-peer']), 1_600)
  const narrow = play(null, { connectionsPerWorkerMax: 1, connectionsMax: 1, flowsMax: 0 })
  assert.equal(narrow.read(METRICS.open.slot), 0)
  assert.equal(openFiles(), before)
})

test('a machine on which it takes too long gives it up', () => {
  let nowMs = 0
  const counters = play(
    null,
    LIMITS,
    (app) => new LineRole(app),
    () => (nowMs += 200),
  )
  const accepted = counters.read(METRICS.accepted.slot)
  assert.ok(accepted >= 8 && accepted < 100, `${accepted}`)
})
