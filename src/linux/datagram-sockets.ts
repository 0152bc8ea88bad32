import { endianness } from 'node:os'
import type { Endpoint } from '../address/endpoint.ts'
import { type IpAddress, ipv4Address, wordAt } from '../address/ip-address.ts'
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  IPPROTO_UDP,
  MSG_DONTWAIT,
  SO_SNDBUF,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_SOCKET,
} from './constants.ts'
import { openDatagrams } from './datagram.ts'
import { native } from './native.ts'
import { bindTo, close, connectTo, localEndpoint } from './socket.ts'

// sock_diag(7), linux/sock_diag.h, linux/inet_diag.h
const NETLINK_SOCK_DIAG = 4
const SOCK_DIAG_BY_FAMILY = 20
const NLM_F_REQUEST = 1

const HEADER_BYTES = 16
const SEQUENCE_AT = 8
/** struct inet_diag_req_v2 */
const REQUEST_BYTES = HEADER_BYTES + 56
/** `id` of the request: the ports, then both addresses. */
const ID_AT = HEADER_BYTES + 8
const COOKIE_AT = REQUEST_BYTES - 8
/** struct inet_diag_msg, which attributes follow: each a length, a type and a value. */
const ENTRY_BYTES = 72
const INET_DIAG_SKMEMINFO = 7
/** Index in that attribute (linux/sock_diag.h). */
const SK_MEMINFO_SNDBUF = 3
/** `id.idiag_dport` of struct inet_diag_msg: the port that a socket is connected to. */
const CONNECTED_PORT_AT = HEADER_BYTES + 6
const ALL_STATES = 0xfff
const REPLY_BYTES = 4 * 1024

const IS_LITTLE_ENDIAN = endianness() === 'LE'

// One socket and one pair of buffers for each thread, made with its first question.
let fd = -1
let canAsk: boolean | undefined
let sequence = 0
const request = new DataView(new ArrayBuffer(REQUEST_BYTES))
const requestBytes = new Uint8Array(request.buffer)
const reply = new DataView(new ArrayBuffer(REPLY_BYTES))
const replyBytes = new Uint8Array(reply.buffer)

request.setUint32(0, REQUEST_BYTES, IS_LITTLE_ENDIAN)
request.setUint16(4, SOCK_DIAG_BY_FAMILY, IS_LITTLE_ENDIAN)
request.setUint16(6, NLM_F_REQUEST, IS_LITTLE_ENDIAN)
request.setUint8(HEADER_BYTES + 1, IPPROTO_UDP)
// `idiag_ext`
request.setUint8(HEADER_BYTES + 2, 1 << (INET_DIAG_SKMEMINFO - 1))
request.setUint32(HEADER_BYTES + 4, ALL_STATES, IS_LITTLE_ENDIAN)
// INET_DIAG_NOCOOKIE
request.setBigInt64(COOKIE_AT, -1n)

// The number of a flow is in the size of its send buffer, which every process may ask of every socket. As sizes go they
// are all alike: a little more than what a socket has without it.
const SEND_BUFFER_BYTES = 128 * 1024
/** How many flows have a number of their own. */
export const FLOW_NAMES = 0x10000
/** What {@link findFlow} says of ends that no socket has, and of sockets of which nobody knows whose they are. */
export const NO_FLOW = -1
const UNKNOWN_FLOW = -2

/** Marks a UDP socket as one of this flow; returns 0 or a negated errno. */
export function setFlowName(socket: number, flow: number): number {
  return native.setsockoptInt(socket, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES + flow)
}

/**
 * The flow of the UDP socket of this host that has this local end and is connected to this remote one, as
 * {@link setFlowName} has marked it. Where the kernel cannot say (it was built without udp_diag), there may be one, and it
 * is none that is known.
 */
export function findFlow(local: Endpoint, remote: Endpoint): number {
  canAsk ??= knowsItsOwn()
  return canAsk ? ask(local, remote) : UNKNOWN_FLOW
}

/** A socket of ours that is there for certain: who does not find it finds none. */
function knowsItsOwn(): boolean {
  const loopback = ipv4Address(0x7f00_0001)
  const known = openDatagrams(4)
  if (known < 0) return false
  try {
    const remote = { address: loopback, port: 9 }
    if (bindTo(known, loopback, 0) < 0 || connectTo(known, remote) < 0) return false
    const local = localEndpoint(known)
    return local !== undefined && ask(local, remote) !== NO_FLOW
  } finally {
    close(known)
  }
}

function ask(local: Endpoint, remote: Endpoint): number {
  if (fd < 0) fd = native.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)
  if (fd < 0) return UNKNOWN_FLOW
  sequence = (sequence + 1) >>> 0
  request.setUint32(SEQUENCE_AT, sequence, IS_LITTLE_ENDIAN)
  request.setUint8(HEADER_BYTES, local.address.family === 4 ? AF_INET : AF_INET6)
  // For UDP, what is called the source is the remote end (udp_dump_one in net/ipv4/udp_diag.c).
  request.setUint16(ID_AT, remote.port)
  request.setUint16(ID_AT + 2, local.port)
  writeAddress(ID_AT + 4, remote.address)
  writeAddress(ID_AT + 20, local.address)
  if (native.send(fd, requestBytes, 0, REQUEST_BYTES, 0) < 0) return UNKNOWN_FLOW
  for (;;) {
    // The kernel has answered before send(2) returns.
    const received = native.recv(fd, replyBytes, 0, REPLY_BYTES, MSG_DONTWAIT)
    if (received < 0) return UNKNOWN_FLOW
    if (reply.getUint32(SEQUENCE_AT, IS_LITTLE_ENDIAN) !== sequence) continue
    // Whoever would get a datagram from there: it may be a socket that hears everybody.
    const isFound = reply.getUint16(4, IS_LITTLE_ENDIAN) === SOCK_DIAG_BY_FAMILY
    return isFound && reply.getUint16(CONNECTED_PORT_AT) === remote.port ? flowIn(received) : NO_FLOW
  }
}

function flowIn(end: number): number {
  for (let at = HEADER_BYTES + ENTRY_BYTES; at + 4 < end; ) {
    const length = reply.getUint16(at, IS_LITTLE_ENDIAN)
    if (length < 4) break
    if (reply.getUint16(at + 2, IS_LITTLE_ENDIAN) === INET_DIAG_SKMEMINFO) {
      // The kernel has doubled what was asked for (socket(7) SO_SNDBUF).
      const flow = reply.getUint32(at + 4 + 4 * SK_MEMINFO_SNDBUF, IS_LITTLE_ENDIAN) / 2 - SEND_BUFFER_BYTES
      return flow >= 0 && flow < FLOW_NAMES ? flow : UNKNOWN_FLOW
    }
    at += (length + 3) & ~3
  }
  return UNKNOWN_FLOW
}

function writeAddress(at: number, address: IpAddress): void {
  for (let index = 0; index < 4; index++) {
    request.setInt32(at + 4 * index, address.family === 6 ? wordAt(address, index) : index === 0 ? address.w3 : 0)
  }
}
