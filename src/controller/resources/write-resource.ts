import { checkResource } from '../../compute/check-resource.ts'
import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { type CheckedResource, type CollectionName, definitions } from '../../compute/resources.ts'
import type { Call, ResourceChange } from '../methods/call.ts'
import { ApiError, invalidField, shown } from '../model/api-error.ts'
import { mapLinks } from '../model/links.ts'
import { randomId } from '../model/random-id.ts'
import { pathOf, scopeOf } from '../model/resource-paths.ts'
import type { JsonObject, ResourceKey, StoredResource } from '../store/store.ts'
import type { Behaviour, Draft } from './behaviour.ts'
import { behaviours } from './behaviours.ts'
import { errorOfProblems } from './problem-errors.ts'
import { problemsInContext } from './problems-in-context.ts'
import { protocolProblems } from './protocol-problems.ts'
import { resolveLink } from './resolve-link.ts'
import { schemeProblems } from './scheme-problems.ts'
import { inUse, keyOf, withFingerprint } from './stored-form.ts'

/** Makes the change that stores a new resource out of a client's body. */
export function insertResource(call: Call, collection: CollectionName, body: Mapping): ResourceChange {
  const { project, scope } = call.route
  const name = typeof body.name === 'string' ? body.name : ''
  const key = { project, collection, scope, name }
  const draft = draftOf(call, key, behaviours[collection].prepare?.(body, call, key) ?? body, undefined)
  if (call.world.store.get(project, collection, scope, name) !== undefined) {
    throw new ApiError(409, { message: `The resource '${pathOf(key)}' already exists`, reason: 'alreadyExists' })
  }
  return changeOf(call, draft, undefined)
}

/**
 * Makes the change that stores a client's body in place of a resource.
 *
 * Its fields are those of `body` alone; what only the server sets stays, with `serverFields` on top.
 */
export function replaceResource(
  call: Call,
  stored: StoredResource,
  body: Mapping,
  serverFields: Mapping = {},
): ResourceChange {
  const { name = stored.name, ...rest } = body
  if (name !== stored.name) {
    throw invalidField('resource.name', shown(String(name)), `The resource is called '${stored.name}'`)
  }
  const draft = draftOf(call, stored, { name, ...rest }, stored)
  Object.assign(draft.fields, serverFieldsOf(stored), serverFields)
  return changeOf(call, draft, stored)
}

/**
 * Makes the change that takes a resource away.
 *
 * @throws ApiError 400 resourceInUseByAnotherResource
 */
export function deleteResource(call: Call, stored: StoredResource): ResourceChange {
  const { references } = call.world
  const behaviour = behaviourOf(stored)
  const users = references.usersOf(pathOf(stored))
  const released = behaviour.release?.(stored, call, users)
  if (released === undefined && users[0] !== undefined) throw inUse(stored, users[0])
  return {
    target: stored,
    before: stored.resource,
    after: null,
    changes: [...(released ?? []), { delete: keyOf(stored) }],
    warnings: [],
    changesListeners: behaviour.changesListeners ?? false,
  }
}

function draftOf(call: Call, key: ResourceKey, body: Mapping, stored: StoredResource | undefined): Draft {
  const collection = key.collection as CollectionName
  // A secret is not in what clients see and send back: without it a certificate would not be whole.
  const whole = stored?.secret === undefined ? body : { ...stored.secret, ...body }
  const result = checkResource(collection, whole, '', scopeOf(key.scope))
  if ('problems' in result) throw errorOfProblems(result.problems, body)
  const checked = result.checked as CheckedResource
  const problems = call.world.edgeTls.certificateProblems(checked)
  if (problems.length > 0) throw errorOfProblems(problems, body)
  const resource = checked.resource as Mapping
  const fields = mapLinks(collection, resource, (text, field) => resolveLink(call, key, text, field))
  return {
    key: { ...keyOf(key), name: checked.name },
    fields: { ...fields },
    secret: stored?.secret,
    warnings: [],
  }
}

function changeOf(call: Call, draft: Draft, stored: StoredResource | undefined): ResourceChange {
  const { key, fields, warnings } = draft
  const behaviour = behaviourOf(key)
  behaviour.complete?.(draft, call, stored)
  const collection = key.collection as CollectionName
  const { scope, name } = key
  const whole = { ...fields, ...draft.secret }
  const candidate = { collection, scope: scopeOf(scope), name, source: '', resource: whole } as CheckedResource
  const problems = [
    ...problemsInContext(call.world, candidate),
    ...schemeProblems(call.world, key, candidate),
    ...protocolProblems(call.world, key, candidate),
  ]
  if (problems.length > 0) throw errorOfProblems(problems, fields)
  const id = stored?.id ?? randomId(call.world.random)
  const resource = withFingerprint(key, fields)
  const created = stored?.created ?? new Date(call.now).toISOString()
  const put = { ...key, id, created, resource, ...(draft.secret && { secret: draft.secret as JsonObject }) }
  return {
    target: { ...key, id },
    before: stored?.resource ?? null,
    after: resource,
    changes: [{ put }],
    warnings,
    changesListeners: behaviour.changesListeners ?? false,
  }
}

function behaviourOf({ collection }: ResourceKey): Behaviour {
  return behaviours[collection as CollectionName]
}

function serverFieldsOf({ collection, resource }: StoredResource): Mapping {
  const properties: Mapping = definitions[collection as CollectionName].schema.properties
  const isOurs = (name: string) => {
    const field = properties[name]
    return isMapping(field) && field.readOnly === true
  }
  return Object.fromEntries(Object.entries(resource).filter(([name]) => isOurs(name)))
}
