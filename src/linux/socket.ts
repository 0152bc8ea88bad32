import { endianness } from 'node:os'
import { type Endpoint, formatEndpoint, type Protocol } from '../address/endpoint.ts'
import type { IpAddress } from '../address/ip-address.ts'
import {
  AF_INET,
  AF_INET6,
  IP_BIND_ADDRESS_NO_PORT,
  IP_FREEBIND,
  IP_TRANSPARENT,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV6_FREEBIND,
  IPV6_TRANSPARENT,
  IPV6_V6ONLY,
  MSG_DONTWAIT,
  MSG_MORE,
  MSG_NOSIGNAL,
  MSG_PEEK,
  SHUT_WR,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_MARK,
  SO_OOBINLINE,
  SO_PROTOCOL,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
  TCP_USER_TIMEOUT,
} from './constants.ts'
import { checked, errnoName, SystemCallError } from './errno.ts'
import type { Liveness } from './liveness.ts'
import { native } from './native.ts'
import { readSockaddr, readSockaddrAddress, readSockaddrPort, SOCKADDR_BYTES_MAX, writeSockaddr } from './sockaddr.ts'

const LISTEN_REMEDIES: Record<string, string> = {
  EADDRINUSE: 'another program listens there: "ss -ltnp" names it',
  EACCES: 'a port below 1024 needs root or CAP_NET_BIND_SERVICE',
  EADDRNOTAVAIL: 'the address is not on this host: "ip address" lists those that are',
  EAFNOSUPPORT: 'this address family is disabled in the kernel; listen on the other one',
}

/** listen(2) cuts this to net.core.somaxconn. */
const BACKLOG = 65_535
/** Unanswered keepalive probes before the kernel gives a connection up, tcp(7). */
const KEEPALIVE_PROBES = 4

// One structure per thread: every call copies what it needs out before the next one.
const sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX)

const LINGER_RESET = new Uint8Array(8)
LINGER_RESET[endianness() === 'LE' ? 0 : 3] = 1
const ONE = new Uint8Array(new BigUint64Array([1n]).buffer)
const drained = new Uint8Array(8)

