import type { Endpoint, Protocol } from '../address/endpoint.ts'
import { type IpAddress, ipv4Address, ipv6Address, isSameAddress } from '../address/ip-address.ts'
import { AF_NETLINK, IPPROTO_TCP, IPPROTO_UDP, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW } from './constants.ts'
import { checked, SystemCallError } from './errno.ts'
import { native } from './native.ts'
import {
  HEADER_BYTES,
  IS_LITTLE_ENDIAN,
  messageType,
  NETLINK_SOCK_DIAG,
  NLM_F_REQUEST,
  NLMSG_ERROR,
  readAttributes,
} from './netlink.ts'
import {
  ALL_STATES,
  askForOne,
  diagRequest,
  ENTRY_BYTES,
  INET_DIAG_SKMEMINFO,
  SkMemInfo,
  SOCK_DIAG_BY_FAMILY,
  SOURCE_PORT_AT,
} from './sock-diag.ts'

// linux/netlink.h, linux/inet_diag.h
const NLMSG_DONE = 3
const NLM_F_DUMP = 0x300
const TCP_CLOSE = 7
const TCP_LISTEN = 10
const INET_DIAG_SKV6ONLY = 11

/** How sockets that take newcomers show in the table: a UDP socket that is connected hears one peer only. */
const LISTENING = {
  tcp: { protocol: IPPROTO_TCP, states: 1 << TCP_LISTEN },
  udp: { protocol: IPPROTO_UDP, states: 1 << TCP_CLOSE },
} as const

/** In struct inet_diag_msg. */
const UID_OFFSET = 64
const REPLY_BYTES = 32 * 1024

const ANY4 = ipv4Address(0)
const ANY6 = ipv6Address(0, 0, 0, 0)

/**
 * Reports whether a socket of this host listens where a connection, or a datagram, to `target` would arrive: on its
 * address or on a wildcard. Reads the kernel's socket table, so the app does not notice.
 *
 * @throws SystemCallError when the kernel cannot be asked
 */
export function isListening(target: Endpoint, protocol: Protocol = 'tcp'): boolean {
  return findListener(target, protocol) !== undefined
}

/** The socket that {@link isListening} finds; undefined: there is none. @throws SystemCallError */
export function findListener(target: Endpoint, protocol: Protocol): ListeningSocket | undefined {
  return withSocketTable((fd) => {
    const own = listeners(fd, target.address.family, target.port, protocol)
    const any = target.address.family === 4 ? ANY4 : ANY6
    const exact = own.find(({ address }) => isSameAddress(address, target.address))
    const found = exact ?? own.find(({ address }) => isSameAddress(address, any))
    // A listener on [::] takes IPv4 connections too, unless it is restricted to IPv6.
    if (found !== undefined || target.address.family === 6) return found
    return listeners(fd, 6, target.port, protocol).find((one) => isSameAddress(one.address, ANY6) && !one.isIpv6Only)
  })
}

/** All sockets that listen on exactly this address and port. @throws SystemCallError */
export function listenersAt({ address, port }: Endpoint, protocol: Protocol): readonly ListeningSocket[] {
  const found = withSocketTable((fd) => listeners(fd, address.family, port, protocol))
  return found.filter((one) => isSameAddress(one.address, address))
}

/**
 * The user on whose behalf a TCP connection of this host was opened, by its ends as its client names them; undefined:
 * there is none, such as one that has just been closed. Root of a user namespace sees users as that has them.
 *
 * @throws SystemCallError when the kernel cannot be asked
 */
export function connectionUid(client: Endpoint, server: Endpoint): number | undefined {
  const request = connectionRequest(client, server)
  const found: ListeningSocket[] = []
  try {
    withSocketTable((fd) => {
      checked('send(AF_NETLINK)', native.send(fd, request, 0, request.length, 0))
      receive(fd, client.address.family, found)
    })
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.code !== 'ENOENT') throw error
  }
  return found[0]?.uid
}

function withSocketTable<T>(use: (fd: number) => T): T {
  const fd = checked('socket(AF_NETLINK)', native.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG))
  try {
    return use(fd)
  } finally {
    native.close(fd)
  }
}

