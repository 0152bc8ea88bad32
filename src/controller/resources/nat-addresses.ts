import { parseCidr } from '../../address/cidr.ts'
import { CidrSet } from '../../address/cidr-set.ts'
import { parseIpAddress } from '../../address/ip-address.ts'
import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { ApiError, invalidField } from '../model/api-error.ts'
import { pathOf } from '../model/resource-paths.ts'
import type { World } from '../model/world.ts'
import type { ResourceKey } from '../store/store.ts'
import { firstFree } from './address-pool.ts'

/** Whose interface the access configs are of, and what is known of it. */
export type NatPlace = {
  readonly key: ResourceKey
  /** Where the interface is in the body: `resource.networkInterfaces[0]`. */
  readonly path: string
  readonly networkIP: string
  /** Addresses that other interfaces of the instance have. */
  readonly taken: readonly string[]
  /** The interface as it is stored. */
  readonly before: Mapping | undefined
}

/**
 * Access configs with their addresses for the internet. A machine that is made gets one of the pools, and keeps it; an
 * existing host is reached where it is: this is what `gcloud compute ssh` connects to.
 */
export function withNatIps(world: World, accessConfigs: readonly unknown[], place: NatPlace): readonly unknown[] {
  if (world.natPools.length === 0) {
    return accessConfigs.map((config) => {
      return isMapping(config) ? { kind: 'compute#accessConfig', natIP: place.networkIP, ...config } : config
    })
  }
  const used = new Set([...place.taken, ...interfacesOfOthers(world, place.key).flatMap(natIpsOf)])
  return accessConfigs.map((config, index) => {
    if (!isMapping(config)) return config
    const { natIP, ...rest } = config
    const given = typeof natIP === 'string' && natIP !== '' ? natIP : undefined
    const field = `${place.path}.accessConfigs[${index}].natIP`
    if (given !== undefined && used.has(given)) {
      throw invalidField(field, given, 'It is the address of another instance')
    }
    if (given !== undefined && !isOurs(world, given)) {
      const pools = [...world.natPools, ...world.addressPools].join(', ')
      throw invalidField(field, given, `It leads to no instance here; give one of ${pools}, or none`)
    }
    const address = given ?? storedNatIp(place.before, index, used) ?? freeAddress(world, used)
    used.add(address)
    return { kind: 'compute#accessConfig', ...rest, natIP: address }
  })
}

/** The addresses for the internet of an interface, as it is stored. */
export function natIpsOf({ accessConfigs }: Mapping): readonly string[] {
  if (!Array.isArray(accessConfigs)) return []
  return accessConfigs.flatMap((config: unknown) => {
    return isMapping(config) && typeof config.natIP === 'string' ? [config.natIP] : []
  })
}

function isOurs({ natPools, addressPools }: World, text: string): boolean {
  const address = parseIpAddress(text)
  const pools = new CidrSet([...natPools, ...addressPools].flatMap((pool) => parseCidr(pool) ?? []))
  return address !== undefined && pools.has(address)
}

function storedNatIp(before: Mapping | undefined, index: number, used: ReadonlySet<string>): string | undefined {
  const stored = before === undefined ? undefined : natIpsOf(before)[index]
  return stored === undefined || used.has(stored) ? undefined : stored
}

/** The interfaces of all other instances. */
export function interfacesOfOthers({ store }: World, own: ResourceKey): readonly Mapping[] {
  return store.all().flatMap((one) => {
    if (one.collection !== 'instances' || pathOf(one) === pathOf(own)) return []
    return one.resource.networkInterfaces as readonly Mapping[]
  })
}

function freeAddress({ natPools }: World, used: ReadonlySet<string>): string {
  const pools = natPools.flatMap((text) => parseCidr(text) ?? [])
  const free = firstFree(pools, (address) => used.has(address))
  if (free !== undefined) return free
  const message = 'Every address for the internet is taken; give --no-address, or delete an instance'
  throw new ApiError(403, { message, reason: 'quotaExceeded' })
}
