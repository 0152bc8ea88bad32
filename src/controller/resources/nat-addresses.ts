import { parseCidr } from '../../address/cidr.ts'
import { isMapping, type Mapping, mappingsOf } from '../../compute/json-value.ts'
import { ApiError, invalidField } from '../model/api-error.ts'
import { addressLink, publicLink } from '../model/reference-index.ts'
import { pathOf } from '../model/resource-paths.ts'
import type { World } from '../model/world.ts'
import type { ResourceKey } from '../store/store.ts'
import { firstFree, isAmong } from './address-pool.ts'

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
  const used = new Set(place.taken)
  const isTaken = (address: string) => used.has(address) || isOfAnother(world, place.key, address)
  return accessConfigs.map((config, index) => {
    if (!isMapping(config)) return config
    const { natIP, ...rest } = config
    const given = typeof natIP === 'string' && natIP !== '' ? natIP : undefined
    const field = `${place.path}.accessConfigs[${index}].natIP`
    if (given !== undefined && isTaken(given)) {
      throw invalidField(field, given, 'It is the address of another instance')
    }
    const pools = [...world.natPools, ...world.addressPools]
    if (given !== undefined && !isAmong(pools, given)) {
      throw invalidField(field, given, `It leads to no instance here; give one of ${pools.join(', ')}, or none`)
    }
    const stored = natIpsOf(place.before)[index]
    if (given !== undefined && given !== stored && isOfRule(world, given)) {
      throw invalidField(field, given, 'A forwarding rule has it; give another one, or none')
    }
    const kept = stored === undefined || isTaken(stored) ? undefined : stored
    const address = given ?? kept ?? freeAddress(world, isTaken)
    used.add(address)
    return { kind: 'compute#accessConfig', ...rest, natIP: address }
  })
}

/** The addresses for the internet of an interface, as it is stored. */
function natIpsOf(stored: Mapping | undefined): readonly string[] {
  return mappingsOf(stored?.accessConfigs).flatMap(({ natIP }) => (typeof natIP === 'string' ? [natIP] : []))
}

/** Whether another instance has an address that no two of them may have. */
export function isOfAnother({ references }: World, own: ResourceKey, address: string): boolean {
  return references.usersOf(publicLink(address)).some((user) => user !== pathOf(own))
}

function isOfRule({ references }: World, address: string): boolean {
  return references.isUsed(addressLink(address))
}

function freeAddress(world: World, isTaken: (address: string) => boolean): string {
  const pools = world.natPools.flatMap((text) => parseCidr(text) ?? [])
  const free = firstFree(pools, (address) => isTaken(address) || isOfRule(world, address))
  if (free !== undefined) return free
  const message = 'Every address for the internet is taken; give --no-address, or delete an instance'
  throw new ApiError(403, { message, reason: 'quotaExceeded' })
}
