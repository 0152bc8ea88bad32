import { type Mapping, mappingsOf } from '../../compute/json-value.ts'
import { isCollectionName } from '../../compute/resources.ts'
import type { Change, ResourceKey, StoredResource } from '../store/store.ts'
import { mapLinks } from './links.ts'
import { pathOf } from './resource-paths.ts'

/** Who refers to what: the paths of resources by the path of the one that they name. */
export class ReferenceIndex {
  readonly #users = new Map<string, Set<string>>()
  readonly #links = new Map<string, readonly string[]>()

  constructor(resources: readonly StoredResource[]) {
    for (const resource of resources) this.#put(resource, resource.resource)
  }

  /** The paths of the resources that refer to this path, or to an address written as {@link addressLink}. */
  usersOf(path: string): readonly string[] {
    return [...(this.#users.get(path) ?? [])].sort()
  }

  /** What a resource refers to, and the addresses that it takes. */
  linksFrom(path: string): readonly string[] {
    return this.#links.get(path) ?? []
  }

  /** Says whether anything refers to this path or address. */
  isUsed(path: string): boolean {
    return this.#users.has(path)
  }

  /** Follows changes that were stored. */
  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      if ('put' in change) this.#put(change.put, change.put.resource)
      else this.#take(pathOf(change.delete))
    }
  }

  #put(key: ResourceKey, resource: Mapping): void {
    const path = pathOf(key)
    this.#take(path)
    const links = [...linksOf(key, resource), ...hostsOf(key, resource)]
    this.#links.set(path, links)
    for (const link of links) {
      const users = this.#users.get(link)
      if (users === undefined) this.#users.set(link, new Set([path]))
      else users.add(path)
    }
  }

  #take(path: string): void {
    for (const link of this.#links.get(path) ?? []) {
      const users = this.#users.get(link)
      users?.delete(path)
      if (users?.size === 0) this.#users.delete(link)
    }
    this.#links.delete(path)
  }
}

/** Everything that a stored resource refers to, and the addresses that it takes. */
export function linksOf({ collection }: Pick<ResourceKey, 'collection'>, resource: Mapping): readonly string[] {
  if (!isCollectionName(collection)) return []
  const links: string[] = []
  mapLinks(collection, resource, (link) => {
    links.push(link)
    return link
  })
  return [...links, ...addressesTaken(collection, resource)]
}

/** How the index calls an IP address that forwarding rules listen on. */
export function addressLink(address: string): string {
  return `address ${address}`
}

/** How the index calls an IP address that is reserved as one of `addresses`. */
export function reservationLink(address: string): string {
  return `reservation ${address}`
}

/** How the index calls an IP address of an instance that is its alone in all projects: for the internet, or of IPv6. */
export function publicLink(address: string): string {
  return `public ${address}`
}

/** How the index calls the IP address of an instance, which is its alone within a project. */
export function hostLink(project: string, address: string): string {
  return `host ${project} ${address}`
}

/** The addresses of an interface, as it is stored, that are an instance's alone in all projects. */
export function publicAddressesOf({ accessConfigs, ipv6Address, ipv6AccessConfigs }: Mapping): readonly string[] {
  const external = mappingsOf(ipv6AccessConfigs).map(({ externalIpv6 }) => externalIpv6)
  const all = [...mappingsOf(accessConfigs).map(({ natIP }) => natIP), ipv6Address, ...external]
  return all.filter((address) => typeof address === 'string')
}

function addressesTaken(collection: string, resource: Mapping): readonly string[] {
  if (collection === 'forwardingRules') return [addressLink(String(resource.IPAddress))]
  if (collection === 'addresses') return [reservationLink(String(resource.address))]
  return []
}

function hostsOf({ collection, project }: ResourceKey, { networkInterfaces }: Mapping): readonly string[] {
  if (collection !== 'instances') return []
  return mappingsOf(networkInterfaces).flatMap((one) => [
    hostLink(project, String(one.networkIP)),
    ...publicAddressesOf(one).map(publicLink),
  ])
}
