import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChoiceDecider, ExplainedGroup, Explanation } from '../telemetry/edge-why.ts'
import { UsageError } from './flags.ts'
import { parseStatus, whyPath } from './status.ts'
import { formatWhy, readWhy } from './why.ts'

const NONE_OUT = { drained: 0, unhealthy: 0, unknown: 0, ejected: 0, appDown: 0 }

const EXPLANATION: Explanation = {
  client: '209.52.88.4',
  frontend: 'my-rule',
  address: '203.0.113.10:110',
  service: 'my-tcp-lb',
  edge: { region: 'us-central1', zone: 'us-central1-b', edges: 2 },
  policy: {
    algorithm: 'WATERFALL_BY_REGION',
    failoverHealthThreshold: 70,
    isolation: 'none',
    locality: 'MAGLEV',
    affinity: 'CLIENT_IP',
  },
  regions: [
    { region: 'us-central1', rank: 0, kilometres: 0, connectMs: 0.42 },
    { region: 'europe-west1', rank: 1, kilometres: 7_179, connectMs: undefined },
  ],
  groups: [
    {
      name: 'us-central1-b/near',
      region: 'us-central1',
      zone: 'us-central1-b',
      level: 0,
      share: 1,
      part: 1,
      state: 'full-connections',
      members: 3,
      healthy: 2,
      out: { ...NONE_OUT, unhealthy: 1 },
      target: 10,
      maxUtilization: 0.8,
      utilization: 0.5,
      open: 5,
      openElsewhere: 5,
      limit: 5,
    },
    {
      name: 'europe-west1-b/far',
      region: 'europe-west1',
      zone: 'europe-west1-b',
      level: 1,
      share: 0,
      part: 1,
      state: 'serving',
      members: 1,
      healthy: 1,
      out: NONE_OUT,
      target: undefined,
      maxUtilization: undefined,
      utilization: undefined,
      open: 1,
      openElsewhere: undefined,
      limit: undefined,
    },
  ],
  affinity: { hash: '0badcafe', slot: 17 },
  open: 6,
  openMax: undefined,
  choice: {
    group: 'europe-west1-b/far',
    backend: 'vm',
    endpoint: '10.128.1.2:110',
    region: 'europe-west1',
    reason: 'full',
    decidedBy: 'client',
  },
}

test('an explanation says in which order regions come, what each group has, and what follows', () => {
  assert.deepEqual(formatWhy([EXPLANATION]).split('\n'), [
    'Client 209.52.88.4 at my-rule (203.0.113.10:110), backend service my-tcp-lb',
    'Edge in us-central1-b; targets are shared by 2 edges',
    'Policy WATERFALL_BY_REGION, failover below 70 % healthy; MAGLEV, affinity CLIENT_IP; hash 0badcafe, slot 17',
    '',
    'NEAREST FIRST  KILOMETRES  CONNECT MS',
    'us-central1             0  0.4',
    'europe-west1         7179  -',
    '',
    'LEVEL  BEGIN HERE  GROUP               REGION        HEALTHY  PART  TARGET               LOAD  OPEN  ELSEWHERE  LIMIT  STATE',
    '    1  100%        us-central1-b/near  us-central1   2/3      100%  80%, 10 connections  50%      5  5          5      full-connections',
    '    2  0%          europe-west1-b/far  europe-west1  1/1      100%  -                    -        1  -          -      serving',
    '',
    'It gets europe-west1-b/far/vm at 10.128.1.2:110 in europe-west1: the nearest region is at its target',
    '',
  ])
  assert.match(formatWhy([{ ...EXPLANATION, openMax: 6 }]), /^It is reset: the service has as many connections/m)
  const udp = formatWhy([{ ...EXPLANATION, address: '203.0.113.10:53/udp', openMax: 6 }])
  assert.match(udp, /^Its datagrams are dropped: the service has as many connections/m)
})

test('who is reset is told why no backend can be chosen', () => {
  const reset = (...given: readonly Partial<ExplainedGroup>[]): string | undefined => {
    const [near] = EXPLANATION.groups
    const groups = given.map((group) => ({ ...near, out: NONE_OUT, ...group }))
    return formatWhy([{ ...EXPLANATION, groups, choice: undefined }])
      .split('\n')
      .at(-2)
  }
  const group = {
    state: 'unhealthy',
    members: 5,
    out: { drained: 2, unhealthy: 1, unknown: 1, ejected: 2, appDown: 1 },
  }
  assert.equal(
    reset(group),
    'It is reset: no backend can be chosen; 2 are drained by an operator, 1 is unhealthy, 1 is not checked yet, ' +
      '2 are ejected by outlier detection, 1 is behind an agent whose app does not listen',
  )
  assert.equal(
    reset({ state: 'off', members: 2 }, { state: 'isolated', members: 1 }),
    'It is reset: no backend can be chosen; 2 are in a group with capacityScaler 0, 1 is in another region (isolation STRICT)',
  )
  assert.equal(reset({ state: 'unhealthy', members: 0 }), 'It is reset: the service has no backends')
})

test('isolation on an edge that knows no region is said to have no effect', () => {
  const policy = { ...EXPLANATION.policy, isolation: 'STRICT' }
  const edge = { region: undefined, zone: undefined, edges: 1 }
  assert.match(
    formatWhy([{ ...EXPLANATION, policy, edge }]),
    /isolation STRICT \(without effect: the edge knows no region\)/,
  )
  assert.match(formatWhy([{ ...EXPLANATION, policy }]), /isolation STRICT; /)
})

test('without a region there is no nearest one', () => {
  const edge = { region: undefined, zone: undefined, edges: 1 }
  const choice = EXPLANATION.choice && { ...EXPLANATION.choice, reason: 'nearest' }
  assert.match(formatWhy([{ ...EXPLANATION, edge, choice }]), /: the edge has no region, so all are equally near$/m)
})

test('it says so when more decides than was asked about', () => {
  const lineOf = (decidedBy: ChoiceDecider): string | undefined =>
    formatWhy([{ ...EXPLANATION, choice: EXPLANATION.choice && { ...EXPLANATION.choice, decidedBy } }])
      .split('\n')
      .at(-2)
  assert.match(
    lineOf('connection') ?? '',
    /^Its port, or the address that it connects to, decides, too; it may get europe/,
  )
  assert.match(lineOf('turns') ?? '', /^Groups and backends have their turns; it may get europe/)
})

test('an answer is read whole or refused', () => {
  const body = JSON.stringify({ kind: 'explained', explanations: [EXPLANATION] })
  assert.deepEqual(JSON.parse(JSON.stringify(readWhy(body))), JSON.parse(JSON.stringify([EXPLANATION])))
  for (const other of ['', '{}', '{"kind":"refused"}', body.replace('"share":1', '"share":"1"')]) {
    assert.throws(() => readWhy(other), /not one of an edge of this version/)
  }
})

test('a client is an address, and a frontend is only for an explanation', () => {
  const { why } = parseStatus(['--why', '2001:db8::7', '--frontend', 'my-rule'])
  assert.ok(why !== undefined)
  assert.equal(whyPath(why), '/why?client=2001%3Adb8%3A%3A7&frontend=my-rule')
  assert.throws(() => parseStatus(['--why', 'my-client']), /--why "my-client" is not a client; write its address/)
  assert.throws(() => parseStatus(['--frontend', 'my-rule']), UsageError)
})
