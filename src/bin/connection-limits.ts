import { readFileSync } from 'node:fs'
import type { ProcessSettings } from '../cli/data-plane-flags.ts'
import type { ConnectionLimits } from '../dataplane/worker/worker-loop.ts'

/** Descriptors that node, the workers' loops, the log and the admin server need beside those of connections. */
const DESCRIPTORS_RESERVED = 48
const DESCRIPTORS_PER_CONNECTION = 2
/** The others are for what else on the host speaks UDP. */
const PORTS_PART = 0.9

/** How many connections and flows the process takes. Without a number given (0), open files bound them. */
export function connectionLimits(settings: ProcessSettings, flowsMax = 0): ConnectionLimits {
  const byOpenFiles = connectionsByOpenFiles()
  const connectionsMax = settings.maxConnections === 0 ? byOpenFiles : settings.maxConnections
  const perWorker = settings.maxConnectionsPerWorker
  // A flow has one descriptor, so that half of them is left.
  return {
    connectionsMax,
    connectionsPerWorkerMax: perWorker === 0 ? connectionsMax : perWorker,
    flowsMax: flowsMax === 0 ? byOpenFiles : flowsMax,
  }
}

/**
 * The same of an edge, whose flows take a port each of an address of this host: they have to make place for one another
 * before there is none left.
 */
export function edgeLimits(
  settings: ProcessSettings & { readonly flowsMax: number; readonly sourceAddresses: readonly unknown[] },
): ConnectionLimits {
  const limits = connectionLimits(settings, settings.flowsMax)
  if (settings.flowsMax !== 0) return limits
  const addresses = Math.max(1, settings.sourceAddresses.length)
  const byPorts = Math.floor(portsOfAnAddress() * PORTS_PART) * addresses
  return { ...limits, flowsMax: Math.min(limits.flowsMax, byPorts) }
}

/** The ports that the kernel gives (ip-sysctl, ip_local_port_range). */
function portsOfAnAddress(): number {
  const [first, last] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split('\t').map(Number)
  return last - first + 1
}

/** RLIMIT_NOFILE (getrlimit(2)) as a number of connections, at least 1; node has raised the soft limit to the hard one. */
function connectionsByOpenFiles(): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  if (limit === undefined) return Number.MAX_SAFE_INTEGER
  return Math.max(1, Math.floor((Number(limit) - DESCRIPTORS_RESERVED) / DESCRIPTORS_PER_CONNECTION))
}
