import { nearestWord } from '../compute/nearest-word.ts'
import type { Snapshot } from './snapshot.ts'

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
  const empty = services.filter(({ groups }) => groups.every(({ backends }) => backends.length === 0))
  const closed = services.filter(
    (service) => !empty.includes(service) && service.groups.every(({ balancing }) => balancing.capacityScaler === 0),
  )
  const loops = services.flatMap(({ name, groups }) =>
    groups
      .flatMap(({ backends }) => backends)
      .filter(({ address, port }) => frontends.some((it) => it.port === port && isReachedBy(it.address, address)))
      .map((backend) => ({ ...backend, service: name })),
  )
  return [
    ...(frontends.length > 0 ? [] : ['there is no forwarding rule, so no port is opened']),
    ...empty.map(({ name }) => `backendServices/${name} has no backends, so its clients are reset; add a backend`),
    ...closed.map(
      ({ name }) =>
        `every group of backendServices/${name} has the capacityScaler 0, so its clients are reset; raise one`,
    ),
    ...loops.map(
      ({ service, address, port }) =>
        `a backend of backendServices/${service} is this edge itself, at ${address} and port ${port}; give the address of its app or agent`,
    ),
  ]
}

function isReachedBy(listening: string, address: string): boolean {
  return listening === address || ((listening === '0.0.0.0' || listening === '::') && /^127\.|^::1$/.test(address))
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
