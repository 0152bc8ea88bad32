import { type IpAddress, wordAt } from '../address/ip-address.ts'
import { AF_INET6 } from './constants.ts'
import { EADDRNOTAVAIL } from './errno.ts'
import {
  HEADER_BYTES,
  IS_LITTLE_ENDIAN,
  messageType,
  NETLINK_ROUTE,
  NetlinkQuestion,
  NLM_F_REQUEST,
  NLMSG_ERROR,
  netlinkMessage,
} from './netlink.ts'

// rtnetlink(7), linux/if_addr.h
const RTM_NEWADDR = 20
const RTM_GETADDR = 22
const IFA_ADDRESS = 1

/** struct ifaddrmsg */
const BODY_BYTES = 8
const ADDRESS_BYTES = 16
const ADDRESS_AT = HEADER_BYTES + BODY_BYTES + 4

const question = new NetlinkQuestion(
  NETLINK_ROUTE,
  netlinkMessage(RTM_GETADDR, NLM_F_REQUEST, BODY_BYTES + 4 + ADDRESS_BYTES),
)
const { request, reply } = question

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
  for (let index = 0; index < 4; index += 1) request.setInt32(ADDRESS_AT + index * 4, wordAt(address, index))
  const received = question.ask()
  if (received < 0) return received
  const type = messageType(reply)
  if (type === RTM_NEWADDR) return 0
  return type === NLMSG_ERROR ? reply.getInt32(HEADER_BYTES, IS_LITTLE_ENDIAN) || EADDRNOTAVAIL : EADDRNOTAVAIL
}
