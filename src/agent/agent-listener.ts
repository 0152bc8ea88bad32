import { type Cidr, formatCidr } from '../address/cidr.ts'
import { type Endpoint, formatEndpoint, type Protocol } from '../address/endpoint.ts'
import type { Timeouts } from '../dataplane/connection/connection-state.ts'
import type {
  AdmissionOptions,
  AgentDatagramEntranceOptions,
  AgentEntranceOptions,
  AgentServiceOptions,
  UdpHeader,
} from './agent-role-options.ts'
import { readAllowedSubnets } from './allowed-subnets.ts'
import type { ConnectFromOptions } from './connect-from.ts'

/** Whose headers are taken. */
export type Trust =
  | { readonly kind: 'everyone' }
  | { readonly kind: 'subnets'; readonly subnets: readonly Cidr[] }
  /** The path of a file that names them. */
  | { readonly kind: 'file'; readonly path: string }
  /** The edges of the agent's controller. */
  | { readonly kind: 'controller' }

/** What follows when the app does not listen: nothing, the port is closed, or that is as it should be. */
export type AppCheck = 'none' | 'close-port' | 'on-demand'

/** One port of an agent, by TCP, UDP or both, and what lies behind it, as the operator wrote it. */
export type AgentListener = Omit<ConnectFromOptions, 'transport'> &
  Pick<
    AgentEntranceOptions,
    'target4' | 'target6' | 'denyPrivateSources' | 'local' | 'headerLengthMax' | 'verbosity'
  > & {
    readonly listen: Endpoint
    readonly protocols: readonly Protocol[]
    readonly trust: Trust
    readonly timeouts: Timeouts & Pick<AgentEntranceOptions, 'headerTimeoutMs'>
    readonly appCheck: AppCheck
    /** What {@link appCheck} looks for. */
    readonly appTargets: readonly Endpoint[]
    readonly udpHeader: UdpHeader
    /** For how long a flow of datagrams may be silent in both directions. */
    readonly closeAfterMs: number
  }

type Prepared = {
  /** Where it listens and what its sockets are made with: one that differs in this needs sockets of its own. */
  readonly name: string
  readonly listener: AgentListener
}

/** A TCP port whose files have been read: ready to be served. */
export type PreparedStreams = Prepared & {
  readonly protocol: 'tcp'
  readonly entrance: Omit<AgentEntranceOptions, 'portOpen'>
  /** Nobody else's; it has the port's name. */
  readonly service: AgentServiceOptions
}

/** The same of a UDP port. */
export type PreparedDatagrams = Prepared & {
  readonly protocol: 'udp'
  readonly entrance: Omit<AgentDatagramEntranceOptions, 'portOpen'>
}

/** A port that is ready to be served; a listener of both protocols has two. */
export type PreparedListener = PreparedStreams | PreparedDatagrams

/**
 * Reads what the listener names; `edges` are those of the controller, and `flowsPerEdgeMax` is for each worker.
 *
 * @throws AllowedSubnetsError
 */
export function prepareListener(
  listener: AgentListener,
  edges: readonly Cidr[],
  flowsPerEdgeMax: number,
): readonly PreparedListener[] {
  const { target4, target6, denyPrivateSources, local, headerLengthMax, verbosity, sourcePort } = listener
  const allowedSubnets = subnetsOf(listener.trust, edges)
  const rules = { target4, target6, allowedSubnets, denyPrivateSources, keepsPort: sourcePort === 'preserve' }
  const header = { local, headerLengthMax, verbosity }
  return listener.protocols.map((protocol) =>
    protocol === 'tcp'
      ? prepareStreams(listener, { ...rules, ...header, protocol })
      : prepareDatagrams(listener, { ...rules, ...header, protocol }, flowsPerEdgeMax),
  )
}

type Rules = Omit<AdmissionOptions, 'portOpen'> & Pick<AgentEntranceOptions, 'local' | 'headerLengthMax' | 'verbosity'>

function prepareStreams(listener: AgentListener, rules: Rules): PreparedListener {
  const { listen, target4, target6, sourcePort, mark, liveness } = listener
  const { headerTimeoutMs, ...timeouts } = listener.timeouts
  const { keepaliveMs, userTimeoutMs } = liveness
  const name = `${formatEndpoint(listen)} keepalive=${keepaliveMs} user-timeout=${userTimeoutMs}`
  return {
    protocol: 'tcp',
    name,
    listener,
    entrance: { ...rules, service: name, headerTimeoutMs },
    service: { transport: 'stream', sourcePort, mark, liveness, target4, target6, timeouts },
  }
}

function prepareDatagrams(listener: AgentListener, rules: Rules, flowsPerEdgeMax: number): PreparedListener {
  const { listen, sourcePort, mark, liveness, udpHeader, closeAfterMs } = listener
  return {
    protocol: 'udp',
    name: `${formatEndpoint(listen)} udp`,
    listener,
    entrance: {
      ...rules,
      connect: { transport: 'dgram', sourcePort, mark, liveness },
      udpHeader,
      idleMs: closeAfterMs,
      flowsPerEdgeMax,
    },
  }
}

/** The same listener with other edges of the controller. */
export function withEdges(prepared: PreparedListener, edges: readonly Cidr[]): PreparedListener {
  if (prepared.listener.trust.kind !== 'controller') return prepared
  const allowedSubnets = edges.map(formatCidr)
  return prepared.protocol === 'tcp'
    ? { ...prepared, entrance: { ...prepared.entrance, allowedSubnets } }
    : { ...prepared, entrance: { ...prepared.entrance, allowedSubnets } }
}

function subnetsOf(trust: Trust, edges: readonly Cidr[]): readonly string[] | null {
  switch (trust.kind) {
    case 'everyone':
      return null
    case 'subnets':
      return trust.subnets.map(formatCidr)
    case 'file':
      return readAllowedSubnets(trust.path).map(formatCidr)
    case 'controller':
      return edges.map(formatCidr)
  }
}
