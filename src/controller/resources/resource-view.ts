import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { type CollectionName, definitions, isCollectionName } from '../../compute/resources.ts'
import { shownResource } from '../model/links.ts'
import { addressLink } from '../model/reference-index.ts'
import { keyOfPath, linkTo, locationLinks, pathOf, urlOf } from '../model/resource-paths.ts'
import type { World } from '../model/world.ts'
import type { StoredResource } from '../store/store.ts'

/** Views by what they were made of; of one resource only that for the URL that was asked last. */
const views = new WeakMap<StoredResource, { readonly baseUrl: string; readonly view: Mapping }>()

/** A stored resource as clients see it, with the URLs of the server that they found. */
export function viewOf(world: World, stored: StoredResource, baseUrl: string): Mapping {
  const { collection } = stored
  if (!isCollectionName(collection)) return stored.resource
  const kept = views.get(stored)
  const view = kept?.baseUrl === baseUrl ? kept.view : makeView(stored, collection, baseUrl)
  if (view !== kept?.view) views.set(stored, { baseUrl, view })
  if (collection === 'addresses') return withUsers(world, stored, view, baseUrl)
  return collection === 'instances' && world.machines !== undefined ? withMachine(world, stored, view) : view
}

function makeView(stored: StoredResource, collection: CollectionName, baseUrl: string): Mapping {
  const toUrl = (link: string) => (link.startsWith('projects/') ? linkTo(baseUrl, link) : link)
  const shown = shownResource(collection, stored.resource, toUrl)
  const location = Object.entries(locationLinks(stored.project, stored.scope))
  return {
    kind: definitions[collection].kind,
    id: stored.id,
    creationTimestamp: stored.created,
    ...shown,
    ...(collection === 'instances' ? shownDisks(shown, toUrl) : {}),
    ...(collection === 'sslCertificates' ? { selfManaged: { certificate: shown.certificate } } : {}),
    ...Object.fromEntries(location.map(([field, link]) => [field, urlOf(baseUrl, link)])),
    selfLink: urlOf(baseUrl, pathOf(stored)),
  }
}

/** Disks are kept as they were given, and have no schema: their source is the one link in them that is ours. */
function shownDisks({ disks }: Mapping, toUrl: (link: string) => string): Mapping {
  if (!Array.isArray(disks)) return {}
  const shown = disks.map((disk: unknown) => {
    return isMapping(disk) && typeof disk.source === 'string' ? { ...disk, source: toUrl(disk.source) } : disk
  })
  return { disks: shown }
}

/** What uses an address is not part of it, and changes without it. */
function withUsers(world: World, stored: StoredResource, view: Mapping, baseUrl: string): Mapping {
  const users = addressUsers(world, stored).map((path) => urlOf(baseUrl, path))
  return users.length === 0 ? { ...view, status: 'RESERVED' } : { ...view, status: 'IN_USE', users }
}

/** The status of an instance: what is wanted of it is stored; what its machine does may be something else. */
export function statusOf({ machines }: World, instance: StoredResource): unknown {
  return machines?.stateOf(pathOf(instance))?.status ?? instance.resource.status
}

function withMachine(world: World, instance: StoredResource, view: Mapping): Mapping {
  const message = world.machines?.stateOf(pathOf(instance))?.message
  const shown = { ...view, status: statusOf(world, instance) }
  return message === undefined ? shown : { ...shown, statusMessage: message }
}

/** The paths of the forwarding rules that use a reserved address. */
export function addressUsers({ references }: World, { project, resource }: StoredResource): readonly string[] {
  const users = references.usersOf(addressLink(String(resource.address)))
  return users.filter((path) => keyOfPath(path)?.project === project)
}
