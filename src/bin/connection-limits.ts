import { readFileSync } from 'node:fs'
import type { AgentCommand } from '../cli/agent.ts'
import type { EdgeCommand } from '../cli/edge.ts'
import type { Limits } from '../dataplane/event-loop.ts'

/** Descriptors that node, the workers' loops, the log and the admin server need beside those of connections. */
const DESCRIPTORS_RESERVED = 48
const DESCRIPTORS_PER_CONNECTION = 2

/** The limits that an edge and an agent share. Without a number given, open files bound the connections. */
export function connectionLimits(
  command: Pick<
    AgentCommand | EdgeCommand,
    'maxConnections' | 'maxConnectionsPerWorker' | 'connectTimeoutMs' | 'halfClosedTimeoutMs'
  >,
): Omit<Limits, 'headerTimeoutMs' | 'idleTimeoutMs'> {
  const connectionsMax = command.maxConnections === 0 ? connectionsByOpenFiles() : command.maxConnections
  return {
    connectionsMax,
    connectionsPerWorkerMax: command.maxConnectionsPerWorker === 0 ? connectionsMax : command.maxConnectionsPerWorker,
    connectTimeoutMs: command.connectTimeoutMs,
    halfClosedTimeoutMs: command.halfClosedTimeoutMs,
  }
}

/** RLIMIT_NOFILE (getrlimit(2)) as a number of connections, at least 1; node has raised the soft limit to the hard one. */
function connectionsByOpenFiles(): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  if (limit === undefined) return Number.MAX_SAFE_INTEGER
  return Math.max(1, Math.floor((Number(limit) - DESCRIPTORS_RESERVED) / DESCRIPTORS_PER_CONNECTION))
}
