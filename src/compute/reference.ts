/** Where a resource lives. */
export type Scope =
  | { readonly kind: 'global' }
  | { readonly kind: 'region'; readonly region: string }
  | { readonly kind: 'zone'; readonly zone: string }

/** A reference to a resource, with as much as its form tells: a bare name has neither collection nor scope. */
export type Reference = {
  /** `backendServices`; also collections that this project does not have, such as `networks`. */
  readonly collection: string | undefined
  readonly scope: Scope | undefined
  readonly name: string
}

/** What the name of a resource, a region or a zone looks like (RFC 1035). */
export const NAME_PATTERN = '^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$'

const nameExpression = new RegExp(NAME_PATTERN)
const REFERENCE_LENGTH_MAX = 2048

/** Says whether a text can be the name of a resource. */
export function isResourceName(text: string): boolean {
  return nameExpression.test(text)
}

/**
 * Reads a reference in any form; undefined for anything else.
 *
 * Forms: a full URL on any host, `projects/p/global/backendServices/n`, `global/backendServices/n`,
 * `zones/z/instances/n`, `regions/r/addresses/n`, `backendServices/n`, and the bare name. Google's newer APIs write
 * `locations/global` for `global`.
 */
export function parseReference(text: string): Reference | undefined {
  const segments = text.length > REFERENCE_LENGTH_MAX ? undefined : localSegments(text)
  const name = segments?.pop()
  if (segments === undefined || name === undefined || !isResourceName(name)) return undefined
  const collection = segments.pop()
  if (collection === undefined) return { collection, scope: undefined, name }
  if (!/^[a-z][A-Za-z]{0,62}$/.test(collection)) return undefined
  const scope = readScope(segments)
  return segments.length > 0 && scope === undefined ? undefined : { collection, scope, name }
}

/** The project that a reference names, in any of the forms of {@link parseReference}; undefined: none. */
export function projectOf(text: string): string | undefined {
  const { segments, projectAt } = splitAtProject(text)
  return projectAt < 0 ? undefined : segments[projectAt + 1]
}

/** Writes where a resource is: `global/backendServices/n`, `zones/z/instances/n`. */
export function formatReference(scope: Scope, collection: string, name: string): string {
  return `${formatScope(scope)}/${collection}/${name}`
}

/** Writes a scope as a part of a path: `global`, `regions/r`, `zones/z`. */
export function formatScope(scope: Scope): string {
  if (scope.kind === 'global') return 'global'
  return scope.kind === 'region' ? `regions/${scope.region}` : `zones/${scope.zone}`
}

/** The region of a zone: `us-central1` of `us-central1-b`; a zone without a letter at its end is its own region. */
export function regionOfZone(zone: string): string {
  return zone.replace(/-[a-z]$/, '')
}

/** The segments that come after the project, or all of them where no project is named; undefined: a wrong start. */
function localSegments(text: string): string[] | undefined {
  const { host, segments, projectAt } = splitAtProject(text)
  if (projectAt < 0) return host === '' ? segments : undefined
  // Behind a host any path may come first; without one, at most the name of the API.
  if (host === '' && projectAt > 0 && !(projectAt === 2 && segments[0] === 'compute')) return undefined
  const project = segments[projectAt + 1] ?? ''
  return /^[a-z0-9][-a-z0-9.:_]*$/.test(project) ? segments.slice(projectAt + 2) : undefined
}

type SplitReference = { readonly host: string; readonly segments: string[]; readonly projectAt: number }

/** @returns `projectAt` below 0: there is none */
function splitAtProject(text: string): SplitReference {
  // Most references have no host, and compiling reads one for each member of each group.
  const host = text.includes('//') ? (/^(https?:)?\/\/[^/\s]+/.exec(text)?.[0] ?? '') : ''
  const segments = text.slice(host.length).replace(/^\//, '').split('/')
  return { host, segments, projectAt: segments.indexOf('projects') }
}

function readScope([kind, location, ...rest]: readonly string[]): Scope | undefined {
  if (kind === 'locations' && location === 'global') return rest.length === 0 ? { kind: 'global' } : undefined
  if (kind === 'global') return location === undefined ? { kind: 'global' } : undefined
  if (location === undefined || rest.length > 0 || !isResourceName(location)) return undefined
  if (kind === 'regions') return { kind: 'region', region: location }
  return kind === 'zones' ? { kind: 'zone', zone: location } : undefined
}
