import type { Mapping } from '../../compute/json-value.ts'
import type { Call, ResourceChange } from '../methods/call.ts'
import { storedCollection } from '../methods/methods.ts'
import { checkFingerprint } from '../model/fingerprint.ts'
import { actions } from '../resources/actions.ts'
import { behaviours } from '../resources/behaviours.ts'
import { mergePatch } from '../resources/merge-patch.ts'
import { setCommonInstanceMetadata } from '../resources/project.ts'
import { deleteResource, insertResource, replaceResource } from '../resources/write-resource.ts'
import type { StoredResource } from '../store/store.ts'
import { storedResource } from './read-methods.ts'

/** Makes the change that a method asks for; nothing is stored yet. */
export function makeChange(call: Call, body: Mapping): ResourceChange {
  const { method } = call.route
  const collection = storedCollection(method)
  if (collection === undefined) return setCommonInstanceMetadata(call, body)
  if (method.action === 'insert') return insertResource(call, collection, body)
  const stored = storedResource(call)
  switch (method.action) {
    case 'delete':
      return deleteResource(call, stored)
    case 'update':
      checkOwnFingerprint(stored, body)
      return replaceResource(call, stored, behaviours[collection].keep?.(body, stored) ?? body)
    case 'patch':
      checkOwnFingerprint(stored, body)
      return replaceResource(call, stored, mergePatch(baseOfPatch(stored, body), body) as Mapping)
    default:
      return actions[method.id](call, stored, body)
  }
}

function checkOwnFingerprint(stored: StoredResource, body: Mapping): void {
  const { fingerprint } = stored.resource
  if (typeof fingerprint === 'string') checkFingerprint('resource.fingerprint', body.fingerprint, fingerprint)
}

/** A health check of another type has no use for what the one before it spoke. */
function baseOfPatch({ collection, resource }: StoredResource, { type }: Mapping): Mapping {
  if (collection !== 'healthChecks' || type === undefined || type === resource.type) return resource
  return Object.fromEntries(Object.entries(resource).filter(([name]) => !name.endsWith('HealthCheck')))
}
