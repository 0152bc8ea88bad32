import { isMapping, type Mapping } from '../../compute/json-value.ts'
import type { Call, ResourceChange } from '../methods/call.ts'
import { checkNeededFingerprint, fingerprintOf } from '../model/fingerprint.ts'
import { randomId } from '../model/random-id.ts'
import { urlOf } from '../model/resource-paths.ts'
import { commitChecked } from '../store/commit-checked.ts'
import type { JsonObject, ResourceKey, Store, StoredResource } from '../store/store.ts'
import { defaultFirewalls } from './default-firewalls.ts'

const COLLECTION = 'projects'

/** What new projects are made with. */
export type NewProjects = {
  /** Milliseconds since 1970. */
  readonly now: number
  /** Random bytes, for ids. */
  readonly random: (count: number) => Uint8Array
  /** Somebody applies firewall rules to machines: a project begins with Google's. */
  readonly hasFirewall: boolean
}

/** Stores the projects that a store does not know yet; each keeps its number from then on. Rejects with a StoreError. */
export async function addProjects(
  store: Store,
  projects: readonly string[],
  { now, random, hasFirewall }: NewProjects,
): Promise<void> {
  const created = new Date(now).toISOString()
  await commitChecked(store, () => {
    const missing = projects.filter((project) => store.get(project, COLLECTION, 'global', project) === undefined)
    if (missing.length === 0) return undefined
    const changes = missing.flatMap((project) => {
      // Twelve digits, as Google's numbers have.
      const id = (10n ** 11n + (BigInt(randomId(random)) % (9n * 10n ** 11n))).toString()
      const put = { ...keyOf(project), id, created, resource: { commonInstanceMetadata: { items: [] } } }
      const firewalls = hasFirewall ? defaultFirewalls(project) : []
      return [{ put }, ...firewalls.map((one) => ({ put: { ...one, id: randomId(random), created } }))]
    })
    return { changes }
  })
}

/** The project that its number stands for; undefined: no project has it. */
export function projectOfNumber(store: Store, projects: readonly string[], number: string): string | undefined {
  return projects.find((project) => store.get(project, COLLECTION, 'global', project)?.id === number)
}

/** The account that instances of a project have where none is named. */
export function defaultServiceAccount(store: Store, project: string): string {
  return `${stored(store, project).id}-compute@developer.gserviceaccount.com`
}

/** The project of a request as clients see it. */
export function shownProject({ world, route, request }: Call): Mapping {
  const { project } = route
  const { id, created } = stored(world.store, project)
  return {
    kind: 'compute#project',
    id,
    creationTimestamp: created,
    name: project,
    commonInstanceMetadata: commonMetadata(world.store, project),
    defaultServiceAccount: defaultServiceAccount(world.store, project),
    defaultNetworkTier: 'PREMIUM',
    xpnProjectStatus: 'UNSPECIFIED_XPN_PROJECT_STATUS',
    quotas: [],
    selfLink: urlOf(request.baseUrl, `projects/${project}`),
  }
}

/** Makes the change of `setCommonInstanceMetadata`. */
export function setCommonInstanceMetadata({ world, route }: Call, { items, fingerprint }: Mapping): ResourceChange {
  const project = stored(world.store, route.project)
  checkNeededFingerprint('fingerprint', fingerprint, String(commonMetadata(world.store, route.project).fingerprint))
  const { revision: _, ...rest } = project
  const resource = { ...project.resource, commonInstanceMetadata: { items } } as JsonObject
  return {
    target: project,
    before: project.resource,
    after: resource,
    changes: [{ put: { ...rest, resource } }],
    warnings: [],
    changesListeners: false,
  }
}

function commonMetadata(store: Store, project: string): Mapping {
  const metadata: unknown = stored(store, project).resource.commonInstanceMetadata
  const items = isMapping(metadata) ? metadata.items : []
  return { kind: 'compute#metadata', fingerprint: fingerprintOf(items), items }
}

function stored(store: Store, project: string): StoredResource {
  const found = store.get(project, COLLECTION, 'global', project)
  if (found === undefined) throw new Error(`The project "${project}" is not in the store`)
  return found
}

function keyOf(project: string): ResourceKey {
  return { project, collection: COLLECTION, scope: 'global', name: project }
}
