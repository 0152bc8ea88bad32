import { classifyAddress } from '../address/address-class.ts'
import { type Endpoint, formatEndpoint, isSameEndpoint } from '../address/endpoint.ts'
import type { AgentListener } from './agent-listener.ts'
import type { AgentEntranceOptions } from './agent-role-options.ts'

/** What of a listener is taken and is perhaps not what was meant, a sentence each; `listens` are those of all listeners. */
export function listenerWarnings(
  { listen, target4, target6, trust }: AgentListener,
  { allowedSubnets }: Pick<AgentEntranceOptions, 'allowedSubnets'>,
  listens: readonly Endpoint[],
): readonly string[] {
  const name = formatEndpoint(listen)
  const everyone = trust.kind === 'everyone' ? [] : (allowedSubnets ?? []).filter((subnet) => subnet.endsWith('/0'))
  const targets = [target4, target6].filter((target) => target !== null)
  const own = targets.filter((target) =>
    listens.some((one) =>
      classifyAddress(one.address) === 'unspecified' ? target.port === one.port : isSameEndpoint(target, one),
    ),
  )
  return [
    ...everyone.map(
      (subnet) =>
        `The trusted subnet "${subnet}" of "${name}" is every address: whoever can reach the port chooses the address that the app sees; list the addresses of your edges`,
    ),
    ...own.map(
      (target) =>
        `The target "${formatEndpoint(target)}" of "${name}" is the agent itself, unless the app has that address to itself; give the agent and the app different ports`,
    ),
  ]
}
