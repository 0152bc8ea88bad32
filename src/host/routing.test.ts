import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLocalAnswersRule } from './routing.ts'

const OURS = { priority: 32_765, src: '127.0.0.0', srclen: 8, iif: 'lo', table: '100' }

test('only a rule from loopback by lo, with no other selector, is ours', () => {
  assert.equal(isLocalAnswersRule(OURS, 4), true)
  assert.equal(isLocalAnswersRule({ ...OURS, protocol: '0' }, 4), true)
  for (const other of [
    { not: null },
    { fwmark: '0x1' },
    { dst: '1.2.3.0', dstlen: 24 },
    { srclen: 16 },
    { iif: 'eth0' },
    { src: 'all' },
    { tos: '0x10' },
    { uid_start: 0, uid_end: 0 },
    { suppress_prefixlen: 0 },
  ]) {
    assert.equal(isLocalAnswersRule({ ...OURS, ...other }, 4), false, JSON.stringify(other))
  }
})

test('the IPv6 rule is for the one loopback address', () => {
  const ours = { priority: 32_765, src: '::1', iif: 'lo', table: '100' }
  assert.equal(isLocalAnswersRule(ours, 6), true)
  assert.equal(isLocalAnswersRule({ ...ours, srclen: 128 }, 6), true)
  assert.equal(isLocalAnswersRule({ ...ours, src: '::', srclen: 64 }, 6), false)
  assert.equal(isLocalAnswersRule(OURS, 6), false)
})
