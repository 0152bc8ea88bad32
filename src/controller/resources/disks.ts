import { isMapping, type Mapping, mappingsOf } from '../../compute/json-value.ts'
import type { ListItem } from '../lists/list.ts'
import type { Call } from '../methods/call.ts'
import { keyOfPath, otherLink, pathOf, urlOf } from '../model/resource-paths.ts'
import type { StoredResource } from '../store/store.ts'

/** What Google makes where nothing is said. */
const DISK_TYPE = 'pd-standard'
const SIZE_GB = '10'

/**
 * The disks that the instances of a zone name, in the order of their names. They are no more than that: nobody keeps
 * them, but a client that was told of one looks it up (Libcloud before it hands out an instance).
 *
 * @param idOf the id of a path, the same at any time
 * @param only the name of the one that is wanted; undefined: all are
 */
export function disksIn(call: Call, scope: string, idOf: (path: string) => string, only?: string): readonly ListItem[] {
  const { world, route, request } = call
  const disks = new Map<string, Mapping & { readonly users: string[] }>()
  for (const instance of world.store.list(route.project, 'instances', scope)) {
    const user = urlOf(request.baseUrl, pathOf(instance))
    for (const disk of attachedDisks(instance)) {
      const { name } = disk.key
      if (only !== undefined && name !== only) continue
      const known = disks.get(name)
      if (known === undefined) disks.set(name, { ...describe(disk, instance, call, idOf), users: [user] })
      else known.users.push(user)
    }
  }
  return [...disks].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, view]) => ({ scope, name, view }))
}

type AttachedDisk = { readonly key: NonNullable<ReturnType<typeof keyOfPath>>; readonly fields: Mapping }

function attachedDisks({ project, scope, resource }: StoredResource): readonly AttachedDisk[] {
  const { disks } = resource
  return mappingsOf(disks).flatMap((fields) => {
    const key = typeof fields.source === 'string' ? keyOfPath(fields.source) : undefined
    return key?.collection === 'disks' && key.project === project && key.scope === scope ? [{ key, fields }] : []
  })
}

function describe(
  { key, fields }: AttachedDisk,
  { created }: StoredResource,
  { request }: Call,
  idOf: (path: string) => string,
): Mapping {
  const url = (path: string) => (path.startsWith('projects/') ? urlOf(request.baseUrl, path) : path)
  const { project, scope, name } = key
  const path = pathOf(key)
  const {
    diskType = DISK_TYPE,
    diskSizeGb,
    sourceImage,
  } = isMapping(fields.initializeParams) ? fields.initializeParams : ({} as Mapping)
  return {
    kind: 'compute#disk',
    id: idOf(path),
    creationTimestamp: created,
    name,
    sizeGb: String(fields.diskSizeGb ?? diskSizeGb ?? SIZE_GB),
    status: 'READY',
    type: url(otherLink(project, scope, 'diskTypes', String(diskType))),
    ...(typeof sourceImage === 'string' ? { sourceImage: url(sourceImage) } : {}),
    zone: url(`projects/${project}/${scope}`),
    selfLink: url(path),
  }
}
