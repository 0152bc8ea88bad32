import { readFileSync } from 'node:fs'
import type { AgentCommand } from '../cli/agent.ts'
import type { ProcessSettings } from '../cli/data-plane-flags.ts'
import type { EdgeCommand } from '../cli/edge.ts'
import type { ConnectionLimits } from '../dataplane/worker/worker-loop.ts'

/** Descriptors that node, the workers' loops, the log and the admin server need beside those of connections. */
const DESCRIPTORS_RESERVED = 48
const DESCRIPTORS_PER_CONNECTION = 2
/** The others are for what else on the host speaks UDP. */
const PORTS_PART = 0.9

type ProcessLimits = Pick<ProcessSettings, 'maxConnections' | 'maxConnectionsPerWorker'>

/** What else bounds the numbers of {@link connectionLimits}. */
type FlowBounds = {
  /** The number of flows that was asked for; 0: none. */
  readonly asked: number
  /** Where no number was asked for, there are not more. */
  readonly most: number
  /** Connections and flows have their descriptors from the same limit of open files. */
  readonly isShared: boolean
}

/**
 * How many connections and flows the process takes. Without a number given (0), open files bound them.
 *
 * @param descriptors what connections and flows may have together
 */
function connectionLimits(
  { maxConnections, maxConnectionsPerWorker: perWorker }: ProcessLimits,
  { asked, most, isShared }: FlowBounds,
  descriptors = descriptorsForClients(),
): ConnectionLimits {
  // A flow has one descriptor, so that half of them is left.
  const rest = descriptors - (isShared ? maxConnections * DESCRIPTORS_PER_CONNECTION : 0)
  const flowsMax = asked === 0 ? atLeastOne(Math.min(rest, descriptors / 2, most)) : asked
  const forConnections = descriptors - (isShared ? flowsMax : 0)
  const connectionsMax = maxConnections === 0 ? atLeastOne(forConnections / DESCRIPTORS_PER_CONNECTION) : maxConnections
  return { connectionsMax, connectionsPerWorkerMax: perWorker === 0 ? connectionsMax : perWorker, flowsMax }
}

/** The limits of an agent. */
export function agentLimits(
  settings: ProcessLimits & Pick<AgentCommand, 'flows' | 'listeners'>,
  descriptors?: number,
): ConnectionLimits {
  const served = new Set(settings.listeners.flatMap(({ protocols }) => protocols))
  return connectionLimits(
    settings,
    { asked: settings.flows.max, most: Number.POSITIVE_INFINITY, isShared: served.size > 1 },
    descriptors,
  )
}

/**
 * The same of an edge, whose flows take a port each of an address of this host: they have to make place for one another
 * before there is none left.
 */
export function edgeLimits(
  settings: ProcessLimits & Pick<EdgeCommand, 'configuration' | 'flowsMax' | 'sourceAddresses'>,
  descriptors?: number,
): ConnectionLimits {
  const addresses = Math.max(1, settings.sourceAddresses.length)
  const byPorts = Math.floor(portsOfAnAddress() * PORTS_PART) * addresses
  const isShared = mayServeDatagrams(settings.configuration)
  return connectionLimits(settings, { asked: settings.flowsMax, most: byPorts, isShared }, descriptors)
}

/** Files and a controller can name a frontend of UDP at any time. */
function mayServeDatagrams(configuration: EdgeCommand['configuration']): boolean {
  if (configuration.kind !== 'resources') return true
  return configuration.resources.some(
    ({ collection, resource }) => collection === 'forwardingRules' && resource.IPProtocol === 'UDP',
  )
}

/** The ports that the kernel gives (ip-sysctl, ip_local_port_range). */
function portsOfAnAddress(): number {
  const [first, last] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split('\t').map(Number)
  return last - first + 1
}

/** What RLIMIT_NOFILE (getrlimit(2)) leaves for clients; node has raised the soft limit to the hard one. */
function descriptorsForClients(): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  if (limit === undefined) return Number.MAX_SAFE_INTEGER
  return Number(limit) - DESCRIPTORS_RESERVED
}

function atLeastOne(count: number): number {
  return Math.max(1, Math.floor(count))
}