/** A socket of this host that takes newcomers. */
export type ListeningSocket = {
  /** A wildcard for all addresses; the one of IPv6 may be for those of IPv4, too. */
  readonly address: IpAddress
  readonly isIpv6Only: boolean
  readonly uid: number
  readonly inode: number
  /** What its queue takes, as the kernel counts (socket(7), SO_RCVBUF). */
  readonly receiveBufferBytes: number
  /** Datagrams that its queue had no room for. */
  readonly dropped: number
}

function listeners(fd: number, family: 4 | 6, port: number, protocol: Protocol): ListeningSocket[] {
  const request = listenersRequest(family, port, protocol)
  checked('send(AF_NETLINK)', native.send(fd, request, 0, request.length, 0))
  const found: ListeningSocket[] = []
  while (!receive(fd, family, found)) {}
  return found
}

/** Takes the next datagram of an answer; reports whether it is the last one of a dump. */
function receive(fd: number, family: 4 | 6, found: ListeningSocket[]): boolean {
  const reply = new Uint8Array(REPLY_BYTES)
  const received = checked('recv(AF_NETLINK)', native.recv(fd, reply, 0, reply.length, MSG_DONTWAIT))
  return received === 0 || readReply(new DataView(reply.buffer, 0, received), family, found)
}

function listenersRequest(family: 4 | 6, port: number, protocol: Protocol): Uint8Array {
  const { protocol: number, states } = LISTENING[protocol]
  const view = diagRequest(family, number, NLM_F_REQUEST | NLM_F_DUMP, states)
  // In network order: the kernel passes over listeners on other ports.
  view.setUint16(SOURCE_PORT_AT, port)
  return new Uint8Array(view.buffer)
}

/** For the one socket with this local and this remote end. */
function connectionRequest(local: Endpoint, remote: Endpoint): Uint8Array {
  const view = diagRequest(local.address.family, IPPROTO_TCP, NLM_F_REQUEST, ALL_STATES)
  askForOne(view, local, remote)
  return new Uint8Array(view.buffer)
}

/** Reads the messages of one datagram; reports whether the dump is over. */
function readReply(view: DataView, family: 4 | 6, found: ListeningSocket[]): boolean {
  for (let at = 0; at + HEADER_BYTES <= view.byteLength; ) {
    const length = view.getUint32(at, IS_LITTLE_ENDIAN)
    const type = messageType(view, at)
    if (type === NLMSG_DONE) return true
    if (type === NLMSG_ERROR) checked('sock_diag', view.getInt32(at + HEADER_BYTES, IS_LITTLE_ENDIAN) || -1)
    if (length < HEADER_BYTES) return true
    if (type === SOCK_DIAG_BY_FAMILY) found.push(readEntry(view, at + HEADER_BYTES, at + length, family))
    at += (length + 3) & ~3
  }
  return false
}

function readEntry(view: DataView, start: number, end: number, family: 4 | 6): ListeningSocket {
  // struct inet_diag_sockid begins at 4: two ports, then the source address.
  const word = (index: number): number => view.getInt32(start + 8 + index * 4)
  const address = family === 4 ? ipv4Address(word(0)) : ipv6Address(word(0), word(1), word(2), word(3))
  const uid = view.getUint32(start + UID_OFFSET, IS_LITTLE_ENDIAN)
  const attributes = readAttributes(view, start + ENTRY_BYTES, end)
  const memory = attributes.get(INET_DIAG_SKMEMINFO)
  return {
    address,
    isIpv6Only: attributes.get(INET_DIAG_SKV6ONLY)?.getUint8(0) === 1,
    uid,
    inode: view.getUint32(start + UID_OFFSET + 4, IS_LITTLE_ENDIAN),
    receiveBufferBytes: memory?.getUint32(SkMemInfo.receiveBuffer * 4, IS_LITTLE_ENDIAN) ?? 0,
    dropped: memory?.getUint32(SkMemInfo.drops * 4, IS_LITTLE_ENDIAN) ?? 0,
  }
}
