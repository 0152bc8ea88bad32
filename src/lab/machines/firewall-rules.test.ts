import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatCidr } from '../../address/cidr.ts'
import type { JsonObject, JsonValue } from '../../controller/store/store.ts'
import { type FirewallRule, rulesOf } from './firewall-rules.ts'

const DEFAULT = 'projects/p/global/networks/default'
const OTHER = 'projects/p/global/networks/other'

/** What a test says of an instance. */
type Given = {
  readonly project?: string
  readonly tags?: readonly string[]
  readonly account?: string
  readonly interfaces?: readonly JsonObject[]
}

function instance(name: string, { project = 'p', tags = [], account, interfaces }: Given = {}) {
  const networkInterfaces = interfaces ?? [{ network: DEFAULT, networkIP: '10.128.0.2' }]
  const serviceAccounts = account === undefined ? [] : [{ email: account, scopes: [] }]
  return { project, name, resource: { networkInterfaces, tags: { items: tags }, serviceAccounts } }
}

function nic(networkIP: string, ipv6Address?: string, network = DEFAULT): JsonObject {
  return { network, networkIP, ...(ipv6Address === undefined ? {} : { ipv6Address }) }
}

/** A firewall as the controller stores it. */
function firewall(name: string, fields: { readonly [name: string]: JsonValue } = {}, project = 'p') {
  const { direction = 'INGRESS', denied } = fields
  const ranges =
    direction === 'EGRESS' ? { destinationRanges: ['0.0.0.0/0'] } : { sourceRanges: ['0.0.0.0/0'] as JsonValue }
  const resource: JsonObject = {
    network: DEFAULT,
    direction,
    priority: 1000,
    disabled: false,
    ...(denied === undefined ? { allowed: [{ IPProtocol: 'tcp', ports: ['110'] }] } : {}),
    ...ranges,
    ...fields,
  }
  return { project, name, resource }
}

function names(rules: readonly FirewallRule[]): readonly string[] {
  return rules.map(({ name }) => name)
}

function sourcesOf([rule]: readonly FirewallRule[]): readonly string[] | undefined {
  return rule?.sources?.map(formatCidr)
}

const web = instance('web', { tags: ['tcp-lb', 'web'], account: 'web@p.example' })

test('a rule is for every instance of its network, or for those with one of its tags or accounts', () => {
  const chosen = (fields: { readonly [name: string]: JsonValue }, project?: string) =>
    rulesOf(web, [web], [firewall('rule', fields, project)]).length === 1
  assert.ok(chosen({}))
  assert.ok(chosen({ targetTags: ['other', 'tcp-lb'] }))
  assert.ok(chosen({ targetServiceAccounts: ['web@p.example'] }))
  assert.ok(!chosen({ targetTags: ['other'] }))
  assert.ok(!chosen({ targetTags: ['tcp'] }), 'a tag is a whole word')
  assert.ok(!chosen({ targetServiceAccounts: ['db@p.example'] }))
  assert.ok(!chosen({ disabled: true }))
  assert.ok(!chosen({ network: OTHER }))
  assert.ok(!chosen({}, 'q'), 'of another project')
  const inBoth = instance('both', { interfaces: [nic('10.128.0.3'), nic('10.9.0.2', undefined, OTHER)] })
  assert.equal(rulesOf(inBoth, [], [firewall('rule', { network: OTHER })]).length, 1)
})

test('the lowest number decides first, of equal ones those that deny', () => {
  const denied = [{ IPProtocol: 'tcp' }]
  const firewalls = [
    firewall('last', { priority: 65_535 }),
    firewall('allow-b'),
    firewall('allow-a'),
    firewall('deny-z', { denied }),
    firewall('first', { priority: 0 }),
    firewall('deny-999', { denied, priority: 999 }),
  ]
  const expected = ['first', 'deny-999', 'deny-z', 'allow-a', 'allow-b', 'last']
  assert.deepEqual(names(rulesOf(web, [web], firewalls)), expected)
  assert.deepEqual(names(rulesOf(web, [web], [...firewalls].reverse())), expected)
  assert.deepEqual(
    rulesOf(web, [], firewalls).map(({ allows }) => allows),
    [true, false, false, true, true, true],
  )
})

