// Connecting a socket: everything from socket(2) to connect(2), by one description. Edges and agents say what they want
// and decide what follows from a failure; in which calls it is done is decided here alone.

import { classifyAddress } from '../address/address-class.ts'
import { type Endpoint, isSameEndpoint } from '../address/endpoint.ts'
import { type IpAddress, ipv4Address, isSameAddress } from '../address/ip-address.ts'
import { openDatagrams, setCountsDropped } from './datagram.ts'
import { findFlow, NO_FLOW, setFlowName } from './datagram-sockets.ts'
import { EADDRINUSE, EADDRNOTAVAIL, EINPROGRESS } from './errno.ts'
import type { Liveness } from './liveness.ts'
import { findOwnIpv6 } from './own-address.ts'
import {
  bindTo,
  close,
  connectTo,
  localEndpoint,
  openStream,
  setBindWithoutPort,
  setLiveness,
  setMark,
  setNoDelay,
  setReuseAddress,
  setReusePort,
  setTransparent,
  setUrgentInline,
} from './socket.ts'

/** From which port of the source a connection leaves, or who chooses one. */
export type SourcePort =
  | number
  /** connect(2), which knows the whole connection: every port can be used towards each destination (IP_BIND_ADDRESS_NO_PORT). */
  | 'by-connect'
  /** bind(2): only it can share a port to which another socket of this host was bound. */
  | 'by-bind'

/** What a connection is to be. One object per caller, filled in again for each attempt, so that none is made for it. */
export type ConnectSpec = {
  /** A TCP connection, or a UDP socket that hears nobody but its destination. */
  transport: 'stream' | 'dgram'
  destination: Endpoint
  /** null: the kernel chooses, and nothing below is about anybody else. */
  source: IpAddress | null
  sourcePort: SourcePort
  /**
   * `own`: an address of this host. `any`: also one that this host does not have (ip(7) IP_TRANSPARENT), which the
   * connection is sure to keep. `foreign`: as `any`, but no address of this host.
   */
  sourceKind: 'own' | 'any' | 'foreign'
  /** Firewall mark of the connection's packets; 0: none. */
  mark: number
  /** null: the other end cannot vanish without the kernel saying so. */
  liveness: Liveness | null
  /**
   * Of a UDP socket: which flow it is for, a number below {@link FLOW_NAMES}. Sockets with the same two ends are those of
   * one flow where they have the same number: a flow that goes on in another worker or process keeps its port.
   */
  flow: number
}

/**
 * The index of lo in every network namespace: the scope of somebody else's link-local address towards an app on this
 * host. What both sides send goes over lo, whichever interface the real one is behind.
 */
const LOOPBACK_INTERFACE = 1

/** What an attempt fails at, in the order in which it is tried. */
export type ConnectStep =
  | 'socket'
  /** The source is one of this host's own, and must not be: the error is 0 then. Or nobody can say. */
  | 'own-source'
  | 'options'
  | 'bind'
  | 'connect'
  /** The kernel gave the connection another source than was asked for (error 0). */
  | 'not-kept'
  /** The connection leads to itself: TCP's simultaneous open (error 0). */
  | 'to-itself'

/** What the last {@link openConnected} without a socket failed at, and the negated errno. Overwritten by the next. */
export const connectFailure: { step: ConnectStep; error: number } = { step: 'socket', error: 0 }

/** A description to be filled in: from wherever the kernel chooses, to nowhere yet. */
export function connectSpec(): ConnectSpec {
  return {
    transport: 'stream',
    destination: { address: ipv4Address(0), port: 0 },
    source: null,
    sourcePort: 'by-connect',
    sourceKind: 'own',
    mark: 0,
    liveness: null,
    flow: 0,
  }
}

/**
 * Opens a non-blocking socket that is connected or connecting, as `spec` says.
 *
 * @returns the descriptor, or -1: nothing is open then, and {@link connectFailure} says why
 */
export function openConnected(spec: ConnectSpec): number {
  const { family } = spec.destination.address
  const fd = spec.transport === 'stream' ? openStream(family) : openDatagrams(family)
  if (fd < 0) return failAt('socket', fd)
  if (bindSource(fd, spec) === 0 && connectAs(fd, spec) === 0) return fd
  close(fd)
  return -1
}

