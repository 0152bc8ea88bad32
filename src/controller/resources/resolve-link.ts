import { formatScope, parseReference, projectOf } from '../../compute/reference.ts'
import type { Call } from '../methods/call.ts'
import { ApiError, invalidField } from '../model/api-error.ts'
import { collectionFacts } from '../model/collections.ts'
import type { LinkField } from '../model/links.ts'
import { LOCATION, otherLink, pathOf } from '../model/resource-paths.ts'
import type { ResourceKey, StoredResource } from '../store/store.ts'
import { projectOfNumber } from './project.ts'

const DEFAULT_NETWORK = 'default'
const CROSS_PROJECT = 'Cross project referencing is not allowed for this resource.'

/**
 * Finds what a link of a resource means, and writes it as a path.
 *
 * The host means nothing: a controller has as many names as its clients have for it. Without a scope the resource's own comes first, then global, then any other that has
 * the name alone. A link to something without a schema is only brought into form; of networks there is one.
 *
 * @throws ApiError 404 notFound, or 400 invalid where more than one resource is meant
 */
export function resolveLink(call: Call, from: ResourceKey, text: string, field: LinkField): string {
  if (field.collections.length > 0) return pathOf(resolveResource(call, from, text, field))
  const collection = `${/(\w+)$/.exec(field.path)?.[1]}s`.replace(/ss$/, 's')
  const path = otherLink(from.project, from.scope, collection, text)
  if (collection !== 'networks' || path.endsWith(`/networks/${DEFAULT_NETWORK}`)) return path
  throw missing(path, field)
}

/** The stored resource that a link means, which is in the project of the resource with the link; see {@link resolveLink}. */
export function resolveResource(call: Call, from: ResourceKey, text: string, field: LinkField): StoredResource {
  const reference = parseReference(text)
  const wanted = field.collections.filter((collection) => (reference?.collection ?? collection) === collection)
  const [collection] = wanted
  if (reference === undefined || collection === undefined) {
    const rule = `It is none of ${field.collections.join(', ')}`
    throw invalidField(`resource.${field.path}`, text, rule)
  }
  const { store } = call.world
  const { project, scope: own } = from
  const { name } = reference
  const named = projectOf(text) ?? project
  if (named !== project && projectOfNumber(store, [project], named) === undefined) {
    throw invalidField(`resource.${field.path}`, text, CROSS_PROJECT)
  }
  const isElsewhere = collectionFacts[collection].api === 'networkservices'
  const near = isElsewhere ? [LOCATION] : [own, 'global']
  const scopes = reference.scope === undefined || isElsewhere ? near : [formatScope(reference.scope)]
  for (const scope of scopes) {
    const found = wanted.map((one) => store.get(project, one, scope, name)).find((one) => one !== undefined)
    if (found !== undefined) return found
  }
  const elsewhere = reference.scope !== undefined ? [] : wanted.flatMap((one) => store.list(project, one))
  const same = elsewhere.filter((one) => one.name === name)
  if (same.length > 1) {
    const rule = `It matches more than one resource; give ${same.slice(0, 5).map(pathOf).join(' or ')}`
    throw invalidField(`resource.${field.path}`, text, rule)
  }
  if (same[0] !== undefined) return same[0]
  throw missing(pathOf({ project, collection, scope: scopes[0] ?? own, name }), field)
}

function missing(path: string, field: LinkField): ApiError {
  const message = `The resource '${path}' was not found, which 'resource.${field.path}' names`
  return new ApiError(404, { message, reason: 'notFound' })
}
