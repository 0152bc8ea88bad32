// Questions that only the kernel can answer, and their answers (netlink(7)).

import { endianness } from 'node:os'
import { AF_NETLINK, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW } from './constants.ts'
import { native } from './native.ts'

export const NETLINK_ROUTE = 0
export const NETLINK_SOCK_DIAG = 4
export const NLMSG_ERROR = 2
export const NLM_F_REQUEST = 1

/** struct nlmsghdr; the body is behind it. */
export const HEADER_BYTES = 16
const TYPE_AT = 4
const FLAGS_AT = 6
const SEQUENCE_AT = 8
const ATTRIBUTE_HEADER_BYTES = 4
const REPLY_BYTES = 4 * 1024

/** Numbers are in the order of the host, but for addresses and ports. */
export const IS_LITTLE_ENDIAN = endianness() === 'LE'

/** A message of this type, with an empty body of so many bytes. */
export function netlinkMessage(type: number, flags: number, bodyBytes: number): DataView {
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + bodyBytes))
  view.setUint32(0, view.byteLength, IS_LITTLE_ENDIAN)
  view.setUint16(TYPE_AT, type, IS_LITTLE_ENDIAN)
  view.setUint16(FLAGS_AT, flags, IS_LITTLE_ENDIAN)
  return view
}

/** The type of the message at `start`. */
export function messageType(view: DataView, start = 0): number {
  return view.getUint16(start + TYPE_AT, IS_LITTLE_ENDIAN)
}

/** The values of the attributes behind a body (netlink(7), struct nlattr), by their types. */
export function readAttributes(view: DataView, start: number, end: number): ReadonlyMap<number, DataView> {
  const values = new Map<number, DataView>()
  for (let at = start; at + ATTRIBUTE_HEADER_BYTES < end; ) {
    const length = view.getUint16(at, IS_LITTLE_ENDIAN)
    if (length <= ATTRIBUTE_HEADER_BYTES || at + length > end) return values
    const value = new DataView(
      view.buffer,
      view.byteOffset + at + ATTRIBUTE_HEADER_BYTES,
      length - ATTRIBUTE_HEADER_BYTES,
    )
    values.set(view.getUint16(at + 2, IS_LITTLE_ENDIAN), value)
    at += (length + 3) & ~3
  }
  return values
}

/**
 * A question that a thread asks again and again, and that one message answers. Its buffers are made once, its socket with
 * the first question.
 */
export class NetlinkQuestion {
  /** What is asked: {@link netlinkMessage} with its body filled in. */
  readonly request: DataView
  /** What was answered last. */
  readonly reply = new DataView(new ArrayBuffer(REPLY_BYTES))
  readonly #protocol: number
  readonly #requestBytes: Uint8Array
  readonly #replyBytes = new Uint8Array(this.reply.buffer)
  #fd = -1
  #sequence = 0

  constructor(protocol: number, request: DataView) {
    this.#protocol = protocol
    this.request = request
    this.#requestBytes = new Uint8Array(request.buffer)
  }

  /** Asks; returns the length of the answer, or a negated errno. */
  ask(): number {
    if (this.#fd < 0) this.#fd = native.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, this.#protocol)
    if (this.#fd < 0) return this.#fd
    this.#sequence = (this.#sequence + 1) >>> 0
    this.request.setUint32(SEQUENCE_AT, this.#sequence, IS_LITTLE_ENDIAN)
    const sent = native.send(this.#fd, this.#requestBytes, 0, this.#requestBytes.length, 0)
    if (sent < 0) return sent
    for (;;) {
      // The kernel has answered before send(2) returns.
      const received = native.recv(this.#fd, this.#replyBytes, 0, REPLY_BYTES, MSG_DONTWAIT)
      // What is left of an earlier question was answered too late.
      if (received < 0 || this.reply.getUint32(SEQUENCE_AT, IS_LITTLE_ENDIAN) === this.#sequence) return received
    }
  }
}
