import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../model/api-error.ts'
import { readFilter } from './filter.ts'

const resource = {
  name: 'fw-1',
  description: 'A (B) C',
  priority: 1000,
  id: '17583513687044263757',
  disabled: false,
  logConfig: { enable: true, sampleRate: 0.5 },
  tags: { items: ['web', 'tcp-lb'] },
  labels: { env: 'prod', a_b: 'x', 'c.d': 'y' },
  IPAddress: '203.0.113.10',
  IPProtocol: 'TCP',
  network: 'http://127.0.0.1:8080/compute/v1/projects/p/global/networks/default',
  zone: 'http://127.0.0.1:8080/compute/v1/projects/p/zones/us-central1-a',
  creationTimestamp: '2026-11-22T00:00:06.000Z',
  empty: '',
}

// What gcloud 528 sends for --filter of a list that is not aggregated, and for --regexp; the forms of the documentation
// of the parameter `filter`; AIP-160; and the filters of the Kubernetes cloud provider and of Terraform's data sources.
const wanted = [
  'name eq ".*\\bfw\\-1\\b.*"',
  'name eq ".*\\bfw.*"',
  'name eq ".*(^fw.*[0-9]$).*"',
  'name ne ".*\\bother\\b.*"',
  '(name eq ".*\\bfw\\-1\\b.*")(disabled eq false)',
  '(name eq ".*\\bfw\\-1\\b.*")((disabled eq false)(priority eq 1000))',
  'priority eq 1000.0',
  'priority eq 10..',
  'logConfig.sampleRate eq .5',
  'logConfig.enable eq True',
  'id eq 17583513687044263757',
  'description eq A \\(B\\) C',
  'description eq A (B) C',
  '(description eq A \\(B\\) C) (name eq fw-1)',
  'description eq ".*\\bA\\ \\(B\\)\\ C.*"',
  "description eq 'A .*'",
  'creationTimestamp eq 2026-11-22T00:00:06.000Z',
  'creationTimestamp eq 2026-11-21T17:00:06.000-07:00',
  'creation_timestamp eq 2026-11-22T00:00:06.000Z',
  'ipAddress eq ".*\\b203\\.0\\.113\\.10\\b.*"',
  'IPProtocol eq TCP',
  'zone eq ".*(\\bus-central1-[ab]\\b).*"',
  'tags.items eq ".*\\bweb\\b.*"',
  'network eq ".*\\bhttps://www\\.googleapis\\.com/compute/v1/projects/p/global/networks/default\\b.*"',
  'network eq .*/default',
  'name eq fw.*',
  '( name eq fw.* ) ',
  '( ( name = fw-1 ) AND ( priority = 1000 ) )',
  '(name eq  fw.*)',
  'name eq ^fw(-.+)*$',
  'name eq (fw|other)-[0-9]',
  'name eq a|fw-1',
  'name eq fw[-)]1',
  'name eq fw[]-]1',
  '(name eq a|fw-1) (zone eq .*us-central1-a|b)',
  '(name eq fw-1)',
  'name eq fw-1 AND priority eq 1000',
  'name eq fw-1 priority eq 1000',
  'name eq x OR (priority eq 1000)',
  'empty eq ""',
  'name = "fw-1" AND (priority = 1000 OR priority = 2000)',
  'name = fw-1 OR name = fw-2 AND priority = 1000',
  'priority = 1e3',
  'priority: 1000',
  'disabled:false',
  'id > 17583513687044263756',
  'id <= 17583513687044263757',
  'creationTimestamp > 2026-11-21T23:00:00-01:00',
  'creationTimestamp<"2026-11-22T00:00:07Z"',
  'creationTimestamp = 2026-11-22T01:00:06+01:00',
  'creationTimestamp >= 2026-11-22',
  'network = https://www.googleapis.com/compute/v1/projects/p/global/networks/default',
  'network=https://compute.googleapis.com/compute/v1/projects/p/global/networks/default',
  'labels:env',
  'labels.a_b = x',
  'labels."c.d" = y',
  'tags.items:tcp*',
  'name:f*-1',
  '-(name = x)',
  'description = "A (B) C"',
  'logConfig.enable=true',
]
const unwanted = [
  'name eq ".*\\bfw\\-2\\b.*"',
  '(name eq ".*\\bfw\\-1\\b.*")((disabled eq false)(priority eq 1001))',
  'priority eq 1001',
  'priority eq 100',
  'description eq A',
  'creationTimestamp eq 2026-11-22T00:00:06.000-07:00',
  'name = fw-1 OR name = fw-2 AND priority = 1',
  'priority:10',
  'priority = ""',
  'priority = 0x3e8',
  'id > 17583513687044263757',
  'id < 17583513687044263757',
  'creationTimestamp > 2026-11-22T00:00:00-01:00',
  'network = https://www.googleapis.com/compute/v1/projects/q/global/networks/default',
  'labels.ab = x',
  'labels:prod',
  'labels.constructor:*',
  'constructor:*',
  'name:1*f',
  'disabled > false',
]
const wrong = [
  'name eq',
  'name eq fw(-1',
  'name eq "a"|"b"',
  'name eq "a',
  "name eq 'a",
  '(name eq fw-1',
  'name eq fw-1 AND name = fw-1',
  'name = fw-1 OR',
  'name == x',
  'name = (a OR b)',
  '- = x',
]

for (const filter of wanted) {
  test(`takes the resource: ${filter}`, () => assert.ok(readFilter(filter)(resource)))
}
for (const filter of unwanted) {
  test(`does not take the resource: ${filter}`, () => assert.ok(!readFilter(filter)(resource)))
}
for (const filter of wrong) {
  test(`is refused: ${filter}`, () => {
    assert.throws(
      () => readFilter(filter),
      (error) => error instanceof ApiError && error.status === 400,
    )
  })
}

test('a filter of nothing but spaces, quotes and parentheses is read in one pass', () => {
  const startMs = performance.now()
  for (const filter of [
    `name eq a${' '.repeat(8000)}b`,
    `name eq ${'a '.repeat(4000)}`,
    `name eq ${'['.repeat(8000)}`,
  ]) {
    try {
      readFilter(filter)
    } catch (error) {
      assert.ok(error instanceof ApiError)
    }
  }
  assert.ok(performance.now() - startMs < 2_000)
})
