import { type Cidr, formatCidr } from '../address/cidr.ts'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import type { Timeouts } from '../dataplane/connection/connection-state.ts'
import type { AgentRoleOptions } from './agent-role.ts'
import { readAllowedSubnets } from './allowed-subnets.ts'

/** Whose headers are taken. */
export type Trust =
  | { readonly kind: 'everyone' }
  | { readonly kind: 'subnets'; readonly subnets: readonly Cidr[] }
  /** The path of a file that names them. */
  | { readonly kind: 'file'; readonly path: string }
  /** The edges of the agent's controller. */
  | { readonly kind: 'controller' }

/** Whether the port is open while the app does not listen. */
export type AppCheck = 'none' | 'close-port'

/** One port of an agent and what lies behind it, as the operator wrote it. */
export type AgentListener = Omit<AgentRoleOptions, 'allowedSubnets' | 'load'> & {
  readonly listen: Endpoint
  readonly trust: Trust
  readonly timeouts: Timeouts
  readonly appCheck: AppCheck
  /** What {@link appCheck} looks for. */
  readonly appTargets: readonly Endpoint[]
}

/** A listener whose files have been read: ready to be served. */
export type PreparedListener = {
  /** Where it listens and what its sockets are made with: one that differs in this needs sockets of its own. */
  readonly name: string
  readonly listener: AgentListener
  readonly timeouts: Timeouts
  readonly roleOptions: AgentRoleOptions
}

/** Reads what the listener names; `edges` are those of the controller. @throws AllowedSubnetsError */
export function prepareListener(listener: AgentListener, load: Float64Array, edges: readonly Cidr[]): PreparedListener {
  const { listen, trust, timeouts, appCheck: _appCheck, appTargets: _appTargets, ...role } = listener
  const { keepaliveMs, userTimeoutMs } = listener.liveness
  return {
    name: `${formatEndpoint(listen)} keepalive=${keepaliveMs} user-timeout=${userTimeoutMs}`,
    listener,
    timeouts,
    roleOptions: { ...role, allowedSubnets: subnetsOf(trust, edges), load },
  }
}

/** The same listener with other edges of the controller. */
export function withEdges(prepared: PreparedListener, edges: readonly Cidr[]): PreparedListener {
  const { listener, roleOptions } = prepared
  if (listener.trust.kind !== 'controller') return prepared
  return { ...prepared, roleOptions: { ...roleOptions, allowedSubnets: edges.map(formatCidr) } }
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
