import type { Mapping } from '../../compute/json-value.ts'
import type { CollectionName } from '../../compute/resources.ts'
import type { Call, ResourceChange } from '../methods/call.ts'
import { storedCollection } from '../methods/methods.ts'
import { collectionFacts } from '../model/collections.ts'
import { checkFingerprint, requireFingerprint } from '../model/fingerprint.ts'
import { actions } from '../resources/actions.ts'
import { behaviours } from '../resources/behaviours.ts'
import { mergePatch } from '../resources/merge-patch.ts'
import { setCommonInstanceMetadata } from '../resources/project.ts'
import { createPolicy, patchPolicy } from '../resources/service-lb-policies.ts'
import { deleteResource, insertResource, replaceResource } from '../resources/write-resource.ts'
import type { StoredResource } from '../store/store.ts'
import { storedResource } from './read-methods.ts'

/** Makes the change that a method asks for; nothing is stored yet. */
export function makeChange(call: Call, body: Mapping): ResourceChange {
  const { method } = call.route
  const collection = storedCollection(method)
  if (collection === undefined) return setCommonInstanceMetadata(call, body)
  if (method.action === 'create') return createPolicy(call, body)
  if (method.action === 'insert') return insertResource(call, collection, body)
  const stored = storedResource(call)
  if (collection === 'serviceLbPolicies' && method.action === 'patch') return patchPolicy(call, stored, body)
  switch (method.action) {
    case 'delete':
      return deleteResource(call, stored)
    case 'update':
      return replaceIfUnchanged(call, stored, body, behaviours[collection].keep?.(body, stored) ?? body)
    case 'patch':
      return replaceIfUnchanged(call, stored, body, mergePatch(baseOfPatch(stored, body), body) as Mapping)
    default:
      return actions[method.id](call, stored, body)
  }
}

/** Replaces what the body was made on top of, and nothing else; what is wrong with its fields is said first. */
function replaceIfUnchanged(call: Call, stored: StoredResource, body: Mapping, whole: Mapping): ResourceChange {
  const { fingerprint } = stored.resource
  if (typeof fingerprint === 'string') checkFingerprint('resource.fingerprint', body.fingerprint, fingerprint)
  const change = replaceResource(call, stored, whole)
  if (collectionFacts[stored.collection as CollectionName].needsFingerprint) requireFingerprint(body.fingerprint)
  return change
}

/** A health check of another type has no use for what the one before it spoke. */
function baseOfPatch({ collection, resource }: StoredResource, { type }: Mapping): Mapping {
  if (collection !== 'healthChecks' || type === undefined || type === resource.type) return resource
  return Object.fromEntries(Object.entries(resource).filter(([name]) => !name.endsWith('HealthCheck')))
}
