import type { Endpoint } from '../address/endpoint.ts'
import { ipv4Address } from '../address/ip-address.ts'
import { IPPROTO_UDP, SO_SNDBUF, SOL_SOCKET } from './constants.ts'
import { openDatagrams } from './datagram.ts'
import { native } from './native.ts'
import {
  HEADER_BYTES,
  IS_LITTLE_ENDIAN,
  messageType,
  NETLINK_SOCK_DIAG,
  NetlinkQuestion,
  NLM_F_REQUEST,
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
} from './sock-diag.ts'
import { bindTo, close, connectTo, localEndpoint } from './socket.ts'

/** `id.idiag_dport` of struct inet_diag_msg: the port that a socket is connected to. */
const CONNECTED_PORT_AT = HEADER_BYTES + 6

const question = new NetlinkQuestion(NETLINK_SOCK_DIAG, diagRequest(4, IPPROTO_UDP, NLM_F_REQUEST, ALL_STATES))
const { request, reply } = question
let canAsk: boolean | undefined

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
  // For UDP, what is called the source is the remote end (udp_dump_one in net/ipv4/udp_diag.c).
  askForOne(request, remote, local)
  const received = question.ask()
  if (received < 0) return UNKNOWN_FLOW
  // Whoever would get a datagram from there: it may be a socket that hears everybody.
  const isFound = messageType(reply) === SOCK_DIAG_BY_FAMILY
  return isFound && reply.getUint16(CONNECTED_PORT_AT) === remote.port ? flowIn(received) : NO_FLOW
}

function flowIn(end: number): number {
  const memory = readAttributes(reply, HEADER_BYTES + ENTRY_BYTES, end).get(INET_DIAG_SKMEMINFO)
  if (memory === undefined) return UNKNOWN_FLOW
  // The kernel has doubled what was asked for (socket(7) SO_SNDBUF).
  const flow = memory.getUint32(4 * SkMemInfo.sendBuffer, IS_LITTLE_ENDIAN) / 2 - SEND_BUFFER_BYTES
  return flow >= 0 && flow < FLOW_NAMES ? flow : UNKNOWN_FLOW
}
