import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { LOCATION, storedAt, urlOf } from '../model/resource-paths.ts'
import type { World } from '../model/world.ts'
import type { StoredOperation } from '../store/store.ts'
import { shownPolicy } from './service-lb-policies.ts'

const LINKS = ['targetLink', 'selfLink', 'zone', 'region'] as const
const TYPE = 'type.googleapis.com/google.cloud.networkservices.v1.'
/** What Google's newer APIs call what was done. */
const VERBS: Readonly<Record<string, string>> = { create: 'create', patch: 'update', delete: 'delete' }
/** Of google.rpc.Code. */
const UNAVAILABLE = 14

/** An operation as clients of the API that it belongs to see it. */
export function shownOperation(world: World, operation: StoredOperation, baseUrl: string): Mapping {
  const { scope, resource } = operation
  if (scope === LOCATION) return longRunningOperation(world, operation)
  const links = LINKS.flatMap((field) => {
    const link = resource[field]
    return typeof link === 'string' ? [[field, urlOf(baseUrl, link)] as const] : []
  })
  return { ...resource, ...Object.fromEntries(links) }
}

/** As google.longrunning.Operation. */
function longRunningOperation(world: World, { isDone, resource }: StoredOperation): Mapping {
  const { insertTime, endTime, targetLink, operationType, selfLink, warnings } = resource
  const messages = Array.isArray(warnings) ? warnings.map((one) => (isMapping(one) ? String(one.message) : '')) : []
  return {
    name: selfLink,
    metadata: {
      '@type': `${TYPE}OperationMetadata`,
      createTime: insertTime,
      ...(endTime === undefined ? {} : { endTime }),
      target: targetLink,
      verb: VERBS[String(operationType)],
      ...(messages.length === 0 ? {} : { statusMessage: messages.join('; ') }),
      requestedCancellation: false,
      apiVersion: 'v1',
    },
    done: isDone,
    ...(isDone ? resultOf(world, resource) : {}),
  }
}

function resultOf(world: World, { targetLink, operationType, httpErrorMessage }: StoredOperation['resource']): Mapping {
  if (httpErrorMessage !== undefined) return { error: { code: UNAVAILABLE, message: String(httpErrorMessage) } }
  if (operationType === 'delete') return { response: { '@type': 'type.googleapis.com/google.protobuf.Empty' } }
  const stored = storedAt(world.store, String(targetLink))
  // It may be gone by now.
  const view = stored === undefined ? { name: targetLink } : shownPolicy(stored)
  return { response: { '@type': `${TYPE}ServiceLbPolicy`, ...view } }
}
