import { type IpAddress, ipv4Address, unmapAddress } from './ip-address.ts'

/**
 * What kind of address it is, as far as that decides who may be impersonated.
 *
 * - 'unspecified': 0.0.0.0/8 and ::
 * - 'loopback': 127.0.0.0/8 and ::1
 * - 'multicast': 224.0.0.0/4 and ff00::/8
 * - 'broadcast': 255.255.255.255
 * - 'reserved': 240.0.0.0/4
 * - 'link-local': 169.254.0.0/16 and fe80::/10
 * - 'private': RFC 1918, 100.64.0.0/10 (RFC 6598), fc00::/7 (RFC 4193), fec0::/10 (RFC 3879)
 * - 'ordinary': the rest, the documentation and benchmarking ranges too
 */
export type AddressClass =
  | 'ordinary'
  | 'unspecified'
  | 'loopback'
  | 'multicast'
  | 'broadcast'
  | 'reserved'
  | 'link-local'
  | 'private'

/**
 * Says of which class an address is, seeing through the forms in which an IPv6 address carries an IPv4 address.
 *
 * Those are ::ffff:a.b.c.d (mapped), ::ffff:0:a.b.c.d (translated, RFC 2765), ::a.b.c.d (compatible), 64:ff9b::a.b.c.d
 * (NAT64, RFC 6052), 64:ff9b:1::a.b.c.d (the same in a network's own prefix, RFC 8215) and 2002:ab:cd::/48 (6to4, RFC
 * 3056): such an address has the class of the IPv4 address, unless its own is already worse than ordinary.
 */
export function classifyAddress(address: IpAddress): AddressClass {
  const unmapped = unmapAddress(address)
  if (unmapped.family === 4) return classifyIpv4(unmapped.w3)
  const outer = classifyIpv6(unmapped)
  if (outer !== 'ordinary') return outer
  const inner = tunnelledAddress(unmapped)
  return inner === undefined ? 'ordinary' : classifyIpv4(inner.w3)
}

function classifyIpv4(word: number): AddressClass {
  const first = word >>> 24
  if (first === 0) return 'unspecified'
  if (first === 127) return 'loopback'
  if (word === -1) return 'broadcast'
  if (first >= 240) return 'reserved'
  if (first >= 224) return 'multicast'
  const firstTwo = word >>> 16
  if (firstTwo === 0xa9fe) return 'link-local'
  // 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10
  if (first === 10 || firstTwo >>> 4 === 0xac1 || firstTwo === 0xc0a8 || firstTwo >>> 6 === 0x191) return 'private'
  return 'ordinary'
}

function classifyIpv6({ w0, w1, w2, w3 }: IpAddress): AddressClass {
  if (w0 === 0 && w1 === 0 && w2 === 0 && w3 === 0) return 'unspecified'
  if (w0 === 0 && w1 === 0 && w2 === 0 && w3 === 1) return 'loopback'
  if (w0 >>> 24 === 0xff) return 'multicast'
  if (w0 >>> 22 === 0x3fa) return 'link-local'
  if (w0 >>> 25 === 0x7e || w0 >>> 22 === 0x3fb) return 'private'
  return 'ordinary'
}

/** The IPv4 address inside an IPv6 address of the compatible, translated, NAT64 or 6to4 form; undefined for any other address. */
export function tunnelledAddress({ family, w0, w1, w2, w3 }: IpAddress): IpAddress | undefined {
  if (family === 4) return undefined
  const isCompatible = w0 === 0 && w1 === 0 && w2 === 0
  const isTranslated = w0 === 0 && w1 === 0 && w2 >>> 0 === 0xffff0000
  // Of 64:ff9b:1::/48 the first /96: where other prefixes in it put the IPv4 address is known to their network alone.
  const isNat64 = w0 === 0x64ff9b && (w1 === 0 || w1 === 0x10000) && w2 === 0
  if (isCompatible || isTranslated || isNat64) return ipv4Address(w3)
  const is6to4 = w0 >>> 16 === 0x2002
  return is6to4 ? ipv4Address((w0 << 16) | (w1 >>> 16)) : undefined
}
