import { backendKey } from '../../snapshot/backend-key.ts'
import type { Backend, BackendGroup, BackendService, Frontend, Snapshot } from '../../snapshot/snapshot.ts'
import type { BackendTable, IdSpace } from './backend-table.ts'

/** A backend with its place in the snapshot. */
export type PlacedBackend = {
  readonly service: BackendService
  readonly group: BackendGroup
  readonly backend: Backend
  /** `service/group/backend`: what an operator calls it. */
  readonly key: string
  /** The key with address and port: a backend that moves to another address is another one to its connections. */
  readonly idKey: string
}

/** Every backend of every service, in the snapshot's order. */
export function placedBackends({ services }: Pick<Snapshot, 'services'>): PlacedBackend[] {
  return services.flatMap((service) =>
    service.groups.flatMap((group) =>
      group.backends.map((backend) => {
        const key = backendKey(service.name, group.name, backend.name)
        return { service, group, backend, key, idKey: backendIdKey(key, backend) }
      }),
    ),
  )
}

export function backendIdKey(key: string, { address, port }: Pick<Backend, 'address' | 'port'>): string {
  return `${key} ${address} ${port}`
}

export function groupIdKey(service: string, group: string): string {
  return `${service}/${group}`
}

/** Address and port are what makes a socket; the rule may be renamed. */
export function frontendIdKey({ address, port }: Pick<Frontend, 'address' | 'port'>): string {
  return `${address} ${port}`
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
  const take = (space: IdSpace, key: string, takeOne: () => number): void => {
    if (space.idOf(key) !== undefined) return
    takeOne()
    undo.push(() => space.release(key))
  }
  try {
    for (const frontend of snapshot.frontends) {
      const key = frontendIdKey(frontend)
      take(table.frontends, key, () => table.frontends.take(key))
    }
    for (const service of snapshot.services) {
      for (const group of service.groups) {
        const key = groupIdKey(service.name, group.name)
        take(table.groups, key, () => table.groups.take(key))
      }
    }
    for (const { idKey } of placedBackends(snapshot)) {
      take(table.backends, idKey, () => table.takeBackend(idKey))
    }
  } catch (error) {
    takeBack()
    throw error
  }
  return takeBack
}

/** Lets go of the ids of frontends and groups that are in the old snapshot only; connections may still use them. */
export function releaseIds(table: BackendTable, old: Snapshot, snapshot: Snapshot): void {
  const frontends = new Set(snapshot.frontends.map(frontendIdKey))
  for (const key of old.frontends.map(frontendIdKey)) if (!frontends.has(key)) table.frontends.release(key)
  const groups = new Set(groupKeys(snapshot))
  for (const key of groupKeys(old)) if (!groups.has(key)) table.groups.release(key)
}

function groupKeys({ services }: Snapshot): string[] {
  return services.flatMap((service) => service.groups.map((group) => groupIdKey(service.name, group.name)))
}

/** The id of a key that has one. */
export function idOf(space: IdSpace, key: string): number {
  const id = space.idOf(key)
  if (id === undefined) throw new Error(`"${key}" has no id`)
  return id
}
