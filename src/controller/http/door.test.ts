import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { MemoryStore } from '../store/memory-store.ts'
import { makeToken } from '../store/token.ts'
import { type Access, type Arrival, Door } from './door.ts'

const LOOPBACK: Access = { scheme: 'http', isTrusted: true, isLoopback: true }
const UNIX: Access = { scheme: 'http', isTrusted: true, isLoopback: false }
const OPEN: Access = { scheme: 'https', isTrusted: false, isLoopback: false }
const LOCAL = { user: 'local', role: 'operator' }
const OWNER = { user: 'local', role: 'admin' }

function arrival(fields: Partial<Arrival> = {}): Arrival {
  return { host: 'localhost:8080', origin: undefined, authorization: undefined, peerAddress: '127.0.0.1', ...fields }
}

function door() {
  const store = new MemoryStore()
  const token = makeToken({ user: 'alice', role: 'viewer' }, '', randomBytes)
  store.addToken(token.stored)
  const clock = { nowMs: 0 }
  const failures: string[] = []
  const made = new Door(
    store,
    () => clock.nowMs,
    (peer) => failures.push(peer),
  )
  return { door: made, bearer: `Bearer ${token.text}`, clock, failures }
}

function messageOf(entered: ReturnType<Door['enter']>): string {
  assert.ok('status' in entered)
  return entered.message
}

function statusOf(entered: ReturnType<Door['enter']>): number | undefined {
  return 'status' in entered ? entered.status : undefined
}

test('without a token everybody on loopback may change resources, and the owner of the socket everything', () => {
  for (const [access, identity] of [
    [LOOPBACK, LOCAL],
    [UNIX, OWNER],
  ] as const) {
    // gcloud sends a token of Google.
    for (const authorization of [undefined, 'Bearer ya29.of-gcloud', 'Basic Zm9v', '']) {
      assert.deepEqual(door().door.enter(arrival({ authorization }), access), identity)
    }
  }
})

test('a token of ours counts on loopback, too: a right one as its user, a wrong one not at all', () => {
  const { door: made, bearer, failures } = door()
  assert.deepEqual(made.enter(arrival({ authorization: bearer }), LOOPBACK), { user: 'alice', role: 'viewer' })
  assert.equal(statusOf(made.enter(arrival({ authorization: `${bearer}x` }), LOOPBACK)), 401)
  assert.deepEqual(failures, ['127.0.0.1'])
})

test('elsewhere nobody is let in without a token of ours', () => {
  const { door: made, bearer } = door()
  for (const authorization of [undefined, '', 'Bearer', 'Bearer ', 'Bearer x y', 'Basic Zm9v', 'Bearer ya29.a']) {
    assert.equal(statusOf(made.enter(arrival({ authorization }), OPEN)), 401, authorization)
  }
  const entered = made.enter(arrival({ authorization: bearer, host: 'controller.example:8443' }), OPEN)
  assert.deepEqual(entered, { user: 'alice', role: 'viewer' })
  assert.deepEqual(made.enter(arrival({ authorization: bearer.replace('Bearer ', 'bearer  ') }), OPEN), entered)
})

test('who is refused is told whether a token is missing or wrong', () => {
  const { door: made } = door()
  assert.match(messageOf(made.enter(arrival(), OPEN)), /^A bearer token is needed; make one with/)
  assert.match(messageOf(made.enter(arrival({ authorization: 'Bearer tp_x' }), OPEN)), /^The bearer token is not valid/)
})

test('on loopback only the names of this host are answered (DNS rebinding)', () => {
  const { door: made } = door()
  for (const host of [
    'localhost',
    'LOCALHOST:80',
    '127.0.0.1:8080',
    '127.9.9.9',
    '[::1]:80',
    'api.localhost',
    undefined,
  ]) {
    assert.deepEqual(made.enter(arrival({ host }), LOOPBACK), LOCAL, host)
  }
  for (const host of [
    'evil.example',
    'evil.example:8080',
    '192.0.2.1',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
  ]) {
    assert.equal(statusOf(made.enter(arrival({ host }), LOOPBACK)), 403, host)
  }
})

test('a Host header that is none is refused everywhere', () => {
  const { door: made, bearer } = door()
  for (const host of ['', 'a b', 'a/b', 'a"b', 'a@b', '[::1', 'a:b', `${'a'.repeat(300)}`]) {
    assert.equal(statusOf(made.enter(arrival({ host, authorization: bearer }), OPEN)), 403, host)
  }
})

test('a request of a page of another site is refused, one of our own page is not', () => {
  const { door: made, bearer } = door()
  for (const origin of [
    'http://evil.example',
    'null',
    'https://localhost:8080',
    'http://localhost',
    'http://localhost:9',
  ]) {
    assert.equal(statusOf(made.enter(arrival({ origin }), LOOPBACK)), 403, origin)
    assert.equal(statusOf(made.enter(arrival({ origin, host: 'localhost:8080' }), UNIX)), 403, origin)
  }
  assert.deepEqual(made.enter(arrival({ origin: 'http://localhost:8080' }), LOOPBACK), LOCAL)
  const own = arrival({ origin: 'https://c.example', host: 'c.example', authorization: bearer })
  assert.deepEqual(made.enter(own, OPEN), { user: 'alice', role: 'viewer' })
})

test('above 1000 requests a second of one user from one address the others wait, and nobody else does', () => {
  const { door: made, bearer, clock } = door()
  const enter = (peerAddress: string): number | undefined =>
    statusOf(made.enter(arrival({ authorization: bearer, peerAddress }), OPEN))
  for (let count = 0; count < 2_000; count++) assert.equal(enter('192.0.2.1'), undefined)
  assert.equal(enter('192.0.2.1'), 429)
  assert.equal(enter('192.0.2.2'), undefined)
  clock.nowMs += 10
  for (let count = 0; count < 10; count++) assert.equal(enter('192.0.2.1'), undefined)
  assert.equal(enter('192.0.2.1'), 429)
})

test('wrong tokens without end are answered 429 and not logged, and a right one from there still enters', () => {
  const { door: made, bearer, failures } = door()
  const wrong = arrival({ authorization: 'Bearer tp_x', peerAddress: '192.0.2.1' })
  for (let count = 0; count < 20; count++) assert.equal(statusOf(made.enter(wrong, OPEN)), 401)
  for (let count = 0; count < 100; count++) assert.equal(statusOf(made.enter(wrong, OPEN)), 429)
  assert.equal(failures.length, 20)
  assert.equal(statusOf(made.enter({ ...wrong, authorization: bearer }, OPEN)), undefined)
})
