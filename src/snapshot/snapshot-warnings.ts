import { classifyAddress } from '../address/address-class.ts'
import { parseIpAddress } from '../address/ip-address.ts'
import { nearestWord } from '../compute/nearest-word.ts'
import type { Backend, BackendService, Snapshot } from './snapshot.ts'

/** What the command line says about where an edge is, and who may connect to it. */
export type Place = {
  /** undefined: everything is equally near. */
  readonly localRegion: string | undefined
  /** Subnets of load balancers in front; null: clients connect directly. */
  readonly acceptProxyFrom: readonly string[] | null
  readonly clientLimit: { readonly unlimitedClients: readonly string[] }
}

/** What of a configuration can be served and is perhaps not what was meant, a sentence each. */
export function snapshotWarnings(snapshot: Snapshot, place: Place): string[] {
  return [...serviceWarnings(snapshot), ...regionWarnings(snapshot, place.localRegion), ...subnetWarnings(place)]
}

function serviceWarnings({ frontends, services }: Snapshot): string[] {
  const isEmpty = ({ groups }: BackendService): boolean => groups.every(({ backends }) => backends.length === 0)
  const empty = services.filter(isEmpty)
  const isThisEdge = backendsOfEdge(frontends)
  const loops = services.flatMap(({ name, groups }) =>
    groups.flatMap(({ backends }) => backends.filter(isThisEdge).map((backend) => ({ ...backend, service: name }))),
  )
  return [
    ...(frontends.length > 0 ? [] : ['there is no forwarding rule, so no port is opened']),
    ...empty.map(({ name }) => `backendServices/${name} has no backends, so its clients are reset; add a backend`),
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

function regionWarnings({ services }: Snapshot, region: string | undefined): string[] {
  const regions = [...new Set(services.flatMap(({ groups }) => groups.map((group) => group.region)))].sort()
  if (region === undefined || regions.length === 0 || regions.includes(region)) return []
  const nearest = nearestWord(region, regions)
  const remedy = nearest === undefined ? 'check --region or --zone' : `did you mean "${nearest}"?`
  return [`no group is in the region "${region}" of this edge: the groups are in ${regions.join(', ')}; ${remedy}`]
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
