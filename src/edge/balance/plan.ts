import { type IpAddress, parseIpAddress, wordAt } from '../../address/ip-address.ts'
import type { BackendGroup } from '../../snapshot/snapshot.ts'

/** How a service spreads connections over its backends: plain and compact, so that it can be given to a thread. */
export type Plan = {
  /** Groups of the first rank get connections first, those of the next one when none of it has room. */
  readonly ranks: readonly (readonly PlannedGroup[])[]
}

/** What a worker knows of a group. */
export type PlannedGroup = {
  /** In the cells. */
  readonly id: number
  /** As records have it. */
  readonly name: string
  /** Connections at which it is full; infinite: it never is. */
  readonly connectionsMax: number
  /** The part of its rank's connections that it gets: this, and so much for each backend that may be chosen. */
  readonly ownWeight: number
  readonly backendWeight: number
  readonly backends: PlannedBackends
}

/** The backends of a group as columns: thousands of them are then a few pieces of memory. */
export type PlannedBackends = {
  /** In the cells. */
  readonly ids: Int32Array
  readonly families: Uint8Array
  /** Four words of each address; see `IpAddress`. */
  readonly words: Int32Array
  readonly ports: Uint16Array
  /** A line for each. */
  readonly names: string
}

/** A group of a service, and the ids of what is in it. */
export type IdentifiedGroup = {
  readonly group: Pick<BackendGroup, 'name' | 'region' | 'balancing' | 'backends'>
  readonly id: number
  /** In the order of the group's backends. */
  readonly backendIds: readonly number[]
}

/**
 * Plans how connections are spread over groups. Pure; see docs/decisions/0011-own-region-first-and-overfill.md.
 *
 * @param localRegion where the edge runs: groups of this region come first; undefined: all are equally near
 */
export function compilePlan(groups: readonly IdentifiedGroup[], localRegion: string | undefined): Plan {
  const used = groups.filter(({ group }) => group.balancing.capacityScaler > 0)
  // Numbers of connections and of backends cannot be compared: where one group has no target, backends count.
  const weighsTargets = used.every(({ group }) => group.balancing.maxConnections !== undefined)
  const isNear = ({ group }: IdentifiedGroup): boolean => localRegion === undefined || group.region === localRegion
  const ranks = [used.filter(isNear), used.filter((one) => !isNear(one))]
  return {
    ranks: ranks.filter(({ length }) => length > 0).map((rank) => rank.map((one) => planGroup(one, weighsTargets))),
  }
}

function planGroup({ group, id, backendIds }: IdentifiedGroup, weighsTargets: boolean): PlannedGroup {
  const { maxConnections = Number.POSITIVE_INFINITY, capacityScaler } = group.balancing
  const addresses = group.backends.map(addressOf)
  const connectionsMax = maxConnections * capacityScaler
  return {
    id,
    name: group.name,
    connectionsMax,
    ownWeight: weighsTargets ? connectionsMax : 0,
    backendWeight: weighsTargets ? 0 : capacityScaler,
    backends: {
      ids: Int32Array.from(backendIds),
      families: Uint8Array.from(addresses, ({ family }) => family),
      words: wordsOf(addresses),
      ports: Uint16Array.from(group.backends, ({ port }) => port),
      names: group.backends.map(({ name }) => name).join('\n'),
    },
  }
}

function wordsOf(addresses: readonly IpAddress[]): Int32Array {
  const words = new Int32Array(4 * addresses.length)
  for (const [index, address] of addresses.entries()) {
    for (let word = 0; word < 4; word++) words[4 * index + word] = wordAt(address, word)
  }
  return words
}

function addressOf({ name, address }: BackendGroup['backends'][number]): IpAddress {
  const parsed = parseIpAddress(address)
  // The snapshot's compiler has checked every address.
  if (parsed === undefined) throw new Error(`The address of backend "${name}" is "${address}"`)
  return parsed
}
