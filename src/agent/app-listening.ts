import { type Endpoint, isSameEndpoint, type Protocol } from '../address/endpoint.ts'
import { isListening } from '../linux/socket-table.ts'

/** Reports whether an app listens; where the socket table cannot be read, nothing says that one is there. */
export function isAppListening(target: Endpoint, protocol: Protocol = 'tcp'): boolean {
  try {
    return isListening(target, protocol)
  } catch {
    return false
  }
}

/** Why a target refuses although its app is there, so that asking it again is no use; names for the record. */
export type AppRefusal =
  /** It listens: a firewall has answered in its place. */
  | 'rejected-by-firewall'
  /** There is no target for the client's address family, or the app listens only on the one of the other, at the same port. */
  | 'no-app-for-family'

/** Says why a target has refused; undefined: nothing says that the app is there, which may be restarting. */
export function appRefusal(
  target: Endpoint,
  target4: Endpoint | null,
  target6: Endpoint | null,
): AppRefusal | undefined {
  if (isAppListening(target)) return 'rejected-by-firewall'
  const other = target4 !== null && isSameEndpoint(target, target4) ? target6 : target4
  return other?.port === target.port && isAppListening(other) ? 'no-app-for-family' : undefined
}
