import { type Cidr, formatCidr } from '../address/cidr.ts'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import type { Limits } from '../dataplane/event-loop.ts'
import type { Program, ProgramContext } from '../dataplane/program.ts'
import { WorkerPool } from '../dataplane/worker-pool.ts'
import type { AgentRoleOptions } from './agent-role.ts'
import { readAllowedSubnets } from './allowed-subnets.ts'
import { checkPrerequisites } from './prerequisites.ts'

/** The install configuration of an agent: read once, from the command line. */
export type AgentOptions = Omit<AgentRoleOptions, 'allowedSubnets'> & {
  readonly listen: Endpoint
  /** The file with the trusted edges' subnets; undefined: everyone is trusted. */
  readonly allowedSubnetsFile: string | undefined
  readonly workers: number
  readonly limits: Limits
}

/**
 * Starts an agent: checks what it needs, opens its port, and serves until told otherwise.
 *
 * @throws AllowedSubnetsError, SystemCallError or Error, each with its remedy; nothing is left running then
 */
export function startAgent(options: AgentOptions, context: ProgramContext): Program {
  const { log } = context
  const readSubnets = (): string[] | null =>
    options.allowedSubnetsFile === undefined ? null : toTexts(readAllowedSubnets(options.allowedSubnetsFile))
  const allowedSubnets = readSubnets()
  checkPrerequisites()
  const { listen, allowedSubnetsFile, workers, limits, ...role } = options
  const pool = new WorkerPool<AgentRoleOptions>({
    entry: new URL('./worker.js', import.meta.url),
    workers,
    listen: [listen],
    liveness: options.liveness,
    limits,
    roleOptions: { ...role, allowedSubnets },
    log,
    onFatal: context.onFatal,
  })
  log('info', 'listening', {
    listen: formatEndpoint(listen),
    target4: formatEndpoint(options.target4),
    target6: formatEndpoint(options.target6),
    allowedSubnets: allowedSubnets === null ? 'all' : allowedSubnets.length,
    workers,
  })

  return {
    reload() {
      try {
        const changed = readSubnets()
        pool.configure(changed)
        log('info', 'reloaded', { allowedSubnets: changed === null ? 'all' : changed.length })
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        log('error', `Reload failed, the subnets of before stay in force: ${reason}`)
      }
    },
    drain: () => pool.drain(),
    stopNow: () => pool.stopNow(),
    read: (slot) => pool.read(slot),
  }
}

function toTexts(cidrs: readonly Cidr[]): string[] {
  return cidrs.map(formatCidr)
}
