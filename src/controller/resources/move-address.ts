import type { Mapping } from '../../compute/json-value.ts'
import { isResourceName } from '../../compute/reference.ts'
import type { Call, ResourceChange } from '../methods/call.ts'
import { ApiError, invalidField } from '../model/api-error.ts'
import { pathOf } from '../model/resource-paths.ts'
import type { JsonObject, ResourceKey, StoredResource } from '../store/store.ts'
import { addressUsers } from './resource-view.ts'
import { inUse, keyOf } from './stored-form.ts'

const DESTINATION = /(?:^|\/)projects\/([^/]+)\/(global|regions\/[^/]+)\/addresses\/([^/]+)$/
const RULE = 'Give projects/PROJECT/SCOPE/addresses/NAME of another project, in the same scope'

/** Makes the change of `addresses.move`: a reserved address that nobody uses goes to another project. */
export function moveAddress(call: Call, stored: StoredResource, body: Mapping): ResourceChange {
  const { world, now } = call
  const destination = readDestination(call, stored, String(body.destinationAddress))
  const [user] = addressUsers(world, stored)
  if (user !== undefined) throw inUse(stored, user)
  const { project, collection, scope, name } = destination
  if (world.store.get(project, collection, scope, name) !== undefined) {
    throw new ApiError(409, {
      message: `The resource '${pathOf(destination)}' already exists`,
      reason: 'alreadyExists',
    })
  }
  const { description = stored.resource.description } = body
  const named = { ...stored.resource, name }
  const resource = (description === undefined ? named : { ...named, description }) as JsonObject
  return {
    target: stored,
    before: stored.resource,
    after: resource,
    changes: [
      { delete: keyOf(stored) },
      { put: { ...destination, id: stored.id, created: new Date(now).toISOString(), resource } },
    ],
    warnings: [],
    changesListeners: false,
  }
}

function readDestination({ world }: Call, stored: StoredResource, text: string): ResourceKey {
  const [, project = '', scope, name = ''] = DESTINATION.exec(text) ?? []
  const isThere = project !== stored.project && world.projects.includes(project)
  if (!isThere || scope !== stored.scope || !isResourceName(name)) {
    throw invalidField('resource.destinationAddress', text, RULE)
  }
  return { project, collection: stored.collection, scope, name }
}
