// What `truepeer whoami` and `truepeer verify` say to each other: lines that end with LF, in ASCII.
//
//   whoami: truepeer whoami 1 peer 209.52.88.4:51234     at once, unasked
//   verify: ping TEXT         whoami: pong TEXT
//   verify: send COUNT        whoami: COUNT bytes
//   verify: take COUNT, and as many bytes                whoami: taken COUNT
//   PROXY …                   whoami: header PROXY …     nobody in front of the app has taken the header
//   anything else             whoami: the first line again

/** The longest line either side takes, as long as the longest version 1 header and more. */
export const LINE_BYTES_MAX = 512
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
