import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseIpAddress } from '../address/ip-address.ts'
import { answerThrough, formatRule, isLocalAnswersRule, isOutOfPlace, wantedPriority } from './policy-rules.ts'

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

const LOCAL = { priority: 0, src: 'all', table: '255' }
const MAIN = { priority: 32_766, src: 'all', table: '254' }

test('ours belongs in front of everything but the local table and its own kind', () => {
  const alike = { ...OURS, priority: 4_000, table: '200' }
  for (const [rules, wanted, isOut] of [
    [[LOCAL, OURS, MAIN], 5_000, false],
    [[LOCAL, { ...MAIN, priority: 9 }, OURS, MAIN], 8, true],
    [[LOCAL, alike, OURS, MAIN], 5_000, false],
    [[LOCAL, { ...alike, priority: 8 }, { ...MAIN, priority: 9 }, OURS, MAIN], 8, true],
    // The local table where others have moved it to.
    [[{ ...LOCAL, priority: 100 }, OURS, MAIN], 5_000, false],
    [[{ ...LOCAL, priority: 100, iif: 'eth0' }, OURS, MAIN], 99, true],
    // Too far down, with nothing in the way back.
    [[LOCAL, { ...OURS, priority: 99 }, MAIN], 5_000, true],
    [[LOCAL, { ...OURS, priority: 100 }, MAIN], 5_000, false],
    [[LOCAL, { ...OURS, priority: 8 }, { ...MAIN, priority: 9 }, MAIN], 8, false],
    [[LOCAL, { ...MAIN, priority: 0 }, { ...OURS, priority: 0 }, MAIN], 0, false],
    [[LOCAL, MAIN], 5_000, false],
  ] as const) {
    assert.equal(wantedPriority(rules, 4), wanted, JSON.stringify(rules))
    assert.equal(isOutOfPlace(rules, 4, 100), isOut, JSON.stringify(rules))
  }
})

test('an answer is made for what a rule asks about, and none where no answer can match', () => {
  for (const [rule, flow] of [
    [{ fwmark: '0x1' }, {}],
    [{ not: null, fwmark: '0x1' }, {}],
    [{ not: null, uid_start: 0, uid_end: 99 }, { uid: 100 }],
    [{ not: null, dst: '10.0.0.0', dstlen: 8 }, {}],
    [{ uid_start: 1_000, uid_end: 2_000 }, { uid: 1_000 }],
    [
      { ipproto: 'tcp', sport: 112 },
      { protocol: 'tcp', fromPort: 112 },
    ],
    [
      { ipproto: 'ipproto-6', dport_start: 7, dport_end: 9 },
      { protocol: 'tcp', toPort: 7 },
    ],
    [{ dst: '198.51.100.0', dstlen: 24 }, { to: parseIpAddress('198.51.100.1') }],
    [{ dst: '2001:db8:51::', dstlen: 48 }, { to: parseIpAddress('2001:db8:51::1') }],
    [{ tos: '0x10' }, { tos: '0x10' }],
    [
      { ipproto: 'ipproto-17', sport: 53 },
      { protocol: 'udp', fromPort: 53 },
    ],
    [{ ipproto: 'ipproto-132' }, undefined],
    [{ iif: 'eth0' }, undefined],
    [{ iif: 'lo' }, {}],
    [{ oif: 'eth0' }, undefined],
  ] as const) {
    assert.deepEqual(answerThrough({ ...MAIN, ...rule }), flow, JSON.stringify(rule))
  }
})

test('a rule is named in the words of ip-rule(8)', () => {
  assert.equal(
    formatRule({
      ...{ priority: 7, not: null, src: '127.0.0.0', srclen: 8, dst: '9.0.0.0', dstlen: 8, tos: '0x10' },
      ...{ fwmark: '0x80000', fwmask: '0xff0000', iif: 'lo', uid_start: 1, uid_end: 2, ipproto: 'ipproto-6' },
      ...{ sport: 112, dport_start: 5, dport_end: 9, table: '52' },
    }),
    '7: not from 127.0.0.0/8 to 9.0.0.0/8 tos 0x10 fwmark 0x80000/0xff0000 iif lo uidrange 1-2 ipproto 6 sport 112 dport 5-9 lookup 52',
  )
  assert.equal(formatRule({ priority: 7, src: 'all', action: 'prohibit' }), '7: from all prohibit')
})
