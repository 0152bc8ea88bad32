import { parseEndpoint } from '../../address/endpoint.ts'
import { formatIpAddress } from '../../address/ip-address.ts'
import { backendKey } from '../../snapshot/backend-key.ts'
import type { Backend, BackendGroup, BackendService, Snapshot } from '../../snapshot/snapshot.ts'
import { socketOf } from '../../snapshot/socket-of.ts'
import type { BackendTable, IdSpace } from '../balance/backend-table.ts'

/** A backend with its place in the snapshot. */
export type PlacedBackend = {
  readonly service: BackendService
  readonly group: BackendGroup
  readonly backend: Backend
  /** `service/zone/group/name`: what an operator calls it. */
  readonly key: string
  /** Address and port. */
  readonly endpoint: string
  /** The key with the endpoint: a backend that moves to another address is another one to its connections. */
  readonly idKey: string
}

/** A group with its place in the snapshot. */
export type PlacedGroup = {
  readonly group: BackendGroup
  readonly idKey: string
  readonly backends: readonly PlacedBackend[]
}

/** Made once for each service: a snapshot never changes, and the next one has the same objects where nothing differs. */
const placed = new WeakMap<BackendService, readonly PlacedGroup[]>()

/** The groups of a service with their backends, in the snapshot's order. */
export function placedGroups(service: BackendService): readonly PlacedGroup[] {
  const known = placed.get(service)
  if (known !== undefined) return known
  const groups = service.groups.map((group) => ({
    group,
    idKey: groupIdKey(service.name, group.name),
    backends: group.backends.map((backend) => {
      const key = backendKey(service.name, group.name, backend.name)
      const endpoint = endpointText(backend.address, backend.port)
      return { service, group, backend, key, endpoint, idKey: `${key} ${endpoint}` }
    }),
  }))
  placed.set(service, groups)
  return groups
}

/** Every backend of every service, in the snapshot's order. */
export function placedBackends({ services }: Pick<Snapshot, 'services'>): PlacedBackend[] {
  return services.flatMap((service) => placedGroups(service).flatMap(({ backends }) => backends))
}

/**
 * The backends that an operator means: by the key, else by the backend's own name, else by its address, all that have it.
 * A backend's own name is that of its instance, and need not say the address that was typed in the configuration.
 */
export function backendsNamed(backends: readonly PlacedBackend[], name: string): readonly PlacedBackend[] {
  const byKey = backends.filter(({ key }) => key === name)
  if (byKey.length > 0) return byKey
  const byName = backends.filter(({ backend }) => backend.name === name)
  const address = parseEndpoint(name)
  if (byName.length > 0 || address === undefined) return byName
  const wanted = endpointText(formatIpAddress(address.address), address.port)
  return backends.filter(({ endpoint }) => endpoint === wanted)
}

function endpointText(address: string, port: number): string {
  return `${address} ${port}`
}

function groupIdKey(service: string, group: string): string {
  return `${service}/${group}`
}

/**
 * Gives ids to all that a snapshot has; what has one keeps it.
 *
 * @returns a function that takes back those that were given now
 * @throws Error when there are not enough; nothing was given then
 */
export function takeIds(table: BackendTable, snapshot: Snapshot): () => void {
  const undo: (() => void)[] = []
  const takeBack = (): void => {
    for (const undoOne of undo) undoOne()
  }
  const take = (space: IdSpace, key: string, takeOne: () => number): number => {
    const isNew = space.idOf(key) === undefined
    const id = takeOne()
    if (isNew) undo.push(() => space.release(key))
    return id
  }
  try {
    for (const frontend of snapshot.frontends) {
      const key = socketOf(frontend)
      take(table.frontends, key, () => table.frontends.take(key))
    }
    for (const { idKey: groupKey, backends } of snapshot.services.flatMap(placedGroups)) {
      const groupId = take(table.groups, groupKey, () => table.groups.take(groupKey))
      for (const { idKey } of backends) take(table.backends, idKey, () => table.takeBackend(idKey, groupId))
    }
  } catch (error) {
    takeBack()
    throw error
  }
  return takeBack
}

/** Lets go of the ids of frontends and groups that are in the old snapshot only; connections may still use them. */
export function releaseIds(table: BackendTable, old: Snapshot, snapshot: Snapshot): void {
  const frontends = new Set(snapshot.frontends.map(socketOf))
  for (const key of old.frontends.map(socketOf)) if (!frontends.has(key)) table.frontends.release(key)
  const groups = new Set(groupKeys(snapshot))
  for (const key of groupKeys(old)) if (!groups.has(key)) table.groups.release(key)
}

function groupKeys({ services }: Snapshot): string[] {
  return services.flatMap(placedGroups).map(({ idKey }) => idKey)
}

/** The id of a key that has one. */
export function idOf(space: IdSpace, key: string): number {
  const id = space.idOf(key)
  if (id === undefined) throw new Error(`"${key}" has no id`)
  return id
}
