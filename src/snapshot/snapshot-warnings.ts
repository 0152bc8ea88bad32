import { classifyAddress } from '../address/address-class.ts'
import { parseIpAddress } from '../address/ip-address.ts'
import { nearestWord } from '../compute/nearest-word.ts'
import { ineffectiveWarnings } from './service-warnings.ts'
import type { Backend, BackendService, Snapshot } from './snapshot.ts'

/** What the command line says about where an edge is, and who may connect to it. */
export type Place = {
  /** undefined: everything is equally near. */
  readonly localRegion: string | undefined
  readonly localZone: string | undefined
  /** Regions whose positions are known; undefined: nobody asks for distances here. */
  readonly positions?: ReadonlyMap<string, unknown>
  /** Subnets of load balancers in front; null: clients connect directly. */
  readonly acceptProxyFrom: readonly string[] | null
  readonly clientLimit: { readonly unlimitedClients: readonly string[] }
}

/** What of a configuration can be served and is perhaps not what was meant, a sentence each. */
export function snapshotWarnings(snapshot: Snapshot, place: Place): string[] {
  return [
    ...serviceWarnings(snapshot),
    ...ineffectiveWarnings(snapshot, place),
    ...regionWarnings(snapshot, place),
    ...subnetWarnings(place),
  ]
}

function serviceWarnings({ frontends, services }: Snapshot): string[] {
  const isEmpty = ({ groups }: BackendService): boolean => groups.every(({ backends }) => backends.length === 0)
  const empty = services.filter(isEmpty)
  const isThisEdge = {
    TCP: backendsOfEdge(frontends.filter(({ protocol }) => protocol === 'TCP')),
    UDP: backendsOfEdge(frontends.filter(({ protocol }) => protocol === 'UDP')),
  }
  const loops = services.flatMap(({ name, groups, flows }) => {
    const isLoop = isThisEdge[flows === undefined ? 'TCP' : 'UDP']
    return groups.flatMap(({ backends }) => backends.filter(isLoop).map((backend) => ({ ...backend, service: name })))
  })
  return [
    ...(frontends.length > 0 ? [] : ['there is no forwarding rule, so no port is opened']),
    ...empty.map(({ name, flows }) => {
      const end = flows === undefined ? 'its clients are reset' : 'datagrams of its clients are dropped'
      return `backendServices/${name} has no backends, so ${end}; add a backend`
    }),
    ...loops.map(
      ({ service, address, port }) =>
        `a backend of backendServices/${service} is this edge itself, at ${address} and port ${port}; give the address of its app or agent`,
    ),
  ]
}

/** Says of a backend whether a connection to it comes to one of these frontends. */
function backendsOfEdge(frontends: Snapshot['frontends']): (backend: Backend) => boolean {
  // There may be tens of thousands of backends, and thousands of frontends.
  const addressesByPort = new Map<number, Set<string>>()
  for (const { address, port } of frontends) {
    addressesByPort.set(port, (addressesByPort.get(port) ?? new Set()).add(address))
  }
  return ({ address, port }) => {
    const listening = addressesByPort.get(port)
    if (listening === undefined) return false
    const isEverywhere = listening.has('0.0.0.0') || listening.has('::')
    return listening.has(address) || (isEverywhere && isOwnHost(address))
  }
}

/** connect(2) takes an unspecified address for this host, too. */
function isOwnHost(text: string): boolean {
  const address = parseIpAddress(text)
  const addressClass = address && classifyAddress(address)
  return addressClass === 'loopback' || addressClass === 'unspecified'
}

function regionWarnings({ services }: Snapshot, { localRegion: region, localZone, positions }: Place): string[] {
  const regions = [...new Set(services.flatMap(({ groups }) => groups.map((group) => group.region)))].sort()
  if (region === undefined || regions.length === 0) return []
  return [
    ...zoneWarnings(localZone),
    ...(regions.includes(region) ? [] : [strangeRegion(region, regions)]),
    ...positionWarnings(region, regions, positions),
  ]
}

function strangeRegion(region: string, regions: readonly string[]): string {
  const nearest = nearestWord(region, regions)
  const remedy = nearest === undefined ? 'check --region or --zone' : `did you mean "${nearest}"?`
  return `no group is in the region "${region}" of this edge: the groups are in ${regions.join(', ')}; ${remedy}`
}

/** Zones are regions with a letter behind them. */
function zoneWarnings(zone: string | undefined): string[] {
  if (zone === undefined || /-[a-z]$/.test(zone)) return []
  return [
    `--zone "${zone}" looks like a region, and counts as one, too; write a zone, such as "${zone}-a", or --region`,
  ]
}

/** Distances matter as soon as connections can go to another region. */
function positionWarnings(region: string, regions: readonly string[], positions: Place['positions']): string[] {
  const others = regions.filter((other) => other !== region)
  if (positions === undefined || others.length < 2) return []
  const remedy = 'name a file with the position in --regions'
  if (!positions.has(region)) {
    return [
      `the position of the region "${region}" of this edge is not known, so all others are equally far; ${remedy}`,
    ]
  }
  const unknown = others.filter((other) => !positions.has(other))
  const names = unknown.map((other) => `"${other}"`).join(', ')
  return unknown.length === 0 ? [] : [`no distance to ${names} is known, so connections go there last; ${remedy}`]
}

/** Subnets that are every address, in lists that are there to name a few. */
function subnetWarnings({ acceptProxyFrom, clientLimit }: Place): string[] {
  const everyone = (subnets: readonly string[]): readonly string[] => subnets.filter((subnet) => subnet.endsWith('/0'))
  return [
    ...everyone(acceptProxyFrom ?? []).map(
      (subnet) =>
        `--accept-proxy "${subnet}" is every address: each client chooses the address that backends see; list the load balancers in front`,
    ),
    ...everyone(clientLimit.unlimitedClients).map(
      (subnet) =>
        `--unlimited-clients "${subnet}" is every address: one client can take all connections; list those that need it`,
    ),
  ]
}
