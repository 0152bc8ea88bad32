import { type Cidr, parseCidr } from '../../address/cidr.ts'
import { isMapping, type Mapping, mappingsOf } from '../../compute/json-value.ts'
import type { JsonValue, StoredResource } from '../../controller/store/store.ts'

/** Ports from `first` to `last`. */
export type PortRange = { readonly first: number; readonly last: number }

/** What a rule is about: undefined is any protocol, and no ports are all of them. */
export type Traffic = { readonly protocol: number | undefined; readonly ports: readonly PortRange[] }

/** A rule as one instance has it: tags and accounts have become addresses. Of undefined ranges every address is one. */
export type FirewallRule = {
  readonly name: string
  readonly direction: 'INGRESS' | 'EGRESS'
  readonly priority: number
  readonly allows: boolean
  readonly sources: readonly Cidr[] | undefined
  readonly destinations: readonly Cidr[] | undefined
  readonly traffic: readonly Traffic[]
  readonly isLogged: boolean
}

/** A resource of the project, as the controller stores it. */
type Stored = Pick<StoredResource, 'project' | 'name' | 'resource'>

/** Protocols that a rule may call by name, by their numbers (IANA's registry; `ipip` is 94, `ipencap` would be 4). */
const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  esp: 50,
  ah: 51,
  ipip: 94,
  sctp: 132,
}

/**
 * The rules that apply to an instance, in the order in which they decide: the lowest number first, of equal ones those
 * that deny. What none of them decides is for the implied rules. Disabled rules are left out, and those that match nothing.
 *
 * @param instances all that there are: source tags and accounts stand for the internal addresses of those of the network
 */
export function rulesOf(
  instance: Stored,
  instances: readonly Stored[],
  firewalls: readonly Stored[],
): readonly FirewallRule[] {
  const networks = new Set(interfacesOf(instance).map(({ network }) => network))
  return firewalls
    .filter(({ project, resource }) => {
      const isOurs = project === instance.project && networks.has(resource.network)
      return isOurs && resource.disabled !== true && isTarget(instance, resource)
    })
    .map((firewall) => ruleOf(firewall, instances))
    .filter(({ sources }) => sources?.length !== 0)
    .sort((a, b) => a.priority - b.priority || Number(a.allows) - Number(b.allows) || (a.name < b.name ? -1 : 1))
}

function isTarget(instance: Stored, { targetTags, targetServiceAccounts }: Mapping): boolean {
  const tags = textsOf(targetTags)
  const accounts = textsOf(targetServiceAccounts)
  return (tags.length === 0 && accounts.length === 0) || isNamed(instance, tags, accounts)
}

function isNamed({ resource }: Stored, tags: readonly string[], accounts: readonly string[]): boolean {
  const own = isMapping(resource.tags) ? textsOf(resource.tags.items) : []
  const emails = mappingsOf(resource.serviceAccounts).map(({ email }) => email)
  return own.some((tag) => tags.includes(tag)) || emails.some((email) => accounts.includes(String(email)))
}

function ruleOf({ project, name, resource }: Stored, instances: readonly Stored[]): FirewallRule {
  const { allowed, denied, direction, priority, logConfig } = resource
  const allows = mappingsOf(allowed).length > 0
  const { sourceRanges, destinationRanges } = resource
  const tags = textsOf(resource.sourceTags)
  const accounts = textsOf(resource.sourceServiceAccounts)
  const named = instances.filter((one) => one.project === project && isNamed(one, tags, accounts))
  const sources = [...rangesOf(sourceRanges), ...named.flatMap((one) => internalRanges(one, resource.network))]
  const hasSources = textsOf(sourceRanges).length + tags.length + accounts.length > 0
  return {
    name,
    direction: direction === 'EGRESS' ? 'EGRESS' : 'INGRESS',
    priority: Number(priority),
    allows,
    sources: hasSources ? sources : undefined,
    destinations: textsOf(destinationRanges).length > 0 ? rangesOf(destinationRanges) : undefined,
    traffic: mappingsOf(allows ? allowed : denied).map(trafficOf),
    isLogged: isMapping(logConfig) && logConfig.enable === true,
  }
}

function trafficOf({ IPProtocol, ports }: Mapping): Traffic {
  const name = String(IPProtocol)
  const protocol = name === 'all' ? undefined : (PROTOCOLS[name] ?? Number(name))
  return { protocol, ports: textsOf(ports).map(portRange) }
}

function portRange(text: string): PortRange {
  const [first, last = first] = text.split('-').map(Number)
  return { first, last }
}

function internalRanges(instance: Stored, network: unknown): readonly Cidr[] {
  return interfacesOf(instance).flatMap((one) => {
    if (one.network !== network) return []
    const external = mappingsOf(one.ipv6AccessConfigs).map(({ externalIpv6 }) => externalIpv6)
    return [one.networkIP, one.ipv6Address, ...external].flatMap((text) =>
      typeof text === 'string' ? (parseCidr(text) ?? []) : [],
    )
  })
}

function interfacesOf({ resource }: Stored): readonly Mapping[] {
  return mappingsOf(resource.networkInterfaces)
}

function rangesOf(value: JsonValue | undefined): readonly Cidr[] {
  return textsOf(value).flatMap((text) => parseCidr(text) ?? [])
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : []
}
