import { setImmediate as turn } from 'node:timers/promises'
import { buildLocalityTable, type LocalityTable } from '../../balancing/locality.ts'
import type { LocalityPolicy } from '../../balancing/policy.ts'
import type { BackendGroup, Snapshot } from '../../snapshot/snapshot.ts'
import { localityPolicy } from './service-view.ts'

const NONE: LocalityTable = { kind: 'none' }

/**
 * The tables of policies of hashes, built once for all workers, and once for all groups with the same members.
 *
 * A table takes some milliseconds of the main thread; {@link prepare} gives others their turn in between.
 */
export class LookupTables {
  readonly #tables = new Map<string, LocalityTable>()

  /** Builds what a snapshot needs, one table after the other. */
  async prepare(snapshot: Pick<Snapshot, 'services'>): Promise<void> {
    for (const [key, policy, group] of neededBy(snapshot)) {
      if (this.#tables.has(key)) continue
      this.#build(key, policy, group)
      await turn()
    }
  }

  /** The table of a group. */
  of(group: Pick<BackendGroup, 'backends'>, policy: LocalityPolicy): LocalityTable {
    const key = keyOf(group, policy)
    return key === undefined ? NONE : (this.#tables.get(key) ?? this.#build(key, policy, group))
  }

  /** Forgets the tables that a snapshot does not need. */
  keepOnly(snapshot: Pick<Snapshot, 'services'>): void {
    if (this.#tables.size === 0) return
    const needed = new Set([...neededBy(snapshot)].map(([key]) => key))
    for (const key of this.#tables.keys()) if (!needed.has(key)) this.#tables.delete(key)
  }

  #build(key: string, policy: LocalityPolicy, { backends }: Pick<BackendGroup, 'backends'>): LocalityTable {
    const names = backends.map(({ name }) => name)
    const table = buildLocalityTable(policy, names)
    this.#tables.set(key, table)
    return table
  }
}

function* neededBy({ services }: Pick<Snapshot, 'services'>): Generator<[string, LocalityPolicy, BackendGroup]> {
  for (const service of services) {
    const policy = localityPolicy(service)
    for (const group of service.groups) {
      const key = keyOf(group, policy)
      if (key !== undefined) yield [key, policy, group]
    }
  }
}

/** undefined: the policy looks nothing up. */
function keyOf(
  { backends }: Pick<BackendGroup, 'backends'>,
  { name, minimumRingSize }: LocalityPolicy,
): string | undefined {
  if (name !== 'MAGLEV' && name !== 'RING_HASH') return undefined
  const names = backends.map((backend) => backend.name).join('\n')
  return name === 'MAGLEV' ? `${name}\n${names}` : `${name} ${minimumRingSize}\n${names}`
}
