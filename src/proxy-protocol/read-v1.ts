import { readIpv4Text, readIpv6Text } from '../address/ip-address.ts'
import {
  type IncompleteHeader,
  incomplete,
  type MalformedHeader,
  type MalformedReason,
  malformed,
  PROXY_V1_LENGTH_MAX,
  type ProxyHeader,
} from './proxy-header.ts'

const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const ZERO = 0x30
const FOUR = 0x34
const SIX = 0x36
const PROXY = [0x50, 0x52, 0x4f, 0x58, 0x59]
const TCP = [0x54, 0x43, 0x50]
const UNKNOWN = [0x55, 0x4e, 0x4b, 0x4e, 0x4f, 0x57, 0x4e]

/** Where the protocol word begins: after "PROXY" and one space. */
const PROTOCOL_AT = PROXY.length + 1

/** No digit yet: more bytes could make a port. */
const PORT_EMPTY = -1
/** No more bytes could make a port. */
const PORT_WRONG = -2

type NotYet = IncompleteHeader | MalformedHeader

/** Says whether bytes[start..end) begins with the word PROXY, with which a version 1 line begins. */
export function hasProxyV1Word(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start >= PROXY.length && isStartOf(PROXY, bytes, start, end)
}

/**
 * Reads a version 1 line from bytes[start..end) (proxy-protocol.txt §2.1).
 *
 * Refuses at the first byte that cannot belong to a line, with two exceptions that cost one look and nothing else: a
 * CR is judged together with the byte after it, and spaces after the last field when something else follows them or
 * when the 107 bytes are full. A field is judged before what ends it: a wrong address is 'v1-address' even where the
 * line then ends too soon. The tail of UNKNOWN is ignored, except that a lone CR or LF in it is refused.
 */
export function readProxyV1(bytes: Uint8Array, start: number, end: number): ProxyHeader {
  const limit = Math.min(end, start + PROXY_V1_LENGTH_MAX)
  if (!isStartOf(PROXY, bytes, start, limit)) return malformed('not-proxy')
  const protocolAt = start + PROTOCOL_AT
  if (limit < protocolAt) return unfinished(start, limit)
  if (bytes[protocolAt - 1] !== SPACE) return malformed('v1-syntax')
  if (isStartOf(TCP, bytes, protocolAt, limit)) return readTcpLine(bytes, start, limit)
  if (isStartOf(UNKNOWN, bytes, protocolAt, limit)) return readUnknownLine(bytes, start, limit)
  return malformed('v1-proto')
}

function readTcpLine(bytes: Uint8Array, start: number, limit: number): ProxyHeader {
  const digitAt = start + PROTOCOL_AT + TCP.length
  if (digitAt >= limit) return unfinished(start, limit)
  const digit = bytes[digitAt]
  if (digit !== FOUR && digit !== SIX) return malformed('v1-proto')
  const readAddress = digit === FOUR ? readIpv4Text : readIpv6Text
  if (digitAt + 1 === limit) return unfinished(start, limit)
  if (bytes[digitAt + 1] !== SPACE) return refuseAfterProtocol(bytes, start, limit, digitAt + 1)

  const sourceAt = digitAt + 2
  const sourceEnd = findFieldEnd(bytes, sourceAt, limit)
  const source = readAddress(bytes, sourceAt, sourceEnd)
  if (typeof source !== 'object' || sourceEnd === limit || bytes[sourceEnd] !== SPACE) {
    return refuseField(bytes, start, limit, sourceAt, sourceEnd, source === undefined, 'v1-address')
  }
  const destinationAt = sourceEnd + 1
  const destinationEnd = findFieldEnd(bytes, destinationAt, limit)
  const destination = readAddress(bytes, destinationAt, destinationEnd)
  if (typeof destination !== 'object' || destinationEnd === limit || bytes[destinationEnd] !== SPACE) {
    return refuseField(bytes, start, limit, destinationAt, destinationEnd, destination === undefined, 'v1-address')
  }
  const sourcePortAt = destinationEnd + 1
  const sourcePortEnd = findFieldEnd(bytes, sourcePortAt, limit)
  const sourcePort = readPort(bytes, sourcePortAt, sourcePortEnd)
  if (sourcePort < 0 || sourcePortEnd === limit || bytes[sourcePortEnd] !== SPACE) {
    return refuseField(bytes, start, limit, sourcePortAt, sourcePortEnd, sourcePort === PORT_WRONG, 'v1-port')
  }
  const portAt = sourcePortEnd + 1
  const portEnd = findFieldEnd(bytes, portAt, limit)
  const port = readPort(bytes, portAt, portEnd)
  if (port < 0 || portEnd + 1 >= limit || bytes[portEnd] !== CR || bytes[portEnd + 1] !== LF) {
    return refuseLastField(bytes, start, limit, portAt, portEnd, port === PORT_WRONG)
  }
  return {
    kind: 'proxied',
    version: 1,
    transport: 'stream',
    source: { address: source, port: sourcePort },
    destination: { address: destination, port },
    bytesRead: portEnd + 2 - start,
    tlvStart: portEnd + 2,
    tlvEnd: portEnd + 2,
  }
}

