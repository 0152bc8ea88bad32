import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Cidr, parseCidr } from '../../address/cidr.ts'
import type { FirewallRule, PortRange } from './firewall-rules.ts'
import { firewallTable, withoutFirewall } from './firewall-table.ts'

const MACHINE = { device: 'vm1', addresses: ['10.128.0.2', '2001:db8::2'] }

function cidrs(...texts: string[]): Cidr[] {
  return texts.map((text) => parseCidr(text) as Cidr)
}

function port(first: number, last = first): PortRange {
  return { first, last }
}

function rule(fields: Partial<FirewallRule> = {}): FirewallRule {
  return {
    name: 'allow-lb-and-health',
    direction: 'INGRESS',
    priority: 1000,
    allows: true,
    sources: cidrs('0.0.0.0/0'),
    destinations: undefined,
    traffic: [{ protocol: 6, ports: [port(110)] }],
    isLogged: false,
    ...fields,
  }
}

/** What the rules become, without what every table has. */
function linesOf(...rules: FirewallRule[]): readonly string[] {
  const always = new Set(firewallTable([], MACHINE).split('\n'))
  return firewallTable(rules, MACHINE)
    .split('\n')
    .filter((line) => !always.has(line))
    .map((line) => line.trim())
}

test('a table replaces the one before it; without rules nothing comes in, and everything goes out', () => {
  assert.equal(withoutFirewall('vm1'), 'table inet firewall_vm1\ndelete table inet firewall_vm1\n')
  assert.equal(
    firewallTable([], MACHINE),
    `${withoutFirewall('vm1')}
table inet firewall_vm1 {
  chain ingress {
    type filter hook forward priority filter; policy accept;
    oifname != "vm1" accept
    ct state established,related accept
    drop
  }
  chain egress {
    type filter hook forward priority filter; policy accept;
    iifname != "vm1" accept
    ip saddr != { 10.128.0.2 } drop
    ip6 saddr != { 2001:db8::2 } drop
    ct state established,related accept
  }
}
`,
  )
})

test('a machine sends nothing of a family that it has no address of, and a router whatever comes', () => {
  assert.match(
    firewallTable([], { device: 'vm1', addresses: ['10.128.0.2'] }),
    /ip saddr != \{ 10\.128\.0\.2 \} drop\n +meta nfproto ipv6 drop\n/,
  )
  assert.doesNotMatch(firewallTable([], { device: 'vm1', addresses: undefined }), /saddr|nfproto/)
})

test('a rule is a line for each family that it has addresses of, and for each protocol', () => {
  assert.deepEqual(linesOf(rule({ sources: cidrs('130.211.0.0/22', '35.191.0.0/16') })), [
    'ip saddr { 35.191.0.0/16, 130.211.0.0/22 } tcp dport { 110 } accept comment "allow-lb-and-health"',
  ])
  const traffic = [
    { protocol: 17, ports: [port(53), port(8000, 8999)] },
    { protocol: 1, ports: [] },
    { protocol: 132, ports: [] },
    { protocol: undefined, ports: [] },
  ]
  assert.deepEqual(
    linesOf(rule({ name: 'x', allows: false, traffic, sources: cidrs('10.0.0.0/8', '2001:db8::/32') })),
    [
      'ip saddr { 10.0.0.0/8 } udp dport { 53, 8000-8999 } drop comment "x"',
      'ip saddr { 10.0.0.0/8 } meta l4proto 1 drop comment "x"',
      'ip saddr { 10.0.0.0/8 } meta l4proto 132 drop comment "x"',
      'ip saddr { 10.0.0.0/8 } drop comment "x"',
      'ip6 saddr { 2001:db8::/32 } udp dport { 53, 8000-8999 } drop comment "x"',
      'ip6 saddr { 2001:db8::/32 } meta l4proto 1 drop comment "x"',
      'ip6 saddr { 2001:db8::/32 } meta l4proto 132 drop comment "x"',
      'ip6 saddr { 2001:db8::/32 } drop comment "x"',
    ],
  )
})

test('every address of one family is not every address of the other', () => {
  const one = { name: 'x', traffic: [{ protocol: undefined, ports: [] }] }
  assert.deepEqual(linesOf(rule({ ...one, sources: cidrs('0.0.0.0/0', '10.0.0.0/8') })), [
    'meta nfproto ipv4 accept comment "x"',
  ])
  assert.deepEqual(linesOf(rule({ ...one, sources: cidrs('::/0') })), ['meta nfproto ipv6 accept comment "x"'])
  assert.deepEqual(linesOf(rule({ ...one, sources: undefined })), ['accept comment "x"'])
})

test('source and destination are both asked for, in the same family', () => {
  const both = {
    name: 'x',
    traffic: [{ protocol: undefined, ports: [] }],
    sources: cidrs('10.0.0.0/8', '2001:db8::/32'),
  }
  assert.deepEqual(linesOf(rule({ ...both, destinations: cidrs('192.0.2.1') })), [
    'ip saddr { 10.0.0.0/8 } ip daddr { 192.0.2.1/32 } accept comment "x"',
  ])
  assert.deepEqual(linesOf(rule({ ...both, sources: cidrs('0.0.0.0/0'), destinations: cidrs('0.0.0.0/0') })), [
    'meta nfproto ipv4 accept comment "x"',
  ])
  const out = { direction: 'EGRESS' as const, sources: undefined, destinations: cidrs('192.0.2.0/24') }
  assert.deepEqual(linesOf(rule({ ...both, ...out, allows: false })), ['ip daddr { 192.0.2.0/24 } drop comment "x"'])
})

test('ports and ranges that overlap or touch are one range', () => {
  const ports = [port(90), port(80, 89), port(85), port(443), port(0, 10), port(5, 7)]
  assert.deepEqual(linesOf(rule({ name: 'x', traffic: [{ protocol: 6, ports }] })), [
    'meta nfproto ipv4 tcp dport { 0-10, 80-90, 443 } accept comment "x"',
  ])
})

test('a rule that is logged counts what it decides', () => {
  assert.deepEqual(linesOf(rule({ name: 'x', isLogged: true })), [
    'meta nfproto ipv4 tcp dport { 110 } counter accept comment "x"',
  ])
})

test('rules stay in their order, in the chain of their direction', () => {
  const text = firewallTable(
    [
      rule({ name: 'a' }),
      rule({ name: 'out', direction: 'EGRESS', sources: undefined, destinations: cidrs('0.0.0.0/0') }),
      rule({ name: 'b', allows: false }),
    ],
    MACHINE,
  )
  assert.match(text, /chain ingress \{[^}]*\} accept comment "a"\n.*drop comment "b"\n {4}drop\n {2}\}/s)
  assert.match(text, /chain egress .*comment "out"\n {2}\}\n\}\n$/s)
})
