// UDP: ports that many peers send to, and batches of datagrams, each of which is one system call.

import { endianness } from 'node:os'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import { type IpAddress, ipv6Address, isWildcardAddress, mapAddress, unmapAddress } from '../address/ip-address.ts'
import {
  AF_INET,
  AF_INET6,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVPKTINFO,
  MSG_TRUNC,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_RXQ_OVFL,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from './constants.ts'
import { checked, errnoName, SystemCallError } from './errno.ts'
import { native } from './native.ts'
import { readSockaddr, SOCKADDR_BYTES_MAX } from './sockaddr.ts'
import { bindTo, type ListenerOptions, setFreebind, setPortSharing } from './socket.ts'

/** How many datagrams a {@link DatagramBatch} has room for. */
export const DATAGRAMS_PER_BATCH = 64
/** What may be written in front of a datagram where it is. */
export const HEADROOM_BYTES = 512
// As native/datagram.c has them.
const DATAGRAM_BYTES = 65_536
const SLOT_BYTES = HEADROOM_BYTES + DATAGRAM_BYTES
const INTS_PER_DATAGRAM = 20
const Field = { start: 0, length: 1, flags: 2, dropped: 3, peer: 4, local: 11, socket: 15, result: 16 } as const
/** A sockaddr as {@link DatagramBatch.copyPeer} copies it, and an address as {@link DatagramBatch.copyLocal} does. */
export const PEER_INTS = SOCKADDR_BYTES_MAX / Int32Array.BYTES_PER_ELEMENT
export const LOCAL_INTS = 4

/** No message is longer than a datagram can be, however it is cut. */
const JOINED_BYTES_MAX = 65_000

const IS_LITTLE_ENDIAN = endianness() === 'LE'
/** The address family in the first integer of a sockaddr; the port is the other half. */
const FAMILY_MASK = IS_LITTLE_ENDIAN ? 0xffff : -0x10000

/** What a port asks the kernel to hold until a worker comes round: bursts of some ten thousand small datagrams. */
const RECEIVE_QUEUE_BYTES = 8 * 1024 * 1024

const BIND_REMEDIES: Record<string, string> = {
  EADDRINUSE: 'another program receives there: "ss -lnup" names it',
  EACCES: 'a port below 1024 needs root or CAP_NET_BIND_SERVICE',
  EADDRNOTAVAIL: 'the address is not on this host: "ip address" lists those that are',
  EAFNOSUPPORT: 'this address family is disabled in the kernel; listen on the other one',
}

/**
 * Memory for {@link DATAGRAMS_PER_BATCH} datagrams of any size, received and sent with one system call each time.
 *
 * It is made once and used again: what a datagram is, and who its peer is, holds until the next {@link receive} into its
 * slot. Memory that no datagram has reached costs nothing.
 */
export class DatagramBatch {
  /** The bytes of all datagrams; see {@link start} and {@link end}. */
  readonly bytes = new Uint8Array(DATAGRAMS_PER_BATCH * SLOT_BYTES)
  readonly #fields = new Int32Array(DATAGRAMS_PER_BATCH * INTS_PER_DATAGRAM)
  readonly #view = new Uint8Array(this.#fields.buffer)
  /** Slots that are to be sent, those that are joined to the one before as their complements. */
  readonly #order = new Int32Array(DATAGRAMS_PER_BATCH)
  #queued = 0
  readonly #isJoined = new Uint8Array(DATAGRAMS_PER_BATCH)
  /** The first slot of the last message, and the length of all of it. */
  #head = 0
  #joinedBytes = 0

  /**
   * Receives into the slots from `from` to `to` (excluded), without waiting.
   *
   * @returns how many datagrams came (fewer than asked for: the queue is empty), or a negated errno
   */
  receive(fd: number, from: number, to: number): number {
    return native.recvmmsg(fd, this.bytes, this.#fields, from, to)
  }

  /**
   * Receives from one socket after the other, up to `each` datagrams of each, until all slots are used.
   *
   * @param sources two integers for each socket: the descriptor, and what is said of it as {@link receive} says it; the
   *   datagrams are in the slots in the order of the sockets
   * @returns of how many sockets something is said; for the others there was no slot left
   */
  receiveEach(sources: Int32Array, count: number, each: number): number {
    return native.recvEach(sources, count, this.bytes, this.#fields, each)
  }

  /**
   * Has {@link sendAll} send a datagram by this socket, behind those that were given before.
   *
   * @param mayJoin where it is like the one before (socket, receiver, length), the kernel gets both as one message and cuts
   *   it again as late as it can (udp(7) UDP_SEGMENT); not everything on the way of a datagram lets it do so
   */
  enqueue(slot: number, fd: number, mayJoin: boolean): void {
    const at = slot * INTS_PER_DATAGRAM
    this.#fields[at + Field.socket] = fd
    const length = this.#fields[at + Field.length]
    const isJoined =
      mayJoin && this.#queued > 0 && this.#joinedBytes + length <= JOINED_BYTES_MAX && this.#isLikeHead(at, length)
    if (isJoined) {
      this.#isJoined[this.#head] = 1
    } else {
      this.#head = slot
      this.#joinedBytes = 0
    }
    this.#joinedBytes += length
    this.#isJoined[slot] = isJoined ? 1 : 0
    this.#order[this.#queued++] = isJoined ? ~slot : slot
  }

  /** Sends a datagram once more, by itself. */
  sendAgain(slot: number): void {
    this.enqueue(slot, this.#fields[slot * INTS_PER_DATAGRAM + Field.socket], false)
    this.sendAll()
  }

  /** Reports whether it was sent as one message with others, whose {@link result} it has. */
  isJoined(slot: number): boolean {
    return this.#isJoined[slot] === 1
  }

  /** Sends all that was enqueued, without waiting; {@link result} says what has become of each. */
  sendAll(): void {
    const result = native.sendEach(this.bytes, this.#fields, this.#order, this.#queued)
    this.#queued = 0
    // A range is outside of the memory: none was sent, and that is our fault.
    if (result < 0) throw new SystemCallError('Sending a batch of datagrams', result)
  }

  #isLikeHead(at: number, length: number): boolean {
    const head = this.#head * INTS_PER_DATAGRAM
    if (length === 0 || this.#fields[head + Field.length] !== length) return false
    if (this.#fields[head + Field.socket] !== this.#fields[at + Field.socket]) return false
    for (let i = Field.peer; i < Field.socket; i++) if (this.#fields[head + i] !== this.#fields[at + i]) return false
    return true
  }

  /** What the kernel said when it was sent: 0 or a negated errno. */
  result(slot: number): number {
    return this.#fields[slot * INTS_PER_DATAGRAM + Field.result]
  }

  /** Where in {@link bytes} a datagram begins. Up to {@link HEADROOM_BYTES} in front of what was received are free. */
  start(slot: number): number {
    return this.#fields[slot * INTS_PER_DATAGRAM + Field.start]
  }

  /** Where in {@link bytes} it ends. */
  end(slot: number): number {
    const at = slot * INTS_PER_DATAGRAM
    return this.#fields[at + Field.start] + this.#fields[at + Field.length]
  }

  /** What is to be sent, in {@link bytes}. */
  setRange(slot: number, start: number, end: number): void {
    const at = slot * INTS_PER_DATAGRAM
    this.#fields[at + Field.start] = start
    this.#fields[at + Field.length] = end - start
  }

  /** Where a datagram of this slot may be written that does not come from the kernel. */
  room(slot: number): number {
    return slot * SLOT_BYTES + HEADROOM_BYTES
  }

  /** Reports whether there was more of it than there is room for: the rest is lost. */
  isTruncated(slot: number): boolean {
    return (this.#fields[slot * INTS_PER_DATAGRAM + Field.flags] & MSG_TRUNC) !== 0
  }

  /**
   * How many datagrams the socket's queue had no room for since it was opened, when this one was queued, modulo 2^32; 0:
   * none (socket(7) SO_RXQ_OVFL).
   */
  droppedBefore(slot: number): number {
    return this.#fields[slot * INTS_PER_DATAGRAM + Field.dropped]
  }

  /** Who sent it; IPv4-mapped addresses are IPv4. */
  peer(slot: number): Endpoint {
    const at = (slot * INTS_PER_DATAGRAM + Field.peer) * Int32Array.BYTES_PER_ELEMENT
    return readSockaddr(this.#view.subarray(at, at + SOCKADDR_BYTES_MAX))
  }

  /** The address of this host that it came to; undefined: that of the port, which is no wildcard. */
  local(slot: number): IpAddress | undefined {
    const at = slot * INTS_PER_DATAGRAM + Field.local
    return addressOfLocal(this.#fields.subarray(at, at + LOCAL_INTS))
  }

  /** Copies address and port of the peer, {@link PEER_INTS} integers that mean something only to the same port. */
  copyPeer(slot: number, into: Int32Array, at: number): void {
    const from = slot * INTS_PER_DATAGRAM + Field.peer
    for (let i = 0; i < PEER_INTS; i++) into[at + i] = this.#fields[from + i]
  }

  /** As {@link copyPeer}, without the port. */
  copyPeerAddress(slot: number, into: Int32Array, at: number): void {
    this.copyPeer(slot, into, at)
    into[at] &= FAMILY_MASK
  }

  /** Copies what {@link local} says, {@link LOCAL_INTS} integers; zeros for undefined. */
  copyLocal(slot: number, into: Int32Array, at: number): void {
    const from = slot * INTS_PER_DATAGRAM + Field.local
    for (let i = 0; i < LOCAL_INTS; i++) into[at + i] = this.#fields[from + i]
  }

  /** Sends it to whom a connected socket is connected. */
  addressToTarget(slot: number): void {
    const at = slot * INTS_PER_DATAGRAM
    this.#fields[at + Field.peer] = 0
    for (let i = 0; i < LOCAL_INTS; i++) this.#fields[at + Field.local + i] = 0
  }

  /** Sends it to a peer of the port, from the address that the peer sent to; both as they were copied. */
  addressToPeer(slot: number, peers: Int32Array, peerAt: number, locals: Int32Array, localAt: number): void {
    const at = slot * INTS_PER_DATAGRAM
    for (let i = 0; i < PEER_INTS; i++) this.#fields[at + Field.peer + i] = peers[peerAt + i]
    for (let i = 0; i < LOCAL_INTS; i++) this.#fields[at + Field.local + i] = locals[localAt + i]
  }
}

/** What {@link DatagramBatch.copyLocal} has copied, as {@link DatagramBatch.local} says it. */
export function addressOfLocal(local: Int32Array): IpAddress | undefined {
  const view = new DataView(local.buffer, local.byteOffset, local.byteLength)
  const address = ipv6Address(view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12))
  return isWildcardAddress(address) ? undefined : unmapAddress(address)
}

/** Opens a non-blocking UDP socket; returns the descriptor or a negated errno. */
export function openDatagrams(family: 4 | 6): number {
  return native.socket(family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
}

/** Has the kernel say how many datagrams it had no room for (socket(7) SO_RXQ_OVFL); returns 0 or a negated errno. */
export function setCountsDropped(fd: number): number {
  return native.setsockoptInt(fd, SOL_SOCKET, SO_RXQ_OVFL, 1)
}

/**
 * Opens a UDP port that several workers and processes may share (socket(7) SO_REUSEPORT). `[::]` also takes IPv4.
 *
 * @throws SystemCallError naming the endpoint, the errno and the remedy
 */
export function openPort(endpoint: Endpoint, options: ListenerOptions = {}): number {
  const { address, port } = endpoint
  const fd = openDatagrams(address.family)
  let result = fd < 0 ? fd : setPortOptions(fd, address.family)
  if (options.isFreebind === true) result ||= setFreebind(fd, address.family)
  if (isWildcardAddress(address)) result ||= setTellsLocal(fd, address.family)
  result ||= bindTo(fd, address, port)
  if (result >= 0) return fd
  if (fd >= 0) native.close(fd)
  throw new SystemCallError(
    `Receiving on "${formatEndpoint(endpoint)}" (UDP)`,
    result,
    BIND_REMEDIES[errnoName(result)] ?? '',
  )
}

/** What a port and the sockets that share it have in common. */
function setPortOptions(fd: number, family: 4 | 6): number {
  return setPortSharing(fd, family) || setQueue(fd)
}

/** How many datagrams may wait, and that the kernel says how many it had no room for. */
function setQueue(fd: number): number {
  // Beyond net.core.rmem_max only with CAP_NET_ADMIN; without it, as far as that goes.
  const forced = native.setsockoptInt(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_QUEUE_BYTES)
  // The kernel says twice what was asked for. Whoever has opened an inherited socket may have had the capability.
  const isLong = native.getsockoptInt(fd, SOL_SOCKET, SO_RCVBUF) >= 2 * RECEIVE_QUEUE_BYTES
  let result = forced < 0 && !isLong ? native.setsockoptInt(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_QUEUE_BYTES) : 0
  result ||= setCountsDropped(fd)
  return result
}

/** Has a port say to which address of this host each datagram came: answers have to come from there. */
function setTellsLocal(fd: number, family: 4 | 6): number {
  let result = native.setsockoptInt(fd, IPPROTO_IP, IP_PKTINFO, 1)
  // Of an IPv4 datagram an IPv6 socket says both, that of IPv4 last: it is what answers to a broadcast may leave from.
  if (family === 6) result ||= native.setsockoptInt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
  return result
}

/**
 * Opens a socket that shares a port of this address family and gets what one peer sends to it: the kernel prefers it to
 * the port itself. What others have sent before it was connected may come out of it, too.
 *
 * @param local where the peer sends to
 * @param peer as {@link DatagramBatch.copyPeer} has copied it
 * @param tellsLocal as a wildcard port does, it says of each datagram where it came to
 * @returns the descriptor or a negated errno
 */
export function openPeerSocket(family: 4 | 6, local: Endpoint, peer: Int32Array, tellsLocal: boolean): number {
  const fd = openDatagrams(family)
  if (fd < 0) return fd
  const { address, port } = local
  const shown = family === 6 ? mapAddress(address) : address
  const scope = family === 6 ? peer[PEER_INTS - 1] : 0
  const bytes = new Uint8Array(peer.buffer, peer.byteOffset, SOCKADDR_BYTES_MAX)
  let result = setPortOptions(fd, family)
  if (tellsLocal) result ||= setTellsLocal(fd, family)
  // The address may have left the host since.
  result ||= setFreebind(fd, family)
  result ||= bindTo(fd, shown, port, scope)
  result ||= native.connect(fd, bytes, 0, SOCKADDR_BYTES_MAX)
  if (result >= 0) return fd
  native.close(fd)
  return result
}

/**
 * Makes an inherited UDP socket (sd_listen_fds(3)) fit for a worker: a descriptor of its own, non-blocking. How much its
 * queue holds is for who has opened it to say.
 *
 * @throws SystemCallError
 */
export function adoptPort(inheritedFd: number, { address }: Endpoint): number {
  const fd = checked('Taking over a UDP socket', native.duplicate(inheritedFd))
  let result = native.setNonBlocking(fd)
  result ||= setCountsDropped(fd)
  if (isWildcardAddress(address)) result ||= setTellsLocal(fd, address.family)
  if (result >= 0) return fd
  native.close(fd)
  throw new SystemCallError(`Taking over descriptor ${inheritedFd} as a UDP socket`, result)
}
