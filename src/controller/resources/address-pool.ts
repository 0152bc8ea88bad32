import { type Cidr, parseCidr } from '../../address/cidr.ts'
import { CidrSet } from '../../address/cidr-set.ts'
import { formatIpAddress, type IpAddress, ipv4Address, ipv6Address, parseIpAddress } from '../../address/ip-address.ts'
import { ApiError } from '../model/api-error.ts'
import { addressLink, publicLink, reservationLink } from '../model/reference-index.ts'
import type { World } from '../model/world.ts'

/** Addresses of one range that are looked at before it counts as used up. */
const LOOKED_AT_MAX = 1 << 20
/** IPv4 ranges that are longer have no addresses of a network's own in them. */
const IPV4_WHOLE_LENGTH = 31
const FOREIGN =
  'It is not an address of this controller; give one of its --addresses or --address-pool, or start it with this one among them'

/**
 * Takes an address that nobody has reserved or listens on: one of those given one by one, or the first of a pool.
 *
 * @throws ApiError 400 invalid where there is no pool, 403 quotaExceeded where all is taken
 */
export function takeAddress(world: World, version: 'IPV4' | 'IPV6'): string {
  const family = version === 'IPV4' ? 4 : 6
  const single = world.addresses.flatMap((text) => parseIpAddress(text) ?? []).filter((one) => one.family === family)
  const pools = world.addressPools
    .flatMap((text) => parseCidr(text) ?? [])
    .filter((one) => one.address.family === family)
  if (single.length === 0 && pools.length === 0) {
    const message = `No ${version} address is given, and the controller has no pool of them; start it with --address-pool or --addresses, or give an address`
    throw new ApiError(400, { message, reason: 'invalid' })
  }
  const free =
    single.map(formatIpAddress).find((text) => !isTaken(world, text)) ??
    firstFree(pools, (text) => isTaken(world, text))
  if (free !== undefined) return free
  const message = `Quota 'STATIC_ADDRESSES' exceeded: every ${version} address of the controller is taken; delete one, or start it with another --address-pool`
  throw new ApiError(403, { message, reason: 'quotaExceeded' })
}

/**
 * Says why a load balancer cannot have this address; undefined: it can. Edges listen on it, and may put it on their host:
 * only the operator of the controller knows which addresses are for that.
 */
export function foreignAddress({ addresses, addressPools }: World, text: string): string | undefined {
  return isAmong([...addresses, ...addressPools], text) ? undefined : FOREIGN
}

/** Whether an address is in one of these ranges. */
export function isAmong(ranges: readonly string[], text: string): boolean {
  const address = parseIpAddress(text)
  return address !== undefined && new CidrSet(ranges.flatMap((range) => parseCidr(range) ?? [])).has(address)
}

/** Whether an instance has an address that leads to its machine; an existing host may be an edge, too. */
export function leadsToMachine({ natPools, references }: World, address: string): boolean {
  return natPools.length > 0 && references.isUsed(publicLink(address))
}

/** The usable addresses of a range, in their order; of a large one the first. */
export function* addressesOf(cidr: Cidr): Generator<IpAddress> {
  const { address, prefixLength } = cidr
  const bits = (address.family === 4 ? 32 : 128) - prefixLength
  const size = Math.min(2 ** bits, LOOKED_AT_MAX)
  const isWhole = address.family === 4 ? prefixLength >= IPV4_WHOLE_LENGTH : bits === 0
  // The first is the network's own (in IPv6 any of its routers), the last of IPv4 is for everybody.
  const last = isWhole || address.family === 6 || size < 2 ** bits ? size : size - 1
  for (let index = isWhole ? 0 : 1; index < last; index++) yield addressAt(address, index)
}

/** The first usable address of these ranges that is not taken; undefined: all of them are. */
export function firstFree(ranges: readonly Cidr[], isTaken: (address: string) => boolean): string | undefined {
  for (const range of ranges) {
    for (const address of addressesOf(range)) {
      const text = formatIpAddress(address)
      if (!isTaken(text)) return text
    }
  }
  return undefined
}

/** The gateway of a subnet is its first usable address, as Google has it; no machine gets that. */
export function isGateway(subnet: Cidr, address: string): boolean {
  return firstFree([subnet], () => false) === address
}

function addressAt({ family, w0, w1, w2, w3 }: IpAddress, index: number): IpAddress {
  return family === 4 ? ipv4Address((w3 + index) | 0) : ipv6Address(w0, w1, w2, (w3 + index) | 0)
}

function isTaken(world: World, address: string): boolean {
  const links = [addressLink(address), reservationLink(address)]
  return links.some((link) => world.references.isUsed(link)) || leadsToMachine(world, address)
}
