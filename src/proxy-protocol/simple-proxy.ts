// The Simple Proxy Protocol of Cloudflare Spectrum and Tencent EdgeOne: 38 bytes in front of every datagram, both ways.

import type { Endpoint } from '../address/endpoint.ts'
import { unmapAddress } from '../address/ip-address.ts'
import { readIpv6, readUint16, writeIpv6, writeUint16 } from './network-order.ts'
import { type MalformedHeader, malformed } from './proxy-header.ts'

/** The first two bytes. */
export const SIMPLE_PROXY_MAGIC = [0x56, 0xec] as const
const CLIENT_AT = 2
const PROXY_AT = 18
const PORTS_AT = 34

/** Every header has this length; answers carry the same bytes. */
export const SIMPLE_PROXY_LENGTH = 38

/** The two ends of what a proxy passes on; an address in the form ::ffff:a.b.c.d is read as IPv4. */
export type SimpleProxyHeader = {
  readonly kind: 'proxied'
  readonly transport: 'dgram'
  /** The client. */
  readonly source: Endpoint
  /** Where the client has sent the datagram to: an address of the proxy. */
  readonly destination: Endpoint
  readonly bytesRead: number
}

/** Reads the header at the front of a datagram, bytes[start..end). Pure; touches nothing outside it. */
export function readSimpleProxy(bytes: Uint8Array, start: number, end: number): SimpleProxyHeader | MalformedHeader {
  for (let i = 0; i < SIMPLE_PROXY_MAGIC.length && start + i < end; i++) {
    if (bytes[start + i] !== SIMPLE_PROXY_MAGIC[i]) return malformed('not-proxy')
  }
  if (end - start < SIMPLE_PROXY_LENGTH) return malformed('truncated')
  return {
    kind: 'proxied',
    transport: 'dgram',
    source: { address: unmapAddress(readIpv6(bytes, start + CLIENT_AT)), port: readUint16(bytes, start + PORTS_AT) },
    destination: {
      address: unmapAddress(readIpv6(bytes, start + PROXY_AT)),
      port: readUint16(bytes, start + PORTS_AT + 2),
    },
    bytesRead: SIMPLE_PROXY_LENGTH,
  }
}

/** Writes a header into `target` from `offset` on and returns its length; one that does not fit is a RangeError. */
export function writeSimpleProxy(target: Uint8Array, offset: number, source: Endpoint, destination: Endpoint): number {
  if (offset + SIMPLE_PROXY_LENGTH > target.length) {
    throw new RangeError(`A header of ${SIMPLE_PROXY_LENGTH} bytes does not fit into ${target.length - offset}`)
  }
  target.set(SIMPLE_PROXY_MAGIC, offset)
  writeIpv6(target, offset + CLIENT_AT, source.address)
  writeIpv6(target, offset + PROXY_AT, destination.address)
  writeUint16(target, offset + PORTS_AT, source.port)
  writeUint16(target, offset + PORTS_AT + 2, destination.port)
  return SIMPLE_PROXY_LENGTH
}
