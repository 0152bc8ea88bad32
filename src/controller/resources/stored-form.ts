import type { Mapping } from '../../compute/json-value.ts'
import type { CollectionName } from '../../compute/resources.ts'
import { ApiError } from '../model/api-error.ts'
import { collectionFacts } from '../model/collections.ts'
import { fingerprintOf } from '../model/fingerprint.ts'
import { pathOf } from '../model/resource-paths.ts'
import type { Change, JsonObject, ResourceKey, StoredResource } from '../store/store.ts'

/** The error about a resource that something else uses. */
export function inUse(stored: StoredResource, user: string): ApiError {
  const noun = collectionFacts[stored.collection as CollectionName].noun
  const message = `The ${noun} resource '${pathOf(stored)}' is already being used by '${user}'`
  return new ApiError(400, { message, reason: 'resourceInUseByAnotherResource' })
}

/** The change of another resource that goes with a change: its fields are replaced as they are. */
export function putFields(stored: StoredResource, fields: Mapping): Change {
  return { put: { ...withoutRevision(stored), resource: withFingerprint(stored, fields) } }
}

/** Only what tells which resource it is. */
export function keyOf({ project, collection, scope, name }: ResourceKey): ResourceKey {
  return { project, collection, scope, name }
}

/** Fields with their fingerprint, where the collection has one: a group's is that of its named ports alone. */
export function withFingerprint({ collection }: ResourceKey, fields: Mapping): JsonObject {
  const { fingerprint: _, ...rest } = fields
  if (!collectionFacts[collection as CollectionName].hasFingerprint) return rest as JsonObject
  const content = collection === 'instanceGroups' ? rest.namedPorts : rest
  return { ...rest, fingerprint: fingerprintOf(content) } as JsonObject
}

function withoutRevision({ revision: _, ...rest }: StoredResource): Omit<StoredResource, 'revision'> {
  return rest
}
