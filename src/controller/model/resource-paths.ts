import { parseReference, regionOfZone, type Scope } from '../../compute/reference.ts'
import type { ResourceKey, Store, StoredResource } from '../store/store.ts'

/** What Google's own links begin with, whichever of its names was asked. */
const GOOGLE_SERVER = 'https://www.googleapis.com'
export const GOOGLE_API = `${GOOGLE_SERVER}/compute/v1/`
const GOOGLE_NAME = /^(?:[a-z0-9-]+\.)*googleapis\.com\.?(?::[0-9]+)?$/i

/** The scope that Compute Engine calls `global`, in the words of Google's newer APIs, in which their resources are stored. */
export const LOCATION = 'locations/global'

/** A resource without host and version: `projects/p/global/healthChecks/hc`. Links are stored in this form. */
export function pathOf({ project, scope, collection, name }: ResourceKey): string {
  return `projects/${project}/${scope}/${collection}/${name}`
}

/** The scope of a key, `zones/us-central1-b`, as `src/compute` has it. */
export function scopeOf(text: string): Scope {
  const [kind = '', place = ''] = text.split('/')
  if (kind === 'zones') return { kind: 'zone', zone: place }
  return kind === 'regions' ? { kind: 'region', region: place } : { kind: 'global' }
}

/** The key of a path that {@link pathOf} wrote; undefined: it is another one. */
export function keyOfPath(path: string): ResourceKey | undefined {
  const parts = path.split('/')
  const [projects, project, ...rest] = parts
  const [name, collection, ...scope] = rest.reverse()
  if (projects !== 'projects' || project === undefined || name === undefined || collection === undefined)
    return undefined
  return { project, collection, scope: scope.reverse().join('/'), name }
}

/** The stored resource at a path that {@link pathOf} wrote; undefined: there is none. */
export function storedAt(store: Pick<Store, 'get'>, path: string): StoredResource | undefined {
  const key = keyOfPath(path)
  return key && store.get(key.project, key.collection, key.scope, key.name)
}

/** What links begin with for a client that asked `host`: a client of Google's names gets the links that Google writes. */
export function baseUrlFor(scheme: 'http' | 'https', host: string): string {
  return GOOGLE_NAME.test(host) ? GOOGLE_SERVER : `${scheme}://${host}`
}

/** The URL of a path: `http://HOST/compute/v1/projects/…`. */
export function urlOf(baseUrl: string, path: string): string {
  return `${baseUrl}/compute/v1/${path}`
}

/** What a client sees as a link: a URL of the server that it asked; of another API's resource, its name in all of Google. */
export function linkTo(baseUrl: string, path: string): string {
  return path.includes(`/${LOCATION}/`) ? `//networkservices.googleapis.com/${path}` : urlOf(baseUrl, path)
}

/** A link to what has no schema, as a path; what is no such link stays as it is. */
export function otherLink(project: string, scope: string, collection: string, text: string): string {
  const reference = parseReference(text)
  if (reference === undefined) return text
  const own = collection === 'networks' ? 'global' : scope
  const place = reference.scope === undefined ? own : formatPlace(reference.scope)
  return `projects/${project}/${place}/${reference.collection ?? collection}/${reference.name}`
}

/** `zone` or `region` of a resource, as links; a zonal one has no region of its own. */
export function locationLinks(project: string, scope: string): Readonly<Record<string, string>> {
  const { kind } = scopeOf(scope)
  return kind === 'global' ? {} : { [kind]: `projects/${project}/${scope}` }
}

/** The region that a scope is in; empty for global. */
export function regionOf(scope: string): string {
  const read = scopeOf(scope)
  if (read.kind === 'zone') return regionOfZone(read.zone)
  return read.kind === 'region' ? read.region : ''
}

function formatPlace(scope: Scope): string {
  if (scope.kind === 'global') return 'global'
  return scope.kind === 'region' ? `regions/${scope.region}` : `zones/${scope.zone}`
}
