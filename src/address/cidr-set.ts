import { type Cidr, parseCidr } from './cidr.ts'
import { type IpAddress, isMappedAddress, wordAt } from './ip-address.ts'

/** The root of the IPv4 trie. */
const IPV4_ROOT = 0
/** The root of the IPv6 trie. */
const IPV6_ROOT = 1
/** In place of a child: every address below is in the set. */
const ALL = -1
/** In place of a child: no address below is in the set. A root is nobody's child, so its index is free for this. */
const NONE = 0

/**
 * An immutable set of address ranges that says whether an address is in one of them.
 *
 * One binary trie per family; a lookup follows at most 32 or 128 bits and allocates nothing. IPv4-mapped IPv6 addresses
 * and ranges inside ::ffff:0:0/96 count as IPv4. A shorter IPv6 range, ::/0 too, holds no IPv4 address.
 */
export class CidrSet {
  /** How many ranges the set was made from. */
  readonly size: number
  /** Per node two entries: the child for bit 0 and the child for bit 1, as node index, ALL or NONE. */
  readonly #children: Int32Array

  constructor(cidrs: Iterable<Cidr>) {
    const children = [NONE, NONE, NONE, NONE]
    let size = 0
    for (const cidr of cidrs) {
      insert(children, cidr)
      size++
    }
    this.size = size
    this.#children = Int32Array.from(children)
  }

  /** Says whether `address` is in one of the ranges. */
  has(address: IpAddress): boolean {
    const children = this.#children
    const isIpv4 = address.family === 4 || isMappedAddress(address)
    let node = isIpv4 ? IPV4_ROOT : IPV6_ROOT
    for (let bit = isIpv4 ? 96 : 0; bit < 128; bit++) {
      node = children[node * 2 + bitAt(address, bit)]
      if (node === ALL) return true
      if (node === NONE) return false
    }
    return false
  }
}

/** The set of ranges that have been checked as texts before; one that is still wrong is left out, so that it trusts nobody. */
export function cidrSetOf(texts: readonly string[]): CidrSet {
  return new CidrSet(texts.map(parseCidr).filter((cidr) => cidr !== undefined))
}

function insert(children: number[], cidr: Cidr): void {
  const { address } = cidr
  const isMappedRange = isMappedAddress(address) && cidr.prefixLength >= 96
  const isIpv4 = address.family === 4 || isMappedRange
  const firstBit = isIpv4 ? 96 : 0
  const endBit = address.family === 4 ? 96 + cidr.prefixLength : cidr.prefixLength
  let node = isIpv4 ? IPV4_ROOT : IPV6_ROOT
  if (endBit === firstBit) {
    children[node * 2] = ALL
    children[node * 2 + 1] = ALL
    return
  }
  for (let bit = firstBit; bit < endBit - 1; bit++) {
    const slot = node * 2 + bitAt(address, bit)
    if (children[slot] === ALL) return
    if (children[slot] === NONE) {
      children[slot] = children.length / 2
      children.push(NONE, NONE)
    }
    node = children[slot]
  }
  children[node * 2 + bitAt(address, endBit - 1)] = ALL
}

/** Bit 0 is the most significant of an IPv6 address, bit 96 that of an IPv4 address. */
function bitAt(address: IpAddress, bit: number): number {
  return (wordAt(address, bit >> 5) >>> (31 - (bit & 31))) & 1
}
