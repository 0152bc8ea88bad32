import { type Cidr, formatCidr } from '../address/cidr.ts'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import type { Timeouts } from '../dataplane/service.ts'
import type { AgentRoleOptions } from './agent-role.ts'
import { readAllowedSubnets } from './allowed-subnets.ts'

/** Whose headers are taken. */
export type Trust =
  | { readonly kind: 'everyone' }
  | { readonly kind: 'subnets'; readonly subnets: readonly Cidr[] }
  /** The path of a file that names them. */
  | { readonly kind: 'file'; readonly path: string }

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

/** Reads what the listener names. @throws AllowedSubnetsError */
export function prepareListener(listener: AgentListener, load: Float64Array): PreparedListener {
  const { listen, trust, timeouts, appCheck: _appCheck, appTargets: _appTargets, ...role } = listener
  const { keepaliveMs, userTimeoutMs } = listener.liveness
  return {
    name: `${formatEndpoint(listen)} keepalive=${keepaliveMs} user-timeout=${userTimeoutMs}`,
    listener,
    timeouts,
    roleOptions: { ...role, allowedSubnets: subnetsOf(trust), load },
  }
}

function subnetsOf(trust: Trust): readonly string[] | null {
  if (trust.kind === 'everyone') return null
  return (trust.kind === 'file' ? readAllowedSubnets(trust.path) : trust.subnets).map(formatCidr)
}
