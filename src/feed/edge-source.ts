// The addresses from which an edge connects to backends, as edges report them, controllers hand them on, and agents trust
// them: each of the three looks at them by itself.
import { type AddressClass, classifyAddress } from '../address/address-class.ts'
import type { IpAddress } from '../address/ip-address.ts'

/** As many as one edge has. */
export const SOURCES_MAX = 1_024
/** As many as all edges have: each agent looks through them for each connection that it accepts. */
export const ALL_SOURCES_MAX = 16_384

/** Other hosts have them, too, and so do all users of the agent's own. */
const NOT_OF_ONE_HOST: ReadonlySet<AddressClass> = new Set([
  'unspecified',
  'loopback',
  'link-local',
  'multicast',
  'broadcast',
])

/** Says whether an address tells one host from all others, so that agents can trust it. */
export function isEdgeSource(address: IpAddress): boolean {
  return !NOT_OF_ONE_HOST.has(classifyAddress(address))
}