test('source tags and accounts are the internal addresses of instances on the network, beside the source ranges', () => {
  const db = instance('db', {
    tags: ['db'],
    interfaces: [
      { ...nic('10.128.0.7', 'fd20::7'), ipv6AccessConfigs: [{ externalIpv6: '2001:db8::7' }] },
      nic('10.9.0.7', undefined, OTHER),
    ],
  })
  const job = instance('job', { tags: ['job'], account: 'job@p.example', interfaces: [nic('10.132.0.4')] })
  const foreign = instance('db', { project: 'q', tags: ['db'], interfaces: [nic('10.128.0.9')] })
  const all = [web, db, job, foreign]
  const sources = (fields: { readonly [name: string]: JsonValue }) =>
    sourcesOf(rulesOf(web, all, [firewall('rule', { sourceRanges: [], ...fields })]))
  assert.deepEqual(sources({ sourceTags: ['db'] }), ['10.128.0.7/32', 'fd20::7/128', '2001:db8::7/128'])
  assert.deepEqual(sources({ sourceTags: ['db', 'job'] }), [
    '10.128.0.7/32',
    'fd20::7/128',
    '2001:db8::7/128',
    '10.132.0.4/32',
  ])
  assert.deepEqual(sources({ sourceServiceAccounts: ['job@p.example'] }), ['10.132.0.4/32'])
  assert.deepEqual(sources({ sourceTags: ['job'], sourceRanges: ['192.0.2.0/24'] }), ['192.0.2.0/24', '10.132.0.4/32'])
  assert.equal(sources({ sourceTags: ['nobody'] }), undefined, 'a rule for nobody is left out')
  assert.deepEqual(rulesOf(web, all, [firewall('rule', { sourceRanges: [], sourceTags: ['nobody'] })]), [])
})

test('protocols are names or numbers; ports are single ones or ranges', () => {
  const traffic = (...allowed: JsonObject[]) => rulesOf(web, [], [firewall('rule', { allowed })])[0]?.traffic
  assert.deepEqual(traffic({ IPProtocol: 'tcp', ports: ['110', '8000-8999'] }), [
    {
      protocol: 6,
      ports: [
        { first: 110, last: 110 },
        { first: 8000, last: 8999 },
      ],
    },
  ])
  const named = ['icmp', 'udp', 'esp', 'ah', 'ipip', 'sctp', '58', '6', 'all'].map((IPProtocol) => ({ IPProtocol }))
  assert.deepEqual(
    traffic(...named)?.map(({ protocol }) => protocol),
    [1, 17, 50, 51, 94, 132, 58, 6, undefined],
  )
  const [deny] = rulesOf(web, [], [firewall('rule', { denied: [{ IPProtocol: 'udp' }] })])
  assert.deepEqual(deny.traffic, [{ protocol: 17, ports: [] }])
})

test('a rule for what goes out has destinations; what is logged is said', () => {
  const egress = { direction: 'EGRESS', destinationRanges: ['192.0.2.0/24', '2001:db8::/32'] }
  const [rule] = rulesOf(web, [], [firewall('out', { ...egress, logConfig: { enable: true } })])
  assert.deepEqual([rule.direction, rule.sources, rule.isLogged], ['EGRESS', undefined, true])
  assert.deepEqual(rule.destinations?.map(formatCidr), ['192.0.2.0/24', '2001:db8::/32'])
  const [ingress] = rulesOf(web, [], [firewall('in', { logConfig: { enable: false } })])
  assert.deepEqual([ingress.destinations, ingress.isLogged], [undefined, false])
})
