// What `truepeer whoami` and `truepeer verify` say to each other, over TCP in lines that end with LF, in ASCII:
//
//   whoami: truepeer whoami 1 peer 209.52.88.4:51234     at once, unasked
//   verify: ping TEXT         whoami: pong TEXT
//   verify: send COUNT        whoami: COUNT bytes
//   verify: take COUNT, and as many bytes                whoami: taken COUNT
//   PROXY …                   whoami: header PROXY …     nobody in front of the app has taken the header
//   anything else             whoami: the first line again
//
// Over UDP a datagram has one line, without its end, and is answered by one datagram, of two lines where a header came
// first:
//
//   verify: ping TEXT         whoami: pong TEXT
//   HEADER and a line         whoami: header NAME, and the answer to the line
//   what whoami says itself   nothing: two of them would never stop
//   anything else             whoami: truepeer whoami 1 peer 209.52.88.4:51234

import { PROXY_V2_START_LENGTH } from '../proxy-protocol/proxy-header.ts'
import { proxyV2Length } from '../proxy-protocol/read-v2.ts'
import { PROXY_V2_SIGNATURE } from '../proxy-protocol/v2-format.ts'

/** The longest line either side takes, as long as the longest version 1 header and more. */
export const LINE_BYTES_MAX = 512
/** How many times verify asks. */
export const PINGS = 20
/** The most that is asked for by `send` and `take`. */
export const TRANSFER_BYTES_MAX = 64 * 1024 * 1024

const GREETING = 'truepeer whoami 1 peer '

/** The first line of whoami, without its end. @param peer as "209.52.88.4:51234" */
export function greetingFor(peer: string): string {
  return GREETING + peer
}

/** The address that a greeting names; undefined: it is none. */
export function peerIn(line: string): string | undefined {
  return line.startsWith(GREETING) ? line.slice(GREETING.length) : undefined
}

/** A line that whoami was sent. */
export type WhoamiRequest =
  | { readonly kind: 'ping'; readonly text: string }
  | { readonly kind: 'send' | 'take'; readonly count: number }
  | { readonly kind: 'header'; readonly line: string }
  | { readonly kind: 'other' }

/** Reads a line without its end. Pure. */
export function readRequest(line: string): WhoamiRequest {
  const text = line.replace(/\r$/, '')
  if (text.startsWith('PROXY ')) return { kind: 'header', line: text }
  if (text.startsWith('ping ')) return { kind: 'ping', text: text.slice('ping '.length) }
  const [, kind, digits] = /^(send|take) (\d{1,9})$/.exec(text) ?? []
  const count = Number(digits)
  if ((kind === 'send' || kind === 'take') && count <= TRANSFER_BYTES_MAX) return { kind, count }
  return { kind: 'other' }
}

/** How long a header of the simple proxy protocol is, and how it begins. */
const SIMPLE_HEADER_LENGTH = 38
const SIMPLE_HEADER_MAGIC = 0x56ec

/** What whoami answers to a datagram; undefined: nothing. `header` names the kind of header that has reached it. Pure. */
export function answerToDatagram(
  datagram: Buffer,
  peer: string,
): { readonly answer: string | undefined; readonly header: string | undefined } {
  const header = headerOf(datagram)
  const text = datagram.subarray(header?.length ?? 0).toString('latin1')
  if ([GREETING, 'pong ', 'header '].some((start) => text.startsWith(start)))
    return { answer: undefined, header: undefined }
  const answer = text.startsWith('ping ') ? `pong ${text.slice('ping '.length)}` : greetingFor(peer)
  if (header === undefined) return { answer, header: undefined }
  return { answer: `header ${header.name}\n${answer}`, header: header.name }
}

/** The header at the front of a datagram, as far as it takes to leave it out. */
function headerOf(datagram: Buffer): { readonly name: string; readonly length: number } | undefined {
  if (datagram.length >= PROXY_V2_START_LENGTH && PROXY_V2_SIGNATURE.every((byte, at) => datagram[at] === byte)) {
    return { name: 'PROXY 2', length: proxyV2Length(datagram, 0) }
  }
  if (datagram.length >= SIMPLE_HEADER_LENGTH && datagram.readUInt16BE() === SIMPLE_HEADER_MAGIC) {
    return { name: 'simple proxy protocol', length: SIMPLE_HEADER_LENGTH }
  }
  const end = datagram.toString('latin1').startsWith('PROXY ') ? datagram.indexOf('\r\n') : -1
  return end < 0 ? undefined : { name: 'PROXY 1', length: end + 2 }
}