/** Opens a non-blocking TCP socket; returns the descriptor or a negated errno. */
export function openStream(family: 4 | 6): number {
  return native.socket(family === 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
}

/** bind(2), to a link-local IPv6 address of the interface `scope`; returns 0 or a negated errno. */
export function bindTo(fd: number, address: IpAddress, port: number, scope = 0): number {
  return native.bind(fd, sockaddr, 0, writeSockaddr(sockaddr, address, port, scope))
}

/** connect(2); returns 0 or a negated errno, EINPROGRESS among them. */
export function connectTo(fd: number, endpoint: Endpoint): number {
  return native.connect(fd, sockaddr, 0, writeSockaddr(sockaddr, endpoint.address, endpoint.port))
}

/** A connection taken from a listener. The values are overwritten by the next {@link acceptFrom}. */
export const accepted: { address: IpAddress | undefined; port: number } = { address: undefined, port: 0 }

/** accept4(2), non-blocking: returns the descriptor or a negated errno, and the peer in {@link accepted}. */
export function acceptFrom(listener: number): number {
  const fd = native.accept(listener, sockaddr, SOCK_NONBLOCK | SOCK_CLOEXEC)
  if (fd >= 0) {
    accepted.address = readSockaddrAddress(sockaddr)
    accepted.port = readSockaddrPort(sockaddr)
  }
  return fd
}

/** getsockname(2): the local end of a socket; undefined when the kernel will not say. */
export function localEndpoint(fd: number): Endpoint | undefined {
  return native.getsockname(fd, sockaddr) < 0 ? undefined : readSockaddr(sockaddr)
}

/** What a socket of either address family is of (socket(7) SO_PROTOCOL); undefined: neither, or no socket. */
export function socketProtocol(fd: number): Protocol | undefined {
  const protocol = native.getsockoptInt(fd, SOL_SOCKET, SO_PROTOCOL)
  if (protocol === IPPROTO_TCP) return 'tcp'
  return protocol === IPPROTO_UDP ? 'udp' : undefined
}

/** Lets the socket use an address that this host does not own (ip(7) IP_TRANSPARENT). Needs CAP_NET_RAW or CAP_NET_ADMIN. */
export function setTransparent(fd: number, family: 4 | 6): number {
  return family === 4
    ? native.setsockoptInt(fd, IPPROTO_IP, IP_TRANSPARENT, 1)
    : native.setsockoptInt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
}

/** Lets bind(2) share a port with other sockets as long as whole connections differ (socket(7) SO_REUSEADDR). */
export function setReuseAddress(fd: number): number {
  return native.setsockoptInt(fd, SOL_SOCKET, SO_REUSEADDR, 1)
}

/** Lets bind(2) share an address and a port with other sockets of the same user that let it, too (socket(7) SO_REUSEPORT). */
export function setReusePort(fd: number): number {
  return native.setsockoptInt(fd, SOL_SOCKET, SO_REUSEPORT, 1)
}

/** What sockets of one port have in common: several may share it, and those of `[::]` also take IPv4. */
export function setPortSharing(fd: number, family: 4 | 6): number {
  const result = setReusePort(fd)
  return family === 6 ? result || native.setsockoptInt(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) : result
}

/** Lets bind(2) take an address that this host does not have yet (ip(7) IP_FREEBIND). */
export function setFreebind(fd: number, family: 4 | 6): number {
  return family === 4
    ? native.setsockoptInt(fd, IPPROTO_IP, IP_FREEBIND, 1)
    : native.setsockoptInt(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1)
}

/** Leaves the choice of the port to connect(2), which knows the whole connection (ip(7) IP_BIND_ADDRESS_NO_PORT). */
export function setBindWithoutPort(fd: number): number {
  return native.setsockoptInt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
}

/** Sets the firewall mark of a socket's packets (socket(7) SO_MARK). */
export function setMark(fd: number, mark: number): number {
  return native.setsockoptInt(fd, SOL_SOCKET, SO_MARK, mark)
}

/** Sends small segments at once (tcp(7) TCP_NODELAY): a proxy must not add Nagle's delay to its peers'. */
export function setNoDelay(fd: number): number {
  return native.setsockoptInt(fd, IPPROTO_TCP, TCP_NODELAY, 1)
}

/**
 * Leaves an urgent byte where it is in the stream (socket(7) SO_OOBINLINE): otherwise recv(2) passes over it. Reading
 * still stops once in front of it.
 */
export function setUrgentInline(fd: number): number {
  return native.setsockoptInt(fd, SOL_SOCKET, SO_OOBINLINE, 1)
}

/** Applies {@link Liveness}; returns 0 or the first negated errno. */
export function setLiveness(fd: number, liveness: Liveness): number {
  let result = 0
  if (liveness.keepaliveMs > 0) {
    const idleSec = Math.ceil(liveness.keepaliveMs / 1_000)
    const intervalSec = Math.max(1, Math.round(idleSec / KEEPALIVE_PROBES))
    result ||= native.setsockoptInt(fd, SOL_SOCKET, SO_KEEPALIVE, 1)
    result ||= native.setsockoptInt(fd, IPPROTO_TCP, TCP_KEEPIDLE, idleSec)
    result ||= native.setsockoptInt(fd, IPPROTO_TCP, TCP_KEEPINTVL, intervalSec)
    result ||= native.setsockoptInt(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES)
  }
  if (liveness.userTimeoutMs > 0) {
    result ||= native.setsockoptInt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, liveness.userTimeoutMs)
  }
  return result
}

/** Takes the pending error of a socket (socket(7) SO_ERROR): 0 or a negated errno. */
export function takeError(fd: number): number {
  const error = native.getsockoptInt(fd, SOL_SOCKET, SO_ERROR)
  return error > 0 ? -error : error
}

/** recv(2) into `[start, end)`: the count, 0 at the peer's FIN, or a negated errno. */
export function receive(fd: number, bytes: Uint8Array, start: number, end: number): number {
  return native.recv(fd, bytes, start, end, MSG_DONTWAIT)
}

/** As {@link receive}, but the bytes stay to be received (recv(2) MSG_PEEK). */
export function peek(fd: number, bytes: Uint8Array, start: number, end: number): number {
  return native.recv(fd, bytes, start, end, MSG_DONTWAIT | MSG_PEEK)
}

/** send(2) of `[start, end)`: the count or a negated errno; never raises SIGPIPE. */
export function transmit(fd: number, bytes: Uint8Array, start: number, end: number): number {
  return native.send(fd, bytes, start, end, MSG_DONTWAIT | MSG_NOSIGNAL)
}

/** As {@link transmit}, but the bytes may wait 200 ms for what is sent next, to be one segment with it (MSG_MORE). */
export function transmitWithNext(fd: number, bytes: Uint8Array, start: number, end: number): number {
  return native.send(fd, bytes, start, end, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE)
}

/** Sends FIN after everything sent before (shutdown(2), SHUT_WR). */
export function finish(fd: number): number {
  return native.shutdown(fd, SHUT_WR)
}

/** Bytes handed to the kernel that the peer has not acknowledged; a negated errno for a dead socket. */
export function unsentBytes(fd: number): number {
  return native.unsentBytes(fd)
}

/** Where `native.tcpInfo` writes what. */
const TcpInfo = {
  roundTripUs: 0,
  segmentsInFlight: 1,
  sinceSentMs: 2,
  sinceAcknowledgedMs: 3,
  acknowledgedBytes: 4,
} as const
const tcpInfo = new Int32Array(5)

