import type { Endpoint } from '../address/endpoint.ts'

/** The longest version 1 line, CRLF included (proxy-protocol.txt §2.1). */
export const PROXY_V1_LENGTH_MAX = 107

/** The length of what every version 2 header begins with: signature, command, family, length (§2.2). */
export const PROXY_V2_START_LENGTH = 16

/**
 * Why bytes are no PROXY header; the list is complete, so that a counter can be made for each.
 *
 * 'truncated' and 'v1-in-datagram' are said of datagrams alone.
 */
export const MALFORMED_REASONS = [
  'not-proxy',
  'v1-syntax',
  'v1-proto',
  'v1-address',
  'v1-port',
  'v1-line-ending',
  'v1-too-long',
  'v1-in-datagram',
  'v2-version',
  'v2-command',
  'v2-family',
  'v2-length',
  'v2-too-long',
  'v2-tlv',
  'v2-crc',
  'truncated',
] as const

/** One of `MALFORMED_REASONS`. */
export type MalformedReason = (typeof MALFORMED_REASONS)[number]

/** How much a receiver is willing to hold. `v2LengthMax` bounds the length field of version 2, 0 to 65535 bytes. */
export type ProxyHeaderLimits = { readonly v2LengthMax: number }

/** A header that names the two ends of the proxied connection. */
export type ProxiedHeader = {
  readonly kind: 'proxied'
  readonly version: 1 | 2
  readonly transport: 'stream' | 'dgram'
  readonly source: Endpoint
  readonly destination: Endpoint
  readonly bytesRead: number
  readonly tlvStart: number
  readonly tlvEnd: number
}

/** A version 2 header of two UNIX sockets: their paths are 108 bytes each, as sent, and belong to the caller. */
export type UnixHeader = {
  readonly kind: 'unix'
  readonly version: 2
  readonly transport: 'stream' | 'dgram'
  readonly source: Uint8Array
  readonly destination: Uint8Array
  readonly bytesRead: number
  readonly tlvStart: number
  readonly tlvEnd: number
}

/** A header that names nobody: the receiver is to use the real end points of the connection it arrived on. */
export type LocalHeader = {
  readonly kind: 'local'
  readonly version: 1 | 2
  readonly command: 'local' | 'unknown' | 'unspec'
  readonly bytesRead: number
}

/** The beginning of a header, sound so far; `bytesNeeded`, counted from its start, is what another look needs. */
export type IncompleteHeader = { readonly kind: 'incomplete'; readonly bytesNeeded: number }

/** Bytes that no further byte can turn into a header. */
export type MalformedHeader = { readonly kind: 'malformed'; readonly reason: MalformedReason }

/**
 * What a look at the front of a connection saw.
 *
 * `bytesRead` counts the header alone, from its start: the client's first payload comes after it. `tlvStart` and
 * `tlvEnd` are absolute indexes into the bytes that were given, for `readTlvs`; they are equal where there are no TLVs.
 * 'local' is version 2 LOCAL ('local'), version 1 UNKNOWN ('unknown') or version 2 PROXY with an unspecified family or
 * transport ('unspec').
 */
export type ProxyHeader = ProxiedHeader | UnixHeader | LocalHeader | IncompleteHeader | MalformedHeader

/** What a look at a whole datagram saw. */
export type ProxyDatagramHeader = Exclude<ProxyHeader, IncompleteHeader>

/** Returns the most bytes that a receiver has to hold before `readProxyHeader` has decided. */
export function headerLengthMax(limits: ProxyHeaderLimits): number {
  return Math.max(PROXY_V1_LENGTH_MAX, PROXY_V2_START_LENGTH + limits.v2LengthMax)
}

/** Makes the answer 'incomplete'. */
export function incomplete(bytesNeeded: number): IncompleteHeader {
  return { kind: 'incomplete', bytesNeeded }
}

/** Makes the answer 'malformed'. */
export function malformed(reason: MalformedReason): MalformedHeader {
  return { kind: 'malformed', reason }
}
