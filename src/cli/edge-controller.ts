import { type FlagValues, valueFlag } from './flags.ts'
import { type FollowerSettings, followerFlags, followerSettings } from './follower-flags.ts'
import { parseResourceName } from './values.ts'

const FOLLOWER = { role: 'edge', state: '/var/lib/truepeer' } as const

const { controller, ...followed } = followerFlags({
  ...FOLLOWER,
  purpose: 'Follow this controller: serve what its resources say, and apply every change',
  kept: 'the last configuration is kept',
})
const name = valueFlag(
  'name',
  'NAME',
  'With --controller: the name by which the controller knows this edge. Required then',
  parseResourceName,
)

/** The flags by which the load balancer comes from a controller. */
export const edgeControllerFlags = { controller, name, ...followed } as const

/** How an edge follows a controller. */
export type EdgeControllerSettings = FollowerSettings & { readonly kind: 'controller' }

/** Gathers the values of {@link edgeControllerFlags}; undefined: there is no controller. @throws UsageError */
export function edgeControllerSettings(
  values: FlagValues<typeof edgeControllerFlags>,
): EdgeControllerSettings | undefined {
  const settings = followerSettings(FOLLOWER, values, name, values.name)
  return settings && { kind: 'controller', ...settings }
}
