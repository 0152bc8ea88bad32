// The rules of policy routing as `ip -N -j rule show` prints them (ip-rule(8)), and where among them ours belongs.
import type { Protocol } from '../address/endpoint.ts'
import { type IpAddress, ipv4Address, ipv6Address, parseIpAddress, wordAt } from '../address/ip-address.ts'

export type Family = 4 | 6

/** A rule; the names are those of iproute2. */
export type PolicyRule = Readonly<Record<string, unknown>>

/** RT_TABLE_LOCAL: the host's own addresses. */
const LOCAL_TABLE = '255'
/** The protocols of apps by their numbers, as `ip -N` shows them. */
const PROTOCOLS: Readonly<Record<string, Protocol>> = { 6: 'tcp', 17: 'udp' }

/**
 * Where ours goes when nothing is in its way: in front of what others put at fixed places (tailscale from 5210 on), and
 * with room below, because the kernel puts a rule without a priority right in front of the second one (wg-quick(8) adds
 * two).
 */
const PRIORITY_MAX = 5_000

/** Below, there is little room left for rules without a priority: ours goes back up as soon as it can. */
const PRIORITY_LOW = 100

const OUR_FIELDS = new Set(['priority', 'src', 'srclen', 'iif', 'table', 'protocol'])

/** Exactly "from LOOPBACK iif lo lookup TABLE": one more selector, "not" among them, makes it somebody else's. */
export function isLocalAnswersRule(rule: PolicyRule, family: Family): boolean {
  const isSource =
    family === 4
      ? rule['src'] === '127.0.0.0' && rule['srclen'] === 8
      : rule['src'] === '::1' && (rule['srclen'] ?? 128) === 128
  return isSource && rule['iif'] === 'lo' && Object.keys(rule).every((field) => OUR_FIELDS.has(field))
}

/** Leads to this host's own addresses, whoever asks. */
function isLocalTableRule(rule: PolicyRule): boolean {
  const fields = Object.keys(rule).filter((field) => field !== 'protocol')
  return rule['src'] === 'all' && rule['table'] === LOCAL_TABLE && fields.length === 3
}

/** Rules that ours has to come before: all but the one of the local table, and those of agents with another table. */
function others(rules: readonly PolicyRule[], family: Family): readonly PolicyRule[] {
  return rules.filter((rule) => !isLocalTableRule(rule) && !isLocalAnswersRule(rule, family))
}

/** The rules of others that the kernel asks before ours for `table`; all of them, where ours is missing. */
export function rulesInFront(rules: readonly PolicyRule[], family: Family, table: number): readonly PolicyRule[] {
  const ours = rules.findIndex((rule) => isLocalAnswersRule(rule, family) && rule['table'] === String(table))
  return others(ours < 0 ? rules : rules.slice(0, ours), family)
}

/**
 * The priority at which ours comes before every other one. 0 is the last that there is; at 0 it comes after the rules
 * that have it already.
 */
export function wantedPriority(rules: readonly PolicyRule[], family: Family): number {
  const first = Math.min(...others(rules, family).map((rule) => Number(rule['priority'])))
  return Math.max(0, Math.min(PRIORITY_MAX, first - 1))
}

/** Reports whether ours has to move: something is in front of it, or it has come down far and can go back up. */
export function isOutOfPlace(rules: readonly PolicyRule[], family: Family, table: number): boolean {
  const priorities = rules
    .filter((rule) => isLocalAnswersRule(rule, family) && rule['table'] === String(table))
    .map((rule) => Number(rule['priority']))
  const wanted = wantedPriority(rules, family)
  if (priorities.length === 0 || priorities.includes(wanted)) return false
  const first = Math.min(...priorities)
  return rulesInFront(rules, family, table).length > 0 || (first < PRIORITY_LOW && first < wanted)
}

