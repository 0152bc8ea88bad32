import { classifyAddress } from '../address/address-class.ts'
import { formatEndpoint, isSameEndpoint } from '../address/endpoint.ts'
import type { PreparedDatagrams, PreparedListener } from './agent-listener.ts'

/** What of an agent's ports is taken and is perhaps not what was meant, a sentence each. */
export function listenerWarnings(ports: readonly PreparedListener[]): readonly string[] {
  const warnings = ports.flatMap((port) => [
    ...trustWarnings(port),
    ...targetWarnings(port, ports),
    ...(port.protocol === 'udp' ? datagramWarnings(port) : []),
  ])
  // A listener of both protocols has most of them twice.
  return [...new Set(warnings)]
}

function trustWarnings({ listener, entrance }: PreparedListener): readonly string[] {
  if (listener.trust.kind === 'everyone') return []
  const everyone = (entrance.allowedSubnets ?? []).filter((subnet) => subnet.endsWith('/0'))
  return everyone.map(
    (subnet) =>
      `The trusted subnet "${subnet}" of "${formatEndpoint(listener.listen)}" is every address: whoever can reach the port chooses the address that the app sees; list the addresses of your edges`,
  )
}

function targetWarnings(
  { listener, protocol }: PreparedListener,
  ports: readonly PreparedListener[],
): readonly string[] {
  const { listen, target4, target6 } = listener
  const listens = ports.filter((port) => port.protocol === protocol).map((port) => port.listener.listen)
  const targets = [target4, target6].filter((target) => target !== null)
  const own = targets.filter((target) =>
    listens.some((one) =>
      classifyAddress(one.address) === 'unspecified' ? target.port === one.port : isSameEndpoint(target, one),
    ),
  )
  return own.map(
    (target) =>
      `The target "${formatEndpoint(target)}" of "${formatEndpoint(listen)}" is the agent itself, unless the app has that address to itself; give the agent and the app different ports`,
  )
}

function datagramWarnings({ listener, entrance }: PreparedDatagrams): readonly string[] {
  const { udpHeader, idleMs } = entrance
  if (udpHeader !== 'first' && udpHeader !== 'alone') return []
  return [
    `With --udp-header ${udpHeader}, a client whom the edge remembers for more than ${idleMs / 1_000} s of silence can name any source to "${formatEndpoint(listener.listen)}": have the edge forget its clients sooner than --close-after, or write a header in front of every datagram`,
  ]
}
