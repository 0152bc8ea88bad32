import type { Mapping } from '../../compute/json-value.ts'
import type { Call } from '../methods/call.ts'
import type { Warning } from '../model/world.ts'
import type { Change, ResourceKey, StoredResource } from '../store/store.ts'

/** A sound resource on its way into the store: links are paths, and `src/compute` has checked the fields. */
export type Draft = {
  readonly key: ResourceKey
  readonly fields: Record<string, unknown>
  secret: Mapping | undefined
  readonly warnings: Warning[]
}

/** What a collection does beyond what its schema says. */
export type Behaviour = {
  /** Takes out of a client's body what only the server decides, and adds what the schema needs. */
  readonly prepare?: (body: Mapping, call: Call, key: ResourceKey) => Mapping
  /** Adds to a body that takes the place of a resource what only the server decides, or decided when it was made. */
  readonly keep?: (body: Mapping, stored: StoredResource) => Mapping
  /** Fills in what the server decides, and refuses conflicts; `stored` is what there was before. */
  readonly complete?: (draft: Draft, call: Call, stored: StoredResource | undefined) => void
  /** Changes of other resources that go with a deletion, where a use does not forbid it. */
  readonly release?: (stored: StoredResource, call: Call, users: readonly string[]) => readonly Change[]
  /** Edges listen for resources of this collection. */
  readonly changesListeners?: true
}
