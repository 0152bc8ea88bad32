import { type Cidr, formatCidr } from '../address/cidr.ts'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import type { Timeouts } from '../dataplane/connection/connection-state.ts'
import type { AgentEntranceOptions, AgentServiceOptions } from './agent-role-options.ts'
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

/** One port of an agent and what lies behind it, as the operator wrote it. */
export type AgentListener = ConnectFromOptions &
  Omit<AgentEntranceOptions, 'service' | 'headerTimeoutMs' | 'allowedSubnets' | 'keepsPort' | 'portOpen'> & {
    readonly listen: Endpoint
    readonly trust: Trust
    readonly timeouts: Timeouts & Pick<AgentEntranceOptions, 'headerTimeoutMs'>
    readonly appCheck: AppCheck
    /** What {@link appCheck} looks for. */
    readonly appTargets: readonly Endpoint[]
  }

/** A listener whose files have been read: ready to be served. */
export type PreparedListener = {
  /** Where it listens and what its sockets are made with: one that differs in this needs sockets of its own. */
  readonly name: string
  readonly listener: AgentListener
  readonly entrance: Omit<AgentEntranceOptions, 'portOpen'>
  /** Nobody else's; it has the listener's name. */
  readonly service: AgentServiceOptions
}

/** Reads what the listener names; `edges` are those of the controller. @throws AllowedSubnetsError */
export function prepareListener(listener: AgentListener, edges: readonly Cidr[]): PreparedListener {
  const { listen, target4, target6, denyPrivateSources, local, headerLengthMax, verbosity } = listener
  const { headerTimeoutMs, ...timeouts } = listener.timeouts
  const { sourcePort, mark, liveness } = listener
  const { keepaliveMs, userTimeoutMs } = liveness
  const name = `${formatEndpoint(listen)} keepalive=${keepaliveMs} user-timeout=${userTimeoutMs}`
  return {
    name,
    listener,
    entrance: {
      service: name,
      headerTimeoutMs,
      target4,
      target6,
      allowedSubnets: subnetsOf(listener.trust, edges),
      denyPrivateSources,
      keepsPort: sourcePort === 'preserve',
      local,
      headerLengthMax,
      verbosity,
    },
    service: { sourcePort, mark, liveness, target4, target6, timeouts },
  }
}

/** The same listener with other edges of the controller. */
export function withEdges(prepared: PreparedListener, edges: readonly Cidr[]): PreparedListener {
  const { listener, entrance } = prepared
  if (listener.trust.kind !== 'controller') return prepared
  return { ...prepared, entrance: { ...entrance, allowedSubnets: edges.map(formatCidr) } }
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
