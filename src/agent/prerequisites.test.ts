import assert from 'node:assert/strict'
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { checkPrerequisites } from './prerequisites.ts'

function openSockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')
    } catch {
      return false
    }
  }).length
}

test('an agent that has what it needs starts, and no socket of the question is left', () => {
  const before = openSockets()
  checkPrerequisites()
  assert.equal(openSockets(), before)
})

for (const family of ['ipv4', 'ipv6']) {
  test(`where every address can be bound (${family}), no agent starts: it could not tell its own from others`, (t) => {
    // In the network of this test run, which is private.
    const path = `/proc/sys/net/${family}/ip_nonlocal_bind`
    writeFileSync(path, '1')
    t.after(() => writeFileSync(path, '0'))
    assert.throws(checkPrerequisites, new RegExp(`"${path}" is 1: .*; set it to 0`))
  })
}
