import { type Cidr, cidrsWithoutOverlap, formatCidr } from '../../address/cidr.ts'
import type { FirewallRule, PortRange, Traffic } from './firewall-rules.ts'

const TABLE = 'inet vpc_firewall'
/** Google's server of metadata, names and time is always reached, whatever rules say. */
const METADATA_SERVER = '169.254.169.254'
/** Without them IPv6 finds no neighbour; they never leave a link. */
const NEIGHBOURS = 'icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept'
const PROTOCOLS_WITH_PORTS: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' }

/**
 * The text for `nft -f` that puts rules, in the order in which they decide, in the place of those that were there, in one
 * transaction. What no rule decides is denied on its way in, and allowed on its way out. A rule that is logged counts.
 */
export function firewallTable(rules: readonly FirewallRule[]): string {
  const linesOf = (direction: FirewallRule['direction']) =>
    rules.filter((rule) => rule.direction === direction).flatMap(linesOfRule)
  return [
    // It has to exist to be deleted.
    `table ${TABLE}`,
    `delete table ${TABLE}`,
    `table ${TABLE} {`,
    ...chain('ingress', 'input', 'drop', ['iif lo accept', `ip saddr ${METADATA_SERVER} accept`], linesOf('INGRESS')),
    ...chain('egress', 'output', 'accept', ['oif lo accept', `ip daddr ${METADATA_SERVER} accept`], linesOf('EGRESS')),
    '}',
    '',
  ].join('\n')
}

function chain(
  name: string,
  hook: string,
  policy: 'accept' | 'drop',
  always: readonly string[],
  rules: readonly string[],
): readonly string[] {
  const lines = [
    `type filter hook ${hook} priority filter; policy ${policy};`,
    ...always,
    // Stateful: what was let through once is let through with its answers, whatever becomes of the rule.
    'ct state established,related accept',
    NEIGHBOURS,
    ...rules,
  ]
  return [`  chain ${name} {`, ...lines.map((line) => `    ${line}`), '  }']
}

function linesOfRule({ name, allows, sources, destinations, traffic, isLogged }: FirewallRule): readonly string[] {
  const verdict = `${isLogged ? 'counter ' : ''}${allows ? 'accept' : 'drop'} comment "${name}"`
  return addressMatches(sources, destinations).flatMap((addresses) => {
    return traffic.map((one) => [...addresses, ...trafficMatch(one), verdict].join(' '))
  })
}

/** One list of conditions for each family; a family that a rule has no address of is not matched by it. */
function addressMatches(
  sources: readonly Cidr[] | undefined,
  destinations: readonly Cidr[] | undefined,
): readonly (readonly string[])[] {
  if (sources === undefined && destinations === undefined) return [[]]
  return ([4, 6] as const).flatMap((family) => {
    const from = rangeMatch('saddr', family, sources)
    const to = rangeMatch('daddr', family, destinations)
    return from === undefined || to === undefined ? [] : [[...new Set([...from, ...to])]]
  })
}

/** undefined: no address matches. */
function rangeMatch(
  field: 'saddr' | 'daddr',
  family: 4 | 6,
  ranges: readonly Cidr[] | undefined,
): readonly string[] | undefined {
  if (ranges === undefined) return []
  const own = cidrsWithoutOverlap(ranges.filter(({ address }) => address.family === family))
  if (own.length === 0) return undefined
  if (own[0].prefixLength === 0) return [`meta nfproto ipv${family}`]
  return [`${family === 4 ? 'ip' : 'ip6'} ${field} { ${own.map(formatCidr).join(', ')} }`]
}

function trafficMatch({ protocol, ports }: Traffic): readonly string[] {
  if (protocol === undefined) return []
  const name = PROTOCOLS_WITH_PORTS[protocol]
  if (name === undefined || ports.length === 0) return [`meta l4proto ${protocol}`]
  return [`${name} dport { ${withoutOverlap(ports).map(formatPorts).join(', ')} }`]
}

function formatPorts({ first, last }: PortRange): string {
  return first === last ? String(first) : `${first}-${last}`
}

/** The same ports in ranges of which no two touch: nft(8) refuses a set whose members overlap. */
function withoutOverlap(ranges: readonly PortRange[]): readonly PortRange[] {
  const merged: PortRange[] = []
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = merged.at(-1)
    if (before === undefined || range.first > before.last + 1) merged.push(range)
    else merged[merged.length - 1] = { first: before.first, last: Math.max(before.last, range.last) }
  }
  return merged
}
