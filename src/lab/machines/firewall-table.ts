import { type Cidr, cidrsWithoutOverlap, formatCidr } from '../../address/cidr.ts'
import type { FirewallRule, PortRange, Traffic } from './firewall-rules.ts'

const PROTOCOLS_WITH_PORTS: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' }

/** The machine that a firewall is in front of. */
export type GuardedMachine = {
  /** The interface of its router that leads to it. */
  readonly device: string
  /** Those that it may send from; undefined: any, because it is a router itself. */
  readonly addresses: readonly string[] | undefined
}

/**
 * The text for `nft -f` that puts rules, in the order in which they decide, in the place of those that were there, in one
 * transaction. What no rule decides is denied on its way in, and allowed on its way out. A rule that is logged counts.
 *
 * It is for the router of the machine: there, nothing that runs in the machine changes it, and what it drops is never
 * seen there. What a machine sends to itself does not come by.
 */
export function firewallTable(rules: readonly FirewallRule[], { device, addresses }: GuardedMachine): string {
  const linesOf = (direction: FirewallRule['direction']) =>
    rules.filter((rule) => rule.direction === direction).flatMap(linesOfRule)
  const name = tableOf(device)
  return [
    withoutFirewall(device),
    `table ${name} {`,
    ...chain('ingress', [`oifname != "${device}" accept`], [...linesOf('INGRESS'), 'drop']),
    ...chain('egress', [`iifname != "${device}" accept`, ...spoofedSources(addresses)], linesOf('EGRESS')),
    '}',
    '',
  ].join('\n')
}

/** The text that takes the firewall of a machine away. */
export function withoutFirewall(device: string): string {
  // It has to exist to be deleted.
  return `table ${tableOf(device)}\ndelete table ${tableOf(device)}\n`
}

function tableOf(device: string): string {
  return `inet firewall_${device}`
}

/** A machine sends from its own addresses only, also answers. */
function spoofedSources(addresses: readonly string[] | undefined): readonly string[] {
  if (addresses === undefined) return []
  const [ipv6, ipv4] = [true, false].map((isIpv6) => addresses.filter((one) => one.includes(':') === isIpv6))
  return [
    ipv4.length === 0 ? 'meta nfproto ipv4 drop' : `ip saddr != { ${ipv4.join(', ')} } drop`,
    ipv6.length === 0 ? 'meta nfproto ipv6 drop' : `ip6 saddr != { ${ipv6.join(', ')} } drop`,
  ]
}

function chain(name: string, first: readonly string[], rules: readonly string[]): readonly string[] {
  const lines = [
    'type filter hook forward priority filter; policy accept;',
    ...first,
    // Stateful: what was let through once is let through with its answers, whatever becomes of the rule.
    'ct state established,related accept',
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
