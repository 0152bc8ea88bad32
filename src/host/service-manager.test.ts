import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notifySocket, passedSockets, watchdogIntervalMs } from './service-manager.ts'

test('sockets for this process are numbered from 3 on and have the names of the socket unit', () => {
  const environment = { LISTEN_PID: '42', LISTEN_FDS: '3', LISTEN_FDNAMES: 'a::c' }
  const sockets = [
    { fd: 3, name: 'a' },
    { fd: 4, name: '' },
    { fd: 5, name: 'c' },
  ]
  assert.deepEqual(passedSockets(environment, 42), sockets)
  assert.deepEqual(passedSockets({ LISTEN_PID: '42', LISTEN_FDS: '1' }, 42), [{ fd: 3, name: '' }])
})

test('sockets for another process, or for nobody, are not taken', () => {
  assert.deepEqual(passedSockets({ LISTEN_PID: '41', LISTEN_FDS: '3' }, 42), [])
  assert.deepEqual(passedSockets({ LISTEN_FDS: '3' }, 42), [])
  assert.deepEqual(passedSockets({ LISTEN_PID: '42' }, 42), [])
  assert.deepEqual(passedSockets({ LISTEN_PID: '42', LISTEN_FDS: '0' }, 42), [])
  assert.deepEqual(passedSockets({}, 42), [])
})

test('a count that is no number is an error', () => {
  for (const count of ['', '-1', 'x', '1e3', '99999', ' 1']) {
    assert.throws(() => passedSockets({ LISTEN_PID: '42', LISTEN_FDS: count }, 42), /LISTEN_FDS/, count)
  }
})

test('the watchdog is told twice within its time, by the process that is meant', () => {
  assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: '30000000' }, 42), 15_000)
  assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '42' }, 42), 15_000)
  assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '41' }, 42), undefined)
  assert.equal(watchdogIntervalMs({}, 42), undefined)
  assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: '100' }, 42), 1)
  assert.throws(() => watchdogIntervalMs({ WATCHDOG_USEC: '0' }, 42), /WATCHDOG_USEC/)
})

test('an empty NOTIFY_SOCKET is none', () => {
  assert.equal(notifySocket({ NOTIFY_SOCKET: '' }), undefined)
  assert.equal(notifySocket({}), undefined)
  assert.equal(notifySocket({ NOTIFY_SOCKET: '@x' }), '@x')
})
