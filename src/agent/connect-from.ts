import { classifyAddress, tunnelledAddress } from '../address/address-class.ts'
import { type Endpoint, isSameEndpoint } from '../address/endpoint.ts'
import { type IpAddress, isSameAddress } from '../address/ip-address.ts'
import { EADDRINUSE, EADDRNOTAVAIL, EINPROGRESS } from '../linux/errno.ts'
import {
  bindTo,
  close,
  connectTo,
  type Liveness,
  localEndpoint,
  openStream,
  setBindWithoutPort,
  setLiveness,
  setMark,
  setNoDelay,
  setReuseAddress,
  setTransparent,
} from '../linux/socket.ts'
import type { FALLBACK_CAUSES, SourceRefusal } from '../telemetry/metrics.ts'

/** Which source port the app sees. */
export type SourcePortMode = 'preserve-or-ephemeral' | 'preserve' | 'ephemeral'

export type ConnectFromOptions = {
  readonly sourcePort: SourcePortMode
  /** Firewall mark of the connection's packets; 0: none. */
  readonly mark: number
  readonly liveness: Liveness
}

export type FallbackCause = (typeof FALLBACK_CAUSES)[number]

/** How a transparent connection began. */
export type ConnectedFrom =
  | { readonly kind: 'connecting'; readonly fd: number; readonly fallback: FallbackCause | undefined }
  /** A negated errno. */
  | { readonly kind: 'failed'; readonly error: number }
  | { readonly kind: 'refused'; readonly reason: SourceRefusal }

/**
 * Starts a connection to `target` that leaves this host with `source` as its address (ip(7), IP_TRANSPARENT).
 *
 * `isPeer` says that `source` is the real peer of an accepted connection, which may be this host itself; any other
 * source that is an address of this host is refused. The caller has applied the source policy to the address.
 */
export function connectFrom(
  source: Endpoint,
  target: Endpoint,
  isPeer: boolean,
  options: ConnectFromOptions,
): ConnectedFrom {
  // A connection from an address to itself would succeed with nobody listening (TCP's simultaneous open).
  if (isSameEndpoint(source, target)) return { kind: 'refused', reason: 'src-equals-dst' }
  if (options.sourcePort === 'ephemeral' || source.port === 0)
    return connectFromAnyPort(source, target, isPeer, options)
  const kept = attempt(source, source.port, target, isPeer, options)
  if (kept.kind !== 'in-use') return kept
  // Nobody asked for the port of a peer that speaks for itself; one on this very host holds it.
  if (options.sourcePort === 'preserve' && !isPeer) return { kind: 'refused', reason: 'src-port-in-use' }
  const chosen = connectFromAnyPort(source, target, isPeer, options)
  return chosen.kind === 'connecting' ? { ...chosen, fallback: kept.cause } : chosen
}

/**
 * Leaves the port to the kernel. connect(2) chooses best, because it knows the whole connection; but it passes over
 * every port that some client's connection was bound to, and when those fill the range, only bind(2) can still share one.
 */
function connectFromAnyPort(
  source: Endpoint,
  target: Endpoint,
  isPeer: boolean,
  options: ConnectFromOptions,
): ConnectedFrom {
  const chosen = attempt(source, 'by-connect', target, isPeer, options)
  if (chosen.kind !== 'in-use') return chosen
  const shared = attempt(source, 'by-bind', target, isPeer, options)
  return shared.kind === 'in-use' ? { kind: 'failed', error: EADDRNOTAVAIL } : shared
}

/** A port, or which call of the kernel chooses one. */
type Port = number | 'by-connect' | 'by-bind'
type Attempt = ConnectedFrom | { readonly kind: 'in-use'; readonly cause: FallbackCause }

function attempt(
  source: Endpoint,
  port: Port,
  target: Endpoint,
  isPeer: boolean,
  options: ConnectFromOptions,
): Attempt {
  const fd = openStream(target.address.family)
  if (fd < 0) return { kind: 'failed', error: fd }
  const attempted = connectSocket(fd, source, port, target, isPeer, options)
  if (attempted.kind !== 'connecting') close(fd)
  return attempted
}

function connectSocket(
  fd: number,
  source: Endpoint,
  port: Port,
  target: Endpoint,
  isPeer: boolean,
  options: ConnectFromOptions,
): Attempt {
  const { address } = source
  if (!isPeer) {
    const bound = bindWithoutPrivilege(fd, address)
    if (bound === 0) return { kind: 'refused', reason: 'src-own-address' }
    if (bound !== EADDRNOTAVAIL) return { kind: 'failed', error: bound }
  }
  let result = setTransparent(fd, address.family)
  // Without it a port could not be used towards two targets at once.
  result ||= setReuseAddress(fd)
  // Then the port only has to be free towards this target, and the host's own do not run out.
  if (port === 'by-connect') result ||= setBindWithoutPort(fd)
  result ||= setNoDelay(fd)
  if (options.mark !== 0) result ||= setMark(fd, options.mark)
  // A peer on this very host cannot vanish without its kernel saying so.
  if (classifyAddress(target.address) !== 'loopback') result ||= setLiveness(fd, options.liveness)
  if (result < 0) return { kind: 'failed', error: result }

  const bound = bindTo(fd, address, typeof port === 'number' ? port : 0)
  if (bound === EADDRINUSE) return { kind: 'in-use', cause: 'bind-in-use' }
  if (bound < 0) return { kind: 'failed', error: bound }
  const connected = connectTo(fd, target)
  if (connected === EADDRNOTAVAIL) return { kind: 'in-use', cause: 'connection-in-use' }
  if (connected < 0 && connected !== EINPROGRESS) return { kind: 'failed', error: connected }

  // Whatever the kernel made of the request: the app must not see anybody else than was decided.
  const local = localEndpoint(fd)
  if (
    local === undefined ||
    !isSameAddress(local.address, address) ||
    (typeof port === 'number' && local.port !== port)
  ) {
    return { kind: 'refused', reason: 'src-not-kept' }
  }
  if (isSameEndpoint(local, target)) return { kind: 'refused', reason: 'src-equals-dst' }
  return { kind: 'connecting', fd, fallback: undefined }
}

/**
 * Binds a socket that is not transparent yet, which succeeds only for this host's own addresses (and for multicast and
 * its subnets' broadcast addresses): 0 then, EADDRNOTAVAIL for any other address. This asks the kernel as it is now; a
 * list of addresses would be old. An own IPv4 address inside a tunnelled one counts as well.
 */
function bindWithoutPrivilege(fd: number, address: IpAddress): number {
  const bound = bindTo(fd, address, 0)
  const inner = tunnelledAddress(address)
  if (bound !== EADDRNOTAVAIL || inner === undefined) return bound
  const ipv4Fd = openStream(4)
  if (ipv4Fd < 0) return ipv4Fd
  const innerBound = bindTo(ipv4Fd, inner, 0)
  close(ipv4Fd)
  return innerBound
}
