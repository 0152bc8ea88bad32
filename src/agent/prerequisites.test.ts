import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { openSockets } from '../../test/rig/process.ts'
import { checkPrerequisites } from './prerequisites.ts'

test('an agent that has what it needs starts, and no socket of the question is left', () => {
  const before = openSockets(process.pid)
  checkPrerequisites()
  assert.equal(openSockets(process.pid), before)
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