/** Sets the options and the source; returns 0 or -1. */
function bindSource(fd: number, spec: ConnectSpec): number {
  const { transport, source, sourcePort, sourceKind, mark } = spec
  if (source !== null && sourceKind === 'foreign') {
    // A socket that is not transparent yet can be bound only to what is this host's own. This asks the kernel as it is now.
    let owned = bindTo(fd, source, 0)
    if (owned === EADDRNOTAVAIL && source.family === 6) owned = findOwnIpv6(source)
    if (owned !== EADDRNOTAVAIL) return failAt('own-source', owned)
  }
  const isTransparent = source !== null && sourceKind !== 'own'
  let result = isTransparent ? setTransparent(fd, source.family) : 0
  result ||= transport === 'stream' ? setStreamOptions(fd, spec) : setDatagramOptions(fd, spec)
  if (mark !== 0) result ||= setMark(fd, mark)
  if (result < 0) return failAt('options', result)
  if (source === null) return 0
  const port = typeof sourcePort === 'number' ? sourcePort : 0
  const isScoped = isTransparent && source.family === 6 && classifyAddress(source) === 'link-local'
  const scope = isScoped ? LOOPBACK_INTERFACE : 0
  if (transport === 'dgram' && isTransparent) return bindDatagram(fd, spec, source, port, scope)
  result = bindTo(fd, source, port, scope)
  return result < 0 ? failAt('bind', result) : 0
}

/** What only TCP has; returns 0 or a negated errno. */
function setStreamOptions(fd: number, { source, sourcePort, sourceKind, liveness }: ConnectSpec): number {
  let result = setNoDelay(fd)
  result ||= setUrgentInline(fd)
  // A transparent port could not be used towards two destinations at once without it.
  if (source !== null && (sourceKind !== 'own' || sourcePort !== 'by-connect')) result ||= setReuseAddress(fd)
  // Then the port only has to be free towards this destination, and the host's own do not run out.
  if (source !== null && sourcePort === 'by-connect') result ||= setBindWithoutPort(fd)
  if (liveness !== null) result ||= setLiveness(fd, liveness)
  return result
}

/** What only UDP has; returns 0 or a negated errno. */
function setDatagramOptions(fd: number, { source, sourceKind, flow }: ConnectSpec): number {
  const result = setCountsDropped(fd)
  return source === null || sourceKind === 'own' ? result : result || setFlowName(fd, flow)
}

/**
 * As TCP: a port is used towards several destinations at once, and towards one of them only once. Where ports are shared,
 * UDP lets several sockets have the same two ends, and only the newest hears anything; so it is first asked for alone.
 * Sockets of one flow may have the same ends: whichever hears the answer, it is the flow's.
 */
function bindDatagram(fd: number, spec: ConnectSpec, source: IpAddress, port: number, scope: number): number {
  let bound = bindTo(fd, source, port, scope)
  if (bound === EADDRINUSE && belongsToOthers({ address: source, port }, spec)) return failAt('connect', EADDRNOTAVAIL)
  // Others may share it from now on, towards other destinations.
  let result = setReuseAddress(fd)
  if (bound === EADDRINUSE && result === 0) bound = bindTo(fd, source, port, scope)
  // So may ports of our own on all addresses, which are opened while flows are there, by the process that takes over, too.
  result ||= setReusePort(fd)
  if (bound === EADDRINUSE && result === 0) bound = bindTo(fd, source, port, scope)
  if (result < 0) return failAt('options', result)
  return bound < 0 ? failAt('bind', bound) : 0
}

function belongsToOthers(local: Endpoint, { destination, flow }: ConnectSpec): boolean {
  const found = findFlow(local, destination)
  return found !== NO_FLOW && found !== flow
}

/** Connects, and looks at what has become of the source; returns 0 or -1. */
function connectAs(fd: number, { destination, source, sourcePort, sourceKind }: ConnectSpec): number {
  const connected = connectTo(fd, destination)
  if (connected < 0 && connected !== EINPROGRESS) return failAt('connect', connected)
  if (source === null || sourceKind === 'own') return 0
  // Whatever the kernel made of the request: the other end must not see anybody else than was decided.
  const local = localEndpoint(fd)
  if (local === undefined || !isSameAddress(local.address, source)) return failAt('not-kept', 0)
  if (typeof sourcePort === 'number' && local.port !== sourcePort) return failAt('not-kept', 0)
  return isSameEndpoint(local, destination) ? failAt('to-itself', 0) : 0
}

function failAt(step: ConnectStep, error: number): number {
  connectFailure.step = step
  connectFailure.error = error
  return -1
}

/** Tries bind(2) on a socket that is closed again: 0 where the address is this host's own, EADDRNOTAVAIL where it is not. */
export function tryBind(address: IpAddress): number {
  const fd = openStream(address.family)
  if (fd < 0) return fd
  const bound = bindTo(fd, address, 0)
  close(fd)
  return bound
}
