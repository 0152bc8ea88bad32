import { createHash } from 'node:crypto'
import type { Mapping } from '../../compute/json-value.ts'
import { isResourceName } from '../../compute/reference.ts'
import type { ListItem } from '../lists/list.ts'
import type { Call } from '../methods/call.ts'
import { isEmptyCollection } from '../methods/unserved.ts'
import { ApiError, invalidField, notFound } from '../model/api-error.ts'
import { locationLinks, regionOf, urlOf } from '../model/resource-paths.ts'
import type { World } from '../model/world.ts'
import { disksIn } from './disks.ts'

// What the API has only so that clients find what they ask for: places are no more than labels of resources and edges,
// and every one of a possible name is there, unless somebody makes machines and can do so in some zones only.

/** Listed also while nothing is in them: those that guides name. */
const KNOWN_ZONES = [
  ...['us-central1-a', 'us-central1-b', 'us-central1-c', 'us-central1-f'],
  ...['us-east1-b', 'us-east1-c', 'us-east1-d', 'us-west1-a', 'us-west1-b', 'us-west1-c'],
  ...['europe-west1-b', 'europe-west1-c', 'europe-west1-d', 'asia-east1-a', 'asia-east1-b', 'asia-east1-c'],
]
const MACHINE_TYPES = ['e2-medium', 'e2-standard-2', 'n1-standard-1', 'n1-standard-2', 'n2-standard-2']
const DISK_TYPES = ['local-ssd', 'pd-balanced', 'pd-ssd', 'pd-standard']
const BEGINNING = '2020-01-01T00:00:00.000Z'

/** Resources that are there without being stored: the one that a request is about. */
export function getPlace(call: Call): Mapping {
  const { collection } = call.route.method
  const { project, scope, name } = call.route
  const path = `projects/${project}/${placePath(collection, scope, name)}`
  if (collection === 'disks') {
    return disksIn(call, scope, idOf, name).at(0)?.view ?? fail(path)
  }
  const isNowhere =
    collection === 'instanceGroupManagers' ||
    isEmptyCollection(collection) ||
    (collection === 'networks' && name !== 'default')
  const isSomewhere = isResourceName(name) && !isNowhere
  if (collection === 'zones' || collection === 'regions') {
    const there = placesOf(call.world, collection)
    if (there?.includes(name) === false) fail(path, `; there are ${there.join(', ')}`)
  }
  return isSomewhere ? describe(call, collection, scope, name) : fail(path)
}

function fail(path: string, more = ''): never {
  const { status, message } = notFound(path)
  throw new ApiError(status, { message: `${message}${more}`, reason: 'notFound' })
}

/** Refuses what is about a zone or a region that is not there. @throws ApiError 400, as Google's servers */
export function requirePlace(world: World, scope: string): void {
  const [collection = '', place = ''] = scope.split('/')
  if (collection !== 'zones' && collection !== 'regions') return
  const there = placesOf(world, collection)
  if (there === undefined || there.includes(place)) return
  const kind = collection.slice(0, -1)
  throw invalidField(kind, place, `Unknown ${kind}. Machines are made only in ${there.join(', ')}`)
}

/** The zones or regions that there are; undefined: every one of a possible name is. */
function placesOf({ machines }: World, collection: 'zones' | 'regions'): readonly string[] | undefined {
  const zones = machines?.zones
  return zones === undefined || collection === 'zones' ? zones : regionNames(zones)
}

/** Resources that are there without being stored: those of a collection and scope, in the order of their names. */
export function listPlaces(call: Call, scope: string = call.route.scope): readonly ListItem[] {
  const { collection } = call.route.method
  if (collection === 'disks') return disksIn(call, scope, idOf)
  const names = namesOf(call, collection)
  return names.map((name) => ({ scope, name, view: describe(call, collection, scope, name) }))
}

