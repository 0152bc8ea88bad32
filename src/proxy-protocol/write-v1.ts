import type { Endpoint } from '../address/endpoint.ts'
import { mapAddress, writeDecimalText, writeIpAddressText } from '../address/ip-address.ts'

const SPACE = 0x20
const PROXY_TCP4 = [0x50, 0x52, 0x4f, 0x58, 0x59, SPACE, 0x54, 0x43, 0x50, 0x34, SPACE]
const SIX = 0x36
const PROXY_UNKNOWN = [0x50, 0x52, 0x4f, 0x58, 0x59, SPACE, 0x55, 0x4e, 0x4b, 0x4e, 0x4f, 0x57, 0x4e, 0x0d, 0x0a]

/**
 * Writes a version 1 line into `target` from `offset` on and returns its length (proxy-protocol.txt §2.1).
 *
 * `target` needs room for 107 bytes there. TCP4 if both addresses are IPv4, TCP6 otherwise, with an IPv4 address beside
 * an IPv6 one written as ::ffff:a.b.c.d. Allocates nothing but in that mixed case.
 */
export function writeProxyV1(target: Uint8Array, offset: number, source: Endpoint, destination: Endpoint): number {
  const isIpv4 = source.address.family === 4 && destination.address.family === 4
  let at = offset + writeBytes(target, offset, PROXY_TCP4)
  if (!isIpv4) target[at - 2] = SIX
  at += writeIpAddressText(target, at, isIpv4 ? source.address : mapAddress(source.address))
  target[at++] = SPACE
  at += writeIpAddressText(target, at, isIpv4 ? destination.address : mapAddress(destination.address))
  target[at++] = SPACE
  at += writeDecimalText(target, at, source.port)
  target[at++] = SPACE
  at += writeDecimalText(target, at, destination.port)
  target[at++] = 0x0d
  target[at++] = 0x0a
  return at - offset
}

/** Writes "PROXY UNKNOWN", CRLF, into `target` from `offset` on and returns its length, 15. */
export function writeProxyV1Unknown(target: Uint8Array, offset: number): number {
  return writeBytes(target, offset, PROXY_UNKNOWN)
}

function writeBytes(target: Uint8Array, offset: number, bytes: readonly number[]): number {
  for (let i = 0; i < bytes.length; i++) target[offset + i] = bytes[i]
  return bytes.length
}
