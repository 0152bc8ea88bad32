import { isAbsolute } from 'node:path'
import type { Endpoint } from '../address/endpoint.ts'
import { agentFlags, parseAgent } from './agent.ts'
import { splitAgentArgv } from './agent-argv.ts'
import { type Flag, spelled, switchFlag, UsageError, valueFlag } from './flags.ts'
import { familyFlag, tableFlag } from './host-setup.ts'
import { parseText } from './values.ts'

const ownFlags = {
  name: valueFlag('name', 'NAME', 'Name of the service', parseName, 'truepeer-agent'),
  user: valueFlag(
    'user',
    'NAME',
    'The user that the service runs as; without it, one that exists only while it runs',
    parseUser,
  ),
  program: valueFlag('program', 'PATH', 'Where truepeer will be; without it, where it is now', parsePath),
  socket: switchFlag('socket', 'Let systemd open the port, so that it stays open while the agent is replaced'),
  firewall: switchFlag(
    'firewall',
    'Close the ports of the app to the outside and, with --user, keep foreign sources inside; needs nftables',
  ),
  table: tableFlag,
  family: familyFlag,
  root: valueFlag('root', 'DIR', 'Write below this folder, for packages and tests', parsePath, '/'),
  dryRun: switchFlag('dry-run', 'Print the units instead of writing them'),
  force: switchFlag('force', 'Overwrite or remove files that are not ours, or were edited'),
} as const

/** The flags of `truepeer agent install`: its own, and all of `truepeer agent`. */
export const agentInstallFlags = { ...ownFlags, ...agentFlags } as const

const { name, table, root, dryRun, force } = ownFlags
/** The flags of `truepeer agent uninstall`. */
export const agentUninstallFlags = { name, table, root, dryRun, force } as const

/** What the command line of `truepeer agent install` or `uninstall` says. */
export type AgentInstallCommand = {
  readonly action: 'install' | 'uninstall'
  readonly name: string
  readonly user: string | undefined
  readonly root: string
  readonly program: string | undefined
  readonly isDryRun: boolean
  readonly isForced: boolean
  readonly hasSocketUnit: boolean
  readonly table: number
  readonly family: string
  readonly closedPorts: readonly number[]
  readonly agent:
    | {
        readonly argv: readonly string[]
        readonly listen: Endpoint
        readonly workers: number
        readonly drainTimeoutMs: number
        readonly readFiles: readonly string[]
        readonly adminPath: string | undefined
      }
    | undefined
}

/** Reads the arguments behind `truepeer agent install` (`action` is the word "install") or `uninstall`. @throws UsageError */
export function parseAgentInstall(action: 'install' | 'uninstall', argv: readonly string[]): AgentInstallCommand {
  const { agentArgv, own } = splitAgentArgv(argv, ownFlags)
  const hasFirewall = own.firewall.length > 0
  const agent = action === 'install' ? installedAgent(agentArgv, hasFirewall, own.family[0]) : undefined
  if (agent === undefined && agentArgv.length > 0) {
    throw new UsageError(`truepeer agent uninstall does not need ${agentArgv[0]}; the name of the service is enough`)
  }
  return {
    action,
    name: own.name[0],
    user: own.user[0],
    root: own.root[0],
    program: own.program[0],
    isDryRun: own.dryRun.length > 0,
    isForced: own.force.length > 0,
    hasSocketUnit: own.socket.length > 0,
    table: own.table[0],
    family: own.family[0],
    closedPorts: agent?.closedPorts ?? [],
    agent,
  }
}

function installedAgent(argv: readonly string[], hasFirewall: boolean, family: 'both' | 'ipv4' | 'ipv6') {
  const command = parseAgent(argv)
  const [{ listen, target4, target6 }] = command.listeners
  const targets = { both: [target4, target6], ipv4: [target4], ipv6: [target6] }[family]
  const closedPorts = hasFirewall ? [...new Set(targets.map(({ port }) => port))] : []
  if (closedPorts.includes(listen.port)) {
    throw new UsageError(
      `--firewall would close port ${listen.port}, where the agent listens as well; ` +
        'give the app another port, or bind it to loopback and leave --firewall out',
    )
  }
  const { admin, drainTimeoutMs, workers } = command
  const adminPath = admin?.kind === 'unix' ? admin.path : undefined
  return { argv, listen, workers, drainTimeoutMs, readFiles: filesIn(argv), adminPath, closedPorts }
}

/** The values of all flags that take a file; each has to be an absolute path, because a service starts elsewhere. */
function filesIn(argv: readonly string[]): string[] {
  const names = Object.values<Flag<unknown>>(agentFlags).filter(({ metavar }) => metavar === 'FILE')
  const flags = new Set(names.map((flag) => spelled(flag)))
  return argv.flatMap((word, index) => {
    const [flag, path] = flags.has(argv[index - 1]) ? [argv[index - 1], word] : word.split(/=(.*)/s)
    if (path === undefined || !flags.has(flag)) return []
    if (!isAbsolute(path)) throw new UsageError(`${flag} ${JSON.stringify(path)}: give an absolute path`)
    return [path]
  })
}

function parseName(text: string, flag: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/.test(text)) return text
  throw new UsageError(`${flag} ${JSON.stringify(text)} is no name of a service; use letters, digits, "-" and "_"`)
}

function parseUser(text: string, flag: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9_-]{0,30}$/.test(text)) return text
  throw new UsageError(`${flag} ${JSON.stringify(text)} is no name of a user; use letters, digits, "-" and "_"`)
}

function parsePath(text: string, flag: string): string {
  if (isAbsolute(parseText(text, flag))) return text
  throw new UsageError(`${flag} ${JSON.stringify(text)} is not an absolute path; begin it with "/"`)
}
