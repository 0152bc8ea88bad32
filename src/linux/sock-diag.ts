// What the kernel is asked about sockets (sock_diag(7)).

import type { Endpoint } from '../address/endpoint.ts'
import { wordAt } from '../address/ip-address.ts'
import { AF_INET, AF_INET6 } from './constants.ts'
import { HEADER_BYTES, IS_LITTLE_ENDIAN, netlinkMessage } from './netlink.ts'

// linux/sock_diag.h, linux/inet_diag.h
export const SOCK_DIAG_BY_FAMILY = 20
export const INET_DIAG_SKMEMINFO = 7
/** Which of the numbers of that attribute is what. */
export const SkMemInfo = { receiveBuffer: 1, sendBuffer: 3, drops: 8 } as const
/** struct inet_diag_msg, which attributes follow. */
export const ENTRY_BYTES = 72
export const ALL_STATES = 0xfff

/** struct inet_diag_req_v2 */
const REQUEST_BYTES = 56
/** `id.idiag_sport`; the other port, the addresses, the interface and a cookie follow it. */
export const SOURCE_PORT_AT = HEADER_BYTES + 8
const COOKIE_AT = HEADER_BYTES + REQUEST_BYTES - 8

/** Asks for sockets of this address family and protocol that are in one of these states. */
export function diagRequest(family: 4 | 6, protocol: number, flags: number, states: number): DataView {
  const view = netlinkMessage(SOCK_DIAG_BY_FAMILY, flags, REQUEST_BYTES)
  setFamily(view, family)
  view.setUint8(HEADER_BYTES + 1, protocol)
  // `idiag_ext`
  view.setUint8(HEADER_BYTES + 2, 1 << (INET_DIAG_SKMEMINFO - 1))
  view.setUint32(HEADER_BYTES + 4, states, IS_LITTLE_ENDIAN)
  return view
}

/** Makes it the question for the one socket with these two ends. */
export function askForOne(view: DataView, source: Endpoint, destination: Endpoint): void {
  setFamily(view, source.address.family)
  writeEnd(view, 0, source)
  writeEnd(view, 1, destination)
  // INET_DIAG_NOCOOKIE
  view.setBigInt64(COOKIE_AT, -1n)
}

function setFamily(view: DataView, family: 4 | 6): void {
  view.setUint8(HEADER_BYTES, family === 4 ? AF_INET : AF_INET6)
}

function writeEnd(view: DataView, which: 0 | 1, { address, port }: Endpoint): void {
  view.setUint16(SOURCE_PORT_AT + 2 * which, port)
  const at = SOURCE_PORT_AT + 4 + 16 * which
  for (let index = 0; index < 4; index++) {
    view.setInt32(at + 4 * index, address.family === 6 ? wordAt(address, index) : index === 0 ? address.w3 : 0)
  }
}
