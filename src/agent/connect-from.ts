import { classifyAddress, tunnelledAddress } from '../address/address-class.ts'
import { type Endpoint, isSameEndpoint } from '../address/endpoint.ts'
import { isSameAddress } from '../address/ip-address.ts'
import { connectFailure, connectSpec, openConnected, type SourcePort, tryBind } from '../linux/connect.ts'
import { EACCES, EADDRINUSE, EADDRNOTAVAIL } from '../linux/errno.ts'
import type { Liveness } from '../linux/liveness.ts'
import type { FALLBACK_CAUSES, SourceRefusal } from '../telemetry/metrics.ts'

/** Which source port the app sees. */
export type SourcePortMode = 'preserve-or-ephemeral' | 'preserve' | 'ephemeral'

export type ConnectFromOptions = {
  readonly transport: 'stream' | 'dgram'
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
 * Whose address the source is: a client's, which must not be one of this host; the peer's, who speaks for itself; or the
 * peer's, named with another port: a client on the peer's host, which may be this one.
 */
export type SourceOwner = 'client' | 'peer' | 'client-at-peer'

/**
 * Whose the source of a header is that has not been refused; `showsPeer`: it speaks of no client.
 */
export function ownerOf(source: Endpoint, peer: Endpoint, showsPeer: boolean): SourceOwner {
  if (showsPeer) return 'peer'
  return isSameAddress(source.address, peer.address) ? 'client-at-peer' : 'client'
}

/**
 * Starts a connection to `target` that leaves this host with `source` as its address (ip(7), IP_TRANSPARENT).
 *
 * A source of a `client` that is an address of this host is refused. The caller has applied the source policy to the
 * address.
 *
 * @param flow see `ConnectSpec`
 */
export function connectFrom(
  source: Endpoint,
  target: Endpoint,
  owner: SourceOwner,
  options: ConnectFromOptions,
  flow = 0,
): ConnectedFrom {
  spec.flow = flow
  // A connection from an address to itself would succeed with nobody listening (TCP's simultaneous open).
  if (isSameEndpoint(source, target)) return { kind: 'refused', reason: 'src-equals-dst' }
  if (options.sourcePort === 'ephemeral' || source.port === 0) return connectFromAnyPort(source, target, owner, options)
  const kept = attempt(source, source.port, target, owner, options)
  if (kept.kind !== 'in-use') return kept
  // Nobody asked for the port of a peer that speaks for itself; one on this very host holds it.
  if (options.sourcePort === 'preserve' && owner !== 'peer') return { kind: 'refused', reason: 'src-port-in-use' }
  const chosen = connectFromAnyPort(source, target, owner, options)
  return chosen.kind === 'connecting' ? { ...chosen, fallback: kept.cause } : chosen
}

/**
 * Leaves the port to the kernel. connect(2) chooses best, because it knows the whole connection; but it passes over
 * every port that some client's connection was bound to, and when those fill the range, only bind(2) can still share one.
 */
function connectFromAnyPort(
  source: Endpoint,
  target: Endpoint,
  owner: SourceOwner,
  options: ConnectFromOptions,
): ConnectedFrom {
  const chosen = attempt(source, 'by-connect', target, owner, options)
  if (chosen.kind !== 'in-use') return chosen
  const shared = attempt(source, 'by-bind', target, owner, options)
  return shared.kind === 'in-use' ? { kind: 'failed', error: EADDRNOTAVAIL } : shared
}

type Attempt = ConnectedFrom | { readonly kind: 'in-use'; readonly cause: FallbackCause }

/** One for all connections of a thread: each attempt fills it in anew. */
const spec = connectSpec()

function attempt(
  { address }: Endpoint,
  port: SourcePort,
  target: Endpoint,
  owner: SourceOwner,
  options: ConnectFromOptions,
): Attempt {
  const inner = owner === 'client' ? tunnelledAddress(address) : undefined
  if (inner !== undefined) {
    // An own IPv4 address inside a tunnelled one counts as an own address, too.
    const bound = tryBind(inner)
    if (bound === 0) return { kind: 'refused', reason: 'src-own-address' }
    if (bound !== EADDRNOTAVAIL) return { kind: 'failed', error: bound }
  }
  spec.transport = options.transport
  spec.destination = target
  spec.source = address
  spec.sourcePort = port
  // A list of this host's addresses would be old; the kernel is asked at each attempt. Multicast addresses, and the
  // broadcast addresses of its subnets, pass for its own.
  spec.sourceKind = owner === 'client' ? 'foreign' : 'any'
  spec.mark = options.mark
  // A target on this very host cannot vanish without its kernel saying so.
  spec.liveness = classifyAddress(target.address) === 'loopback' ? null : options.liveness
  const fd = openConnected(spec)
  return fd >= 0 ? { kind: 'connecting', fd, fallback: undefined } : failureOf(connectFailure)
}

function failureOf({ step, error }: typeof connectFailure): Attempt {
  if (step === 'bind' && error === EADDRINUSE) return { kind: 'in-use', cause: 'bind-in-use' }
  // Below 1024, without CAP_NET_BIND_SERVICE.
  if (step === 'bind' && error === EACCES) return { kind: 'in-use', cause: 'not-permitted' }
  if (step === 'connect' && error === EADDRNOTAVAIL) return { kind: 'in-use', cause: 'connection-in-use' }
  if (step === 'own-source' && error === 0) return { kind: 'refused', reason: 'src-own-address' }
  if (step === 'not-kept') return { kind: 'refused', reason: 'src-not-kept' }
  if (step === 'to-itself') return { kind: 'refused', reason: 'src-equals-dst' }
  return { kind: 'failed', error }
}
