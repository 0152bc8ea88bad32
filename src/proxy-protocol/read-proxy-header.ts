import {
  incomplete,
  malformed,
  type ProxyDatagramHeader,
  type ProxyHeader,
  type ProxyHeaderLimits,
} from './proxy-header.ts'
import { hasProxyV1Word, readProxyV1 } from './read-v1.ts'
import { proxyV2Length, readProxyV2, readProxyV2Start } from './read-v2.ts'

const P = 0x50

/**
 * Reads a PROXY protocol header of version 1 or 2 from bytes[start..end) (proxy-protocol.txt §2, 2026-04-27).
 *
 * Pure: never throws, keeps no reference to `bytes`, reads nothing past `end` or past the header. Give it all that has
 * arrived since `start` each time; however the bytes were split, the last answer is the same. It is 'malformed' with
 * the first field that cannot belong to a header, and for good. It asks for 107 bytes at most (version 1), or for 16
 * and `limits.v2LengthMax` (version 2). Expects 0 <= start <= end <= bytes.length.
 */
export function readProxyHeader(bytes: Uint8Array, start: number, end: number, limits: ProxyHeaderLimits): ProxyHeader {
  if (start >= end) return incomplete(1)
  return bytes[start] === P ? readProxyV1(bytes, start, end) : readProxyV2(bytes, start, end, limits)
}

/**
 * Reads the version 2 header at the front of a datagram, bytes[start..end) (proxy-protocol.txt §2).
 *
 * As `readProxyHeader`, but a datagram has no second half: a header that does not end in it is 'truncated'. Version 1
 * is refused ('v1-in-datagram').
 */
export function readProxyDatagram(
  bytes: Uint8Array,
  start: number,
  end: number,
  limits: ProxyHeaderLimits,
): ProxyDatagramHeader {
  if (hasProxyV1Word(bytes, start, end)) return malformed('v1-in-datagram')
  // The length goes first: what follows a header that was cut short is not worth a look.
  const notStarted = readProxyV2Start(bytes, start, end, limits)
  if (notStarted?.kind === 'malformed') return notStarted
  if (notStarted !== undefined || proxyV2Length(bytes, start) > end - start) return malformed('truncated')
  const header = readProxyV2(bytes, start, end, limits)
  return header.kind === 'incomplete' ? malformed('truncated') : header
}
