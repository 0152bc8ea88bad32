import { formatIpAddress, type IpAddress, ipv4Address, ipv6Address, parseIpAddress } from './ip-address.ts'

/** A range of addresses: those whose first `prefixLength` bits equal those of `address`, whose other bits are 0. */
export type Cidr = { readonly address: IpAddress; readonly prefixLength: number }

/**
 * Reads "10.0.0.0/8" or "2001:db8::/32"; undefined for anything else.
 *
 * A bare address is the range of that address alone. Host bits are cleared: "127.0.0.1/8" is 127.0.0.0/8.
 */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/')
  const address = parseIpAddress(slash < 0 ? text : text.slice(0, slash))
  if (address === undefined) return undefined
  const bitCount = address.family === 4 ? 32 : 128
  if (slash < 0) return { address, prefixLength: bitCount }
  const lengthText = text.slice(slash + 1)
  if (!/^(0|[1-9][0-9]{0,2})$/.test(lengthText)) return undefined
  const prefixLength = Number(lengthText)
  if (prefixLength > bitCount) return undefined
  return { address: clearHostBits(address, prefixLength), prefixLength }
}

/** Writes a range as "address/prefixLength", the form that `parseCidr` reads. */
export function formatCidr(cidr: Cidr): string {
  return `${formatIpAddress(cidr.address)}/${cidr.prefixLength}`
}

/** How many addresses a range has; of a large one only about. */
export function cidrSize({ address, prefixLength }: Cidr): number {
  return 2 ** ((address.family === 4 ? 32 : 128) - prefixLength)
}

/** Every address of a range of at most 2^31, in their order. */
export function cidrAddresses(cidr: Cidr): IpAddress[] {
  const { family, w0, w1, w2, w3 } = cidr.address
  // Host bits are 0, so that only the last word counts up.
  return Array.from({ length: cidrSize(cidr) }, (_, index) =>
    family === 4 ? ipv4Address((w3 + index) | 0) : ipv6Address(w0, w1, w2, (w3 + index) | 0),
  )
}

/** The same addresses in ranges of which none is inside another, the largest first. */
export function cidrsWithoutOverlap(cidrs: readonly Cidr[]): Cidr[] {
  const kept = new Map<string, Cidr>()
  const lengths = new Set<number>()
  for (const cidr of [...cidrs].sort((a, b) => a.prefixLength - b.prefixLength)) {
    const { address } = cidr
    const around = [...lengths].map((prefixLength) => {
      return formatCidr({ address: clearHostBits(address, prefixLength), prefixLength })
    })
    if (around.some((text) => kept.has(text))) continue
    kept.set(formatCidr(cidr), cidr)
    lengths.add(cidr.prefixLength)
  }
  return [...kept.values()]
}

function clearHostBits(address: IpAddress, prefixLength: number): IpAddress {
  if (address.family === 4) return ipv4Address(address.w3 & prefixMask(prefixLength))
  return ipv6Address(
    address.w0 & prefixMask(prefixLength),
    address.w1 & prefixMask(prefixLength - 32),
    address.w2 & prefixMask(prefixLength - 64),
    address.w3 & prefixMask(prefixLength - 96),
  )
}

/** The first `bitCount` of 32 bits set; a count below 0 or above 32 is none or all of them. */
function prefixMask(bitCount: number): number {
  if (bitCount <= 0) return 0
  return bitCount >= 32 ? -1 : -1 << (32 - bitCount)
}
