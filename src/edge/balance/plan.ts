import { type IpAddress, parseIpAddress, wordAt } from '../../address/ip-address.ts'
import type { SpreadCells } from '../../balancing/choose-group.ts'
import type { Level } from '../../balancing/levels.ts'
import type { LocalityTable } from '../../balancing/locality.ts'
import type { LocalityPolicy } from '../../balancing/policy.ts'
import type { BackendGroup } from '../../snapshot/snapshot.ts'

/** How a service spreads connections over its backends: plain and compact, so that it can be given to a thread. */
export type Plan = {
  /** By their places in {@link groups}; the first level comes first. */
  readonly levels: readonly Level[]
  readonly groups: readonly PlannedGroup[]
  readonly locality: LocalityPolicy
  /** What the main thread changes while the plan is in use. */
  readonly spread: SpreadCells
  /** By {@link ServiceCell}; the same for every plan of a service. */
  readonly service: Int32Array
}

/** What a worker knows of a group. */
export type PlannedGroup = {
  /** In the cells. */
  readonly id: number
  /** As records have it, and the same on all edges. */
  readonly name: string
  readonly region: string
  /** No region of the service is nearer to this edge. */
  readonly isNearest: boolean
  /** What the policy looks backends up in, in memory that all workers share. */
  readonly table: LocalityTable
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
  readonly group: Pick<BackendGroup, 'name' | 'region' | 'backends'>
  readonly id: number
  /** In the order of the group's backends. */
  readonly backendIds: readonly number[]
  readonly isNearest: boolean
  readonly table: LocalityTable
}

/** Describes a group as workers need it. */
export function planGroup({ group, id, backendIds, isNearest, table }: IdentifiedGroup): PlannedGroup {
  const addresses = group.backends.map(addressOf)
  return {
    id,
    name: group.name,
    region: group.region,
    isNearest,
    table,
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
