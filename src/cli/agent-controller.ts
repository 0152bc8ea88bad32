import { type FlagValues, valueFlag } from './flags.ts'
import { type FollowerSettings, followerFlags, followerSettings } from './follower-flags.ts'
import { parseResourceName } from './values.ts'

const FOLLOWER = { role: 'agent', state: '/var/lib/truepeer-agent' } as const

const { controller, ...followed } = followerFlags({
  ...FOLLOWER,
  purpose: 'Trust the edges of this controller, in place of --allowed-subnets: the addresses from which they connect',
  kept: 'the addresses are kept',
})
const instance = valueFlag(
  'instance',
  'NAME',
  'With --controller: the name by which the controller knows this host. Required then',
  parseResourceName,
)

/** The flags by which an agent learns from a controller whom it trusts. */
export const agentControllerFlags = { controller, instance, ...followed } as const

/** Gathers the values of {@link agentControllerFlags}; undefined: there is no controller. @throws UsageError */
export function agentControllerSettings(values: FlagValues<typeof agentControllerFlags>): FollowerSettings | undefined {
  return followerSettings(FOLLOWER, values, instance, values.instance)
}