/** What TCP has measured of the round trip to the peer, in milliseconds; undefined when the kernel will not say. */
export function roundTripMs(fd: number): number | undefined {
  if (native.tcpInfo(fd, tcpInfo) < 0) return undefined
  const roundTripUs = tcpInfo[TcpInfo.roundTripUs]
  return roundTripUs > 0 ? roundTripUs / 1_000 : undefined
}

/**
 * What has left for the peer: how many bytes it has acknowledged since the connection began, the lower 32 bits, and how
 * long ago, in milliseconds, the last ones left. The values are overwritten by the next {@link readProgress}.
 */
export const progress: { acknowledgedBytes: number; sinceMs: number } = { acknowledgedBytes: 0, sinceMs: 0 }

/** Asks the kernel for {@link progress}; reports whether it could say. */
export function readProgress(fd: number): boolean {
  if (native.tcpInfo(fd, tcpInfo) < 0) return false
  progress.acknowledgedBytes = tcpInfo[TcpInfo.acknowledgedBytes]
  // Acknowledgements also answer the probes of a window that stays closed. With nothing in flight, all that was sent has
  // been acknowledged: soon after it was sent, for the window had room for it.
  const since = tcpInfo[TcpInfo.segmentsInFlight] === 0 ? TcpInfo.sinceSentMs : TcpInfo.sinceAcknowledgedMs
  progress.sinceMs = tcpInfo[since]
  return true
}

/** Closes a descriptor. */
export function close(fd: number): void {
  native.close(fd)
}

/** Closes a connection with RST instead of FIN, dropping what is unsent (socket(7) SO_LINGER with 0 seconds). */
export function closeWithReset(fd: number): void {
  native.setsockoptBytes(fd, SOL_SOCKET, SO_LINGER, LINGER_RESET)
  native.close(fd)
}

/** How {@link openListener} differs from its defaults. */
export type ListenerOptions = {
  /** Listen on an address that this host does not have, or does not have yet (ip(7) IP_FREEBIND); default: no. */
  readonly isFreebind?: boolean
}

/**
 * Opens a listening TCP socket that several workers and processes may share (socket(7) SO_REUSEPORT).
 *
 * Accepted connections inherit TCP_NODELAY, SO_OOBINLINE and {@link Liveness} from it. `[::]` also takes IPv4 clients.
 *
 * @throws SystemCallError naming the endpoint, the errno and the remedy
 */
export function openListener(endpoint: Endpoint, liveness: Liveness, options: ListenerOptions = {}): number {
  const { address, port } = endpoint
  const fd = openStream(address.family)
  const fail = (result: number): never => {
    if (fd >= 0) native.close(fd)
    throw new SystemCallError(
      `Listening on "${formatEndpoint(endpoint)}"`,
      result,
      LISTEN_REMEDIES[errnoName(result)] ?? '',
    )
  }
  if (fd < 0) return fail(fd)
  let result = setReuseAddress(fd)
  result ||= setPortSharing(fd, address.family)
  if (options.isFreebind === true) result ||= setFreebind(fd, address.family)
  result ||= setNoDelay(fd)
  result ||= setUrgentInline(fd)
  result ||= setLiveness(fd, liveness)
  result ||= bindTo(fd, address, port)
  result ||= native.listen(fd, BACKLOG)
  return result < 0 ? fail(result) : fd
}

/**
 * Makes an inherited listening socket (sd_listen_fds(3)) fit for a worker: a descriptor of its own, non-blocking, with
 * what accepted connections are to inherit.
 *
 * @throws SystemCallError when it is no listening socket
 */
export function adoptListener(inheritedFd: number, liveness: Liveness): number {
  const fd = checked('Taking over a listening socket', native.duplicate(inheritedFd))
  // listen(2) on a socket that listens changes only its queue; on any other descriptor it fails.
  let result = native.listen(fd, BACKLOG)
  result ||= native.setNonBlocking(fd)
  result ||= setNoDelay(fd)
  result ||= setUrgentInline(fd)
  result ||= setLiveness(fd, liveness)
  if (result < 0) {
    native.close(fd)
    throw new SystemCallError(`Taking over descriptor ${inheritedFd} as a listening socket`, result)
  }
  return fd
}

/** The eventfd(2) by which one thread wakes another out of epoll_wait(2). */
export function openWakeup(): number {
  return checked('eventfd', native.eventfd())
}

/** Wakes the thread that waits on this eventfd. */
export function wake(fd: number): void {
  native.write(fd, ONE, 0, ONE.length)
}

/** Takes back all wake-ups so far. */
export function clearWakeup(fd: number): void {
  native.read(fd, drained, 0, drained.length)
}
