import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_DGRAM } from './constants.ts'
import { checked } from './errno.ts'
import { native } from './native.ts'
import { notifyServiceManager } from './notify.ts'

/** A receiver as a service manager has it; `name` begins with "@" for the abstract namespace. */
function receiver(name: string): { readonly next: () => string; readonly close: () => void } {
  const path = Buffer.from(name.replace(/^@/, '\0'))
  const address = Buffer.concat([new Uint8Array(new Uint16Array([1]).buffer), path])
  const fd = checked('socket', native.socket(1, SOCK_DGRAM | SOCK_CLOEXEC, 0))
  checked('bind', native.bind(fd, address, 0, address.length))
  const bytes = new Uint8Array(256)
  return {
    next: () =>
      Buffer.from(bytes.subarray(0, checked('recv', native.recv(fd, bytes, 0, 256, MSG_DONTWAIT)))).toString(),
    close: () => native.close(fd),
  }
}

test('each state arrives as one datagram, at a path and at an abstract name', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-notify-'))
  t.after(() => rmSync(directory, { recursive: true }))
  for (const name of [join(directory, 'notify'), `@truepeer-notify-${process.pid}`]) {
    const manager = receiver(name)
    for (const [state, message] of [
      ['ready', 'READY=1'],
      ['stopping', 'STOPPING=1'],
      ['watchdog', 'WATCHDOG=1'],
    ] as const) {
      assert.equal(notifyServiceManager(name, state), undefined)
      assert.equal(manager.next(), message)
    }
    assert.equal(notifyServiceManager(name, 'reloading'), undefined)
    assert.match(manager.next(), /^RELOADING=1\nMONOTONIC_USEC=\d+$/)
    manager.close()
  }
})

test('a path as long as the kernel takes arrives, and a longer one is an error', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-notify-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const longest = join(directory, 'n'.repeat(107 - directory.length))
  assert.equal(longest.length, 108)
  const manager = receiver(longest)
  assert.equal(notifyServiceManager(longest, 'ready'), undefined)
  assert.equal(manager.next(), 'READY=1')
  manager.close()
  assert.equal(notifyServiceManager(`${longest}n`, 'ready'), 'ENAMETOOLONG')
})

test('a service manager that is not there is an error by name, never an exception', () => {
  assert.equal(notifyServiceManager('/nowhere/notify', 'ready'), 'ENOENT')
  assert.equal(notifyServiceManager(`@nobody-${process.pid}`, 'ready'), 'ECONNREFUSED')
  assert.equal(notifyServiceManager('vsock:2:1234', 'ready'), 'EAFNOSUPPORT')
  assert.equal(notifyServiceManager('', 'ready'), 'EAFNOSUPPORT')
})
