import { type Cidr, parseCidr } from '../../address/cidr.ts'
import { type Mapping, mappingsOf } from '../../compute/json-value.ts'
import { ApiError, invalidField } from '../model/api-error.ts'
import { regionOf } from '../model/resource-paths.ts'
import type { World } from '../model/world.ts'
import { firstFree, isAmong, isGateway } from './address-pool.ts'
import { isOfAnother, type NatPlace } from './nat-addresses.ts'

/** Google's interfaces have as many addresses of their own; the first of them is the one that is used. */
const PREFIX_LENGTH = 96

/**
 * What an interface with both versions has besides IPv4, where the region's subnet has IPv6: one address of it, which is
 * for the internet, too, where an access config asks for that. It stays with the interface.
 */
export function ipv6Fields(world: World, given: Mapping, place: NatPlace): Mapping {
  const range = world.ipv6Subnets[regionOf(place.key.scope)] ?? ''
  const subnet = parseCidr(range)
  if (given.stackType !== 'IPV4_IPV6' || subnet === undefined) return {}
  const isTaken = (text: string) => place.taken.includes(text) || isOfAnother(world, place.key, text)
  const [wanted] = ipv6AddressesOf(given)
  if (wanted !== undefined && isTaken(wanted)) {
    throw invalidField(`${place.path}.ipv6Address`, wanted, 'It is the address of another instance')
  }
  if (wanted !== undefined && !isAmong([range], wanted)) {
    throw invalidField(`${place.path}.ipv6Address`, wanted, `It is not an address of the subnet ${range}`)
  }
  const [stored] = place.before === undefined ? [] : ipv6AddressesOf(place.before)
  const address = wanted ?? (stored === undefined || isTaken(stored) ? undefined : stored) ?? free(subnet, isTaken)
  const { ipv6AccessConfigs } = given
  const [config] = mappingsOf(ipv6AccessConfigs)
  if (config === undefined) {
    return { ipv6AccessType: 'INTERNAL', ipv6Address: address, internalIpv6PrefixLength: PREFIX_LENGTH }
  }
  const external = { externalIpv6: address, externalIpv6PrefixLength: PREFIX_LENGTH }
  const whole = { kind: 'compute#accessConfig', name: 'external-ipv6', type: 'DIRECT_IPV6', ...config, ...external }
  return { ipv6AccessType: 'EXTERNAL', ipv6AccessConfigs: [whole] }
}

/** The IPv6 addresses of an interface. */
function ipv6AddressesOf({ ipv6Address, ipv6AccessConfigs }: Mapping): readonly string[] {
  const configs = mappingsOf(ipv6AccessConfigs)
  return [ipv6Address, ...configs.map(({ externalIpv6 }) => externalIpv6)].filter((value) => typeof value === 'string')
}

function free(subnet: Cidr, isTaken: (address: string) => boolean): string {
  const address = firstFree([subnet], (text) => isTaken(text) || isGateway(subnet, text))
  if (address !== undefined) return address
  throw new ApiError(403, { message: 'The subnet has no IPv6 address left', reason: 'quotaExceeded' })
}