/** Every scope that a list over all of them names. */
export function allScopes(call: Call, kinds: readonly ('global' | 'region' | 'zone')[]): readonly string[] {
  const zones = zoneNames(call)
  const regions = regionNames(zones)
  return [
    ...(kinds.includes('global') ? ['global'] : []),
    ...(kinds.includes('region') ? regions.map((name) => `regions/${name}`) : []),
    ...(kinds.includes('zone') ? zones.map((name) => `zones/${name}`) : []),
  ].sort()
}

/** The kind of a list of such resources in a scope. */
export function placeListKind(collection: string, scope: string): string {
  if (collection === 'diskTypes' && scope.startsWith('regions/')) return 'compute#regionDiskTypeList'
  return `compute#${collection.slice(0, -1)}List`
}

function namesOf(call: Call, collection: string): readonly string[] {
  switch (collection) {
    case 'zones':
      return zoneNames(call)
    case 'regions':
      return regionNames(zoneNames(call))
    case 'networks':
      return ['default']
    case 'machineTypes':
      return MACHINE_TYPES
    case 'diskTypes':
      return DISK_TYPES
    default:
      return []
  }
}

function zoneNames({ world, route }: Call): readonly string[] {
  const there = placesOf(world, 'zones')
  if (there !== undefined) return [...there].sort()
  const used = world.store.all().flatMap(({ project, scope }) => {
    return project === route.project && scope.startsWith('zones/') ? [scope.slice('zones/'.length)] : []
  })
  return [...new Set([...KNOWN_ZONES, ...used])].sort()
}

function regionNames(zones: readonly string[]): readonly string[] {
  return [...new Set(zones.map((zone) => regionOf(`zones/${zone}`)))].sort()
}

function placePath(collection: string, scope: string, name: string): string {
  return collection === 'zones' || collection === 'regions' ? `${collection}/${name}` : `${scope}/${collection}/${name}`
}

function describe(call: Call, collection: string, scope: string, name: string): Mapping {
  const { project } = call.route
  const url = (path: string) => urlOf(call.request.baseUrl, `projects/${project}/${path}`)
  const singular = collection === 'imageFamilyViews' ? 'imageFamilyView' : collection.slice(0, -1)
  const path = placePath(collection, scope, name)
  const common = {
    kind: `compute#${singular}`,
    id: idOf(`${project}/${path}`),
    creationTimestamp: BEGINNING,
    name,
    selfLink: url(path),
  }
  switch (collection) {
    case 'zones':
      return { ...common, description: name, status: 'UP', region: url(`regions/${regionOf(`zones/${name}`)}`) }
    case 'regions': {
      const zones = zoneNames(call).filter((zone) => regionOf(`zones/${zone}`) === name)
      return {
        ...common,
        description: name,
        status: 'UP',
        zones: zones.map((zone) => url(`zones/${zone}`)),
        quotas: [],
      }
    }
    case 'networks':
      return { ...common, description: 'The network of all hosts', autoCreateSubnetworks: true, mtu: 1500 }
    case 'machineTypes': {
      const cpus = Number(/-([0-9]{1,3})$/.exec(name)?.[1] ?? 1)
      return {
        ...common,
        guestCpus: cpus,
        memoryMb: cpus * 3840,
        zone: scope.split('/')[1] ?? '',
        maximumPersistentDisks: 16,
        description: `${cpus} vCPU`,
        isSharedCpu: false,
      }
    }
    case 'diskTypes':
      return { ...common, description: name, ...locationUrls(call, project, scope) }
    case 'imageFamilyViews':
      return {
        image: {
          ...common,
          kind: 'compute#image',
          family: name,
          status: 'READY',
          selfLink: url(`global/images/${name}`),
        },
      }
    default:
      return { ...common, family: name, status: 'READY', diskSizeGb: '10' }
  }
}

/** Where something is, as links. */
function locationUrls({ request }: Call, project: string, scope: string): Mapping {
  const links = Object.entries(locationLinks(project, scope))
  return Object.fromEntries(links.map(([field, link]) => [field, urlOf(request.baseUrl, link)]))
}

/** The same in every process, as the resource was always there. */
function idOf(path: string): string {
  return createHash('sha256').update(path).digest().readBigUInt64BE().toString()
}