function readUnknownLine(bytes: Uint8Array, start: number, limit: number): ProxyHeader {
  const wordEnd = start + PROTOCOL_AT + UNKNOWN.length
  if (wordEnd >= limit) return unfinished(start, limit)
  if (bytes[wordEnd] !== SPACE && !isLineByte(bytes[wordEnd])) return malformed('v1-proto')
  for (let i = wordEnd; i < limit; i++) {
    if (!isLineByte(bytes[i])) continue
    if (bytes[i] === CR && i + 1 < limit && bytes[i + 1] === LF) {
      return { kind: 'local', version: 1, command: 'unknown', bytesRead: i + 2 - start }
    }
    return refuseLineEnd(bytes, start, limit, i)
  }
  return unfinished(start, limit)
}

/** The bytes are sound but the line has not ended: it may yet, unless it is as long as a line can be. */
function unfinished(start: number, limit: number): NotYet {
  const length = limit - start
  return length === PROXY_V1_LENGTH_MAX ? malformed('v1-too-long') : incomplete(length + 1)
}

function refuseAfterProtocol(bytes: Uint8Array, start: number, limit: number, at: number): NotYet {
  return isLineByte(bytes[at]) ? refuseLineEnd(bytes, start, limit, at) : malformed('v1-proto')
}

function refuseField(
  bytes: Uint8Array,
  start: number,
  limit: number,
  fieldAt: number,
  fieldEnd: number,
  isWrong: boolean,
  reason: MalformedReason,
): NotYet {
  if (isWrong) return malformed(reason)
  if (fieldEnd === limit) return unfinished(start, limit)
  if (isLineByte(bytes[fieldEnd])) return refuseLineEnd(bytes, start, limit, fieldEnd)
  // Two spaces in a row, or a space after the beginning of an address.
  return malformed(fieldAt === fieldEnd ? 'v1-syntax' : reason)
}

function refuseLastField(
  bytes: Uint8Array,
  start: number,
  limit: number,
  fieldAt: number,
  fieldEnd: number,
  isWrong: boolean,
): NotYet {
  if (isWrong) return malformed('v1-port')
  let at = fieldEnd
  if (fieldAt < fieldEnd) while (at < limit && bytes[at] === SPACE) at++
  if (at === limit) return unfinished(start, limit)
  return isLineByte(bytes[at]) ? refuseLineEnd(bytes, start, limit, at) : malformed('v1-syntax')
}

/** Judges a CR or LF where the line may not end: CRLF ends it too soon, either alone is wrong anywhere. */
function refuseLineEnd(bytes: Uint8Array, start: number, limit: number, at: number): NotYet {
  if (bytes[at] === LF) return malformed('v1-line-ending')
  if (at + 1 === limit) return unfinished(start, limit)
  return malformed(bytes[at + 1] === LF ? 'v1-syntax' : 'v1-line-ending')
}

function isLineByte(byte: number): boolean {
  return byte === CR || byte === LF
}

function findFieldEnd(bytes: Uint8Array, from: number, limit: number): number {
  let i = from
  while (i < limit && bytes[i] !== SPACE && bytes[i] !== CR && bytes[i] !== LF) i++
  return i
}

/** Reads a decimal from 0 to 65535 without leading zeros; PORT_EMPTY or PORT_WRONG if it is none. */
function readPort(bytes: Uint8Array, from: number, to: number): number {
  let port = PORT_EMPTY
  for (let i = from; i < to; i++) {
    const digit = bytes[i] - ZERO
    if (digit < 0 || digit > 9 || port === 0) return PORT_WRONG
    port = port === PORT_EMPTY ? digit : port * 10 + digit
    if (port > 0xffff) return PORT_WRONG
  }
  return port
}

/** Says whether bytes[from..limit) and `word` agree as far as both go. */
function isStartOf(word: readonly number[], bytes: Uint8Array, from: number, limit: number): boolean {
  const length = Math.min(limit - from, word.length)
  for (let i = 0; i < length; i++) if (bytes[from + i] !== word[i]) return false
  return true
}
