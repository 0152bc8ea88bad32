import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { parseEndpoint } from '../address/endpoint.ts'
import { IPPROTO_TCP, SO_KEEPALIVE, SO_OOBINLINE, SOL_SOCKET, TCP_NODELAY, TCP_USER_TIMEOUT } from './constants.ts'
import { native } from './native.ts'
import {
  acceptFrom,
  adoptListener,
  bindTo,
  close,
  connectTo,
  localEndpoint,
  openListener,
  openStream,
} from './socket.ts'

const LIVENESS = { keepaliveMs: 60_000, userTimeoutMs: 7_000 }

/** A listening socket as a service manager opens one: with no option at all. */
function bareListener(): number {
  const fd = openStream(4)
  const endpoint = parseEndpoint('127.0.0.1:0') ?? assert.fail()
  assert.equal(bindTo(fd, endpoint.address, endpoint.port), 0)
  assert.equal(native.listen(fd, 1), 0)
  return fd
}

function acceptOne(t: TestContext, listener: number): number {
  const client = openStream(4)
  const endpoint = localEndpoint(listener) ?? assert.fail()
  connectTo(client, endpoint)
  const fd = acceptFrom(listener)
  t.after(() => {
    for (const opened of [listener, client, fd]) close(opened)
  })
  assert.ok(fd >= 0)
  return fd
}

for (const [name, open] of [
  ['that is opened here', () => openListener(parseEndpoint('127.0.0.1:0') ?? assert.fail(), LIVENESS)],
  ['that is taken over', () => adoptListener(bareListener(), LIVENESS)],
] as const) {
  test(`what a listener ${name} accepts sends at once, reads urgent bytes in place, and finds a dead peer`, (t) => {
    const fd = acceptOne(t, open())
    assert.equal(native.getsockoptInt(fd, IPPROTO_TCP, TCP_NODELAY), 1)
    assert.equal(native.getsockoptInt(fd, SOL_SOCKET, SO_OOBINLINE), 1)
    assert.equal(native.getsockoptInt(fd, SOL_SOCKET, SO_KEEPALIVE), 1)
    assert.equal(native.getsockoptInt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), LIVENESS.userTimeoutMs)
  })
}