/** A packet of an app, as far as rules can tell packets apart; what is left out, they are not asked about. */
export type AnswerFlow = {
  /** Default: TCP. */
  readonly protocol?: Protocol
  readonly to?: IpAddress
  readonly fromPort?: number
  readonly toPort?: number
  readonly uid?: number
  readonly mark?: number
  readonly tos?: string
}

/**
 * An answer of an app that `rule` may match; undefined when no answer can be.
 *
 * A firewall mark is not taken from the rule: answers have one only where the operator gives them one.
 */
export function answerThrough(rule: PolicyRule): AnswerFlow | undefined {
  const number = (field: string): number | undefined => (typeof rule[field] === 'number' ? rule[field] : undefined)
  const port = (side: 'sport' | 'dport'): number | undefined => number(side) ?? number(`${side}_start`)
  if ('not' in rule) {
    const lastUid = number('uid_end')
    return lastUid === undefined ? {} : { uid: lastUid + 1 }
  }
  if ('oif' in rule || (rule['iif'] ?? 'lo') !== 'lo') return undefined
  const protocol = protocolOf(rule)
  if ('ipproto' in rule && protocol === undefined) return undefined
  const to = typeof rule['dst'] === 'string' ? hostIn(rule['dst']) : undefined
  return {
    ...optional('protocol', protocol),
    ...(to === undefined ? {} : { to }),
    ...optional('fromPort', port('sport')),
    ...optional('toPort', port('dport')),
    ...optional('uid', number('uid_start')),
    ...(typeof rule['tos'] === 'string' ? { tos: rule['tos'] } : {}),
  }
}

/** undefined: it asks for none, or for one that is no app's. */
function protocolOf(rule: PolicyRule): Protocol | undefined {
  const word = String(rule['ipproto']).replace(/^ipproto-/, '')
  return word === 'tcp' || word === 'udp' ? word : PROTOCOLS[word]
}

function optional<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): { readonly [key in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [key in Name]?: Value })
}

/** An address of a network that is not the network's own, so that it is nobody's broadcast address. */
function hostIn(network: string): IpAddress | undefined {
  const address = parseIpAddress(network)
  if (address === undefined) return undefined
  const last = wordAt(address, 3) | 1
  if (address.family === 4) return ipv4Address(last)
  return ipv6Address(wordAt(address, 0), wordAt(address, 1), wordAt(address, 2), last)
}

/** A rule in the words of ip-rule(8), with its priority. */
export function formatRule(rule: PolicyRule): string {
  const range = (name: string): string => `${rule[`${name}_start`]}-${rule[`${name}_end`]}`
  const network = (name: 'src' | 'dst'): string =>
    `${rule[name]}${`${name}len` in rule ? `/${rule[`${name}len`]}` : ''}`
  const words = [
    'not' in rule ? 'not' : '',
    `from ${network('src')}`,
    'dst' in rule ? `to ${network('dst')}` : '',
    'tos' in rule ? `tos ${rule['tos']}` : '',
    'fwmark' in rule ? `fwmark ${rule['fwmark']}${'fwmask' in rule ? `/${rule['fwmask']}` : ''}` : '',
    'iif' in rule ? `iif ${rule['iif']}` : '',
    'oif' in rule ? `oif ${rule['oif']}` : '',
    'uid_start' in rule ? `uidrange ${range('uid')}` : '',
    'ipproto' in rule ? `ipproto ${String(rule['ipproto']).replace(/^ipproto-/, '')}` : '',
    ...['sport', 'dport'].map((name) => {
      if (name in rule) return `${name} ${rule[name]}`
      return `${name}_start` in rule ? `${name} ${range(name)}` : ''
    }),
    'table' in rule ? `lookup ${rule['table']}` : String(rule['action'] ?? ''),
    'suppress_prefixlen' in rule ? `suppress_prefixlength ${rule['suppress_prefixlen']}` : '',
  ]
  return `${rule['priority']}: ${words.filter((word) => word !== '').join(' ')}`
}
