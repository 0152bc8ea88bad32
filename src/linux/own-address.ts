import { endianness } from 'node:os'
import { type IpAddress, wordAt } from '../address/ip-address.ts'
import { AF_INET6, AF_NETLINK, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW } from './constants.ts'
import { EADDRNOTAVAIL } from './errno.ts'
import { native } from './native.ts'

// rtnetlink(7), linux/if_addr.h
const NETLINK_ROUTE = 0
const RTM_NEWADDR = 20
const RTM_GETADDR = 22
const NLMSG_ERROR = 2
const NLM_F_REQUEST = 1
const IFA_ADDRESS = 1

const HEADER_BYTES = 16
/** struct ifaddrmsg */
const BODY_BYTES = 8
const ADDRESS_BYTES = 16
const REQUEST_BYTES = HEADER_BYTES + BODY_BYTES + 4 + ADDRESS_BYTES
const ADDRESS_AT = REQUEST_BYTES - ADDRESS_BYTES
const SEQUENCE_AT = 8
const REPLY_BYTES = 4 * 1024

const IS_LITTLE_ENDIAN = endianness() === 'LE'

// One socket and one pair of buffers for each thread, made with its first question.
let fd = -1
let sequence = 0
const request = new DataView(new ArrayBuffer(REQUEST_BYTES))
const requestBytes = new Uint8Array(request.buffer)
const reply = new DataView(new ArrayBuffer(REPLY_BYTES))
const replyBytes = new Uint8Array(reply.buffer)

request.setUint32(0, REQUEST_BYTES, IS_LITTLE_ENDIAN)
request.setUint16(4, RTM_GETADDR, IS_LITTLE_ENDIAN)
request.setUint16(6, NLM_F_REQUEST, IS_LITTLE_ENDIAN)
request.setUint8(HEADER_BYTES, AF_INET6)
request.setUint16(ADDRESS_AT - 4, 4 + ADDRESS_BYTES, IS_LITTLE_ENDIAN)
request.setUint16(ADDRESS_AT - 2, IFA_ADDRESS, IS_LITTLE_ENDIAN)

/**
 * Asks the kernel for an IPv6 address among those of this host, whatever state it is in. bind(2) does not take one that
 * is tentative (RFC 4862 §5.4): while it is new, when another host has it too, or while its interface is down.
 *
 * @returns 0 when this host has it, EADDRNOTAVAIL when it does not, another negated errno when the kernel does not say
 */
export function findOwnIpv6(address: IpAddress): number {
  if (fd < 0) fd = native.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)
  if (fd < 0) return fd
  sequence = (sequence + 1) >>> 0
  request.setUint32(SEQUENCE_AT, sequence, IS_LITTLE_ENDIAN)
  for (let index = 0; index < 4; index += 1) request.setInt32(ADDRESS_AT + index * 4, wordAt(address, index))
  const sent = native.send(fd, requestBytes, 0, REQUEST_BYTES, 0)
  if (sent < 0) return sent
  for (;;) {
    // The kernel has answered before send(2) returns.
    const received = native.recv(fd, replyBytes, 0, REPLY_BYTES, MSG_DONTWAIT)
    if (received < 0) return received
    // What is left of an earlier question that was answered too late.
    if (reply.getUint32(SEQUENCE_AT, IS_LITTLE_ENDIAN) !== sequence) continue
    const type = reply.getUint16(4, IS_LITTLE_ENDIAN)
    if (type === RTM_NEWADDR) return 0
    return type === NLMSG_ERROR ? reply.getInt32(HEADER_BYTES, IS_LITTLE_ENDIAN) || EADDRNOTAVAIL : EADDRNOTAVAIL
  }
}
