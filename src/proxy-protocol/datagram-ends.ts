// The two ends in a datagram's header as plain words, without an object for each datagram.

import { readInt32, readUint16 } from './network-order.ts'
import { PROXY_V2_START_LENGTH } from './proxy-header.ts'
import { SIMPLE_PROXY_LENGTH, SIMPLE_PROXY_MAGIC } from './simple-proxy.ts'
import { addressBlockLength, Command, Family, PROXY_V2_SIGNATURE, Transport } from './v2-format.ts'

/**
 * How many words the readers of this file write: the source address in four, the destination address in four, and both
 * ports in one. IPv4 addresses have the form ::ffff:a.b.c.d.
 */
export const ENDS_WORDS = 9

const DESTINATION_AT = 4
const PORTS_AT = 8
const MAPPED_WORD = 0xffff
const PROXY_COMMAND = (2 << 4) | Command.proxy
const IPV4_DATAGRAM = (Family.inet << 4) | Transport.dgram
const IPV6_DATAGRAM = (Family.inet6 << 4) | Transport.dgram

/**
 * Writes the ends in a version 2 header for datagrams, bytes[start..end), into `words` from `at` on.
 *
 * Whatever follows the addresses is not looked at: `readProxyDatagram` says whether the header is valid.
 *
 * @returns the header's length; 0 when there is no such header, or it is not complete
 */
export function readV2Ends(bytes: Uint8Array, start: number, end: number, words: Int32Array, at: number): number {
  if (end - start < PROXY_V2_START_LENGTH) return 0
  for (let i = 0; i < PROXY_V2_SIGNATURE.length; i++) if (bytes[start + i] !== PROXY_V2_SIGNATURE[i]) return 0
  const familyAndTransport = bytes[start + 13]
  const isIpv4 = familyAndTransport === IPV4_DATAGRAM
  if (bytes[start + 12] !== PROXY_COMMAND || (!isIpv4 && familyAndTransport !== IPV6_DATAGRAM)) return 0
  const length = readUint16(bytes, start + 14)
  const blockLength = addressBlockLength(isIpv4 ? Family.inet : Family.inet6)
  if (length < blockLength || PROXY_V2_START_LENGTH + length > end - start) return 0
  const addressAt = start + PROXY_V2_START_LENGTH
  if (isIpv4) {
    writeMapped(words, at, readInt32(bytes, addressAt))
    writeMapped(words, at + DESTINATION_AT, readInt32(bytes, addressAt + 4))
  } else {
    for (let i = 0; i < PORTS_AT; i++) words[at + i] = readInt32(bytes, addressAt + 4 * i)
  }
  words[at + PORTS_AT] = readInt32(bytes, addressAt + blockLength - 4)
  return PROXY_V2_START_LENGTH + length
}

/** As {@link readV2Ends}, for a header of the Simple Proxy Protocol, which is valid if it is there. */
export function readSimpleEnds(bytes: Uint8Array, start: number, end: number, words: Int32Array, at: number): number {
  if (end - start < SIMPLE_PROXY_LENGTH) return 0
  if (bytes[start] !== SIMPLE_PROXY_MAGIC[0] || bytes[start + 1] !== SIMPLE_PROXY_MAGIC[1]) return 0
  for (let i = 0; i < ENDS_WORDS; i++) words[at + i] = readInt32(bytes, start + SIMPLE_PROXY_MAGIC.length + 4 * i)
  return SIMPLE_PROXY_LENGTH
}

function writeMapped(words: Int32Array, at: number, ipv4: number): void {
  words[at] = 0
  words[at + 1] = 0
  words[at + 2] = MAPPED_WORD
  words[at + 3] = ipv4
}
