import type { Endpoint } from '../address/endpoint.ts'
import { type IpAddress, ipv4Address, ipv6Address, unmapAddress } from '../address/ip-address.ts'
import { AF_INET, AF_INET6 } from './constants.ts'

/** sizeof(struct sockaddr_in), ip(7). */
const SOCKADDR_IN_BYTES = 16
/** sizeof(struct sockaddr_in6), ipv6(7): room for either family. */
export const SOCKADDR_BYTES_MAX = 28

// The family is in the host's byte order; every Linux that runs node is little-endian but s390x.
const IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

function readWord(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
}

function writeWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word >>> 24
  bytes[at + 1] = word >>> 16
  bytes[at + 2] = word >>> 8
  bytes[at + 3] = word
}

/**
 * Writes `address` and `port` as a struct sockaddr_in or sockaddr_in6 at the front of `target`.
 *
 * @param scope the index of the interface where a link-local IPv6 address is meant, below 256; 0: none
 * @returns the length of the structure in bytes
 */
export function writeSockaddr(target: Uint8Array, address: IpAddress, port: number, scope = 0): number {
  const family = address.family === 4 ? AF_INET : AF_INET6
  const length = address.family === 4 ? SOCKADDR_IN_BYTES : SOCKADDR_BYTES_MAX
  target.fill(0, 0, length)
  target[IS_LITTLE_ENDIAN ? 0 : 1] = family
  target[2] = port >>> 8
  target[3] = port
  if (address.family === 4) {
    writeWord(target, 4, address.w3)
  } else {
    writeWord(target, 8, address.w0)
    writeWord(target, 12, address.w1)
    writeWord(target, 16, address.w2)
    writeWord(target, 20, address.w3)
    // In the host's byte order, too.
    target[IS_LITTLE_ENDIAN ? 24 : 27] = scope
  }
  return length
}

/**
 * Reads the address of a sockaddr that the kernel wrote; a v4-mapped IPv6 address is returned as IPv4, because
 * a dual-stack listener shows its IPv4 clients in that form (ipv6(7)).
 */
export function readSockaddrAddress(bytes: Uint8Array): IpAddress {
  const family = bytes[IS_LITTLE_ENDIAN ? 0 : 1]
  if (family === AF_INET) return ipv4Address(readWord(bytes, 4))
  return unmapAddress(ipv6Address(readWord(bytes, 8), readWord(bytes, 12), readWord(bytes, 16), readWord(bytes, 20)))
}

/** Reads the port of a sockaddr that the kernel wrote. */
export function readSockaddrPort(bytes: Uint8Array): number {
  return (bytes[2] << 8) | bytes[3]
}

/** Reads address and port of a sockaddr that the kernel wrote; see {@link readSockaddrAddress}. */
export function readSockaddr(bytes: Uint8Array): Endpoint {
  return { address: readSockaddrAddress(bytes), port: readSockaddrPort(bytes) }
}
