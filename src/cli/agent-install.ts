import { dirname, isAbsolute, join } from 'node:path'
import type { Endpoint, Protocol } from '../address/endpoint.ts'
import {
  type AgentCommand,
  type AgentListenerCommand,
  agentConfigFile,
  agentStartFlags,
  type ReadAgentConfig,
  readAgent,
} from './agent.ts'
import { splitAgentArgv } from './agent-argv.ts'
import { agentControllerFlags } from './agent-controller.ts'
import { quoted, spelled, switchFlag, UsageError, valueFlag } from './flags.ts'
import type { FollowerSettings } from './follower-flags.ts'
import { familyFlag, tableFlag } from './host-setup.ts'
import { parseText } from './values.ts'

const ownFlags = {
  name: valueFlag('name', 'NAME', 'Name of the service', parseName, 'truepeer-agent'),
  user: valueFlag(
    'user',
    'NAME',
    'The user that the service runs as; without this flag, systemd makes a user that exists only while the service runs',
    parseUser,
  ),
  program: valueFlag(
    'program',
    'PATH',
    'The path at which truepeer will be installed; without this flag, where it is now',
    parsePath,
  ),
  socket: switchFlag(
    'socket',
    'Let systemd open the ports, so that they stay open while the agent is replaced; those of UDP with a longer queue',
  ),
  firewall: switchFlag(
    'firewall',
    'Close the ports of the app to the network and, with --user, stop packets with foreign source addresses from leaving this host; needs nftables',
  ),
  table: tableFlag,
  family: familyFlag,
  root: valueFlag('root', 'DIR', 'Write the units below this folder; for packages and tests', parsePath, '/'),
  dryRun: switchFlag('dry-run', 'Print the units instead of writing them'),
  force: switchFlag('force', 'Also overwrite or remove files that truepeer did not write, or that were edited'),
} as const

const config = {
  ...agentStartFlags.config,
  help: `${agentStartFlags.config.help}. It is read and checked now (with --root, below that folder), and read again by the service`,
} as const
/** The flags of `truepeer agent install`: its own, and all that an agent is started with. */
export const agentInstallFlags = { ...ownFlags, ...agentStartFlags, config } as const

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
        readonly ports: readonly { readonly listen: Endpoint; readonly protocols: readonly Protocol[] }[]
        readonly workers: number
        readonly drainTimeoutMs: number
        readonly readFiles: readonly string[]
        readonly adminPath: string | undefined
        readonly controller:
          | {
              readonly socketPath: string | undefined
              readonly tokenFile: string | undefined
              readonly stateDirectory: string
            }
          | undefined
      }
    | undefined
}

/**
 * Reads the arguments behind `truepeer agent install` (`action` is the word "install") or `uninstall`, and the
 * configuration file that they name, below `--root`.
 *
 * @throws UsageError
 */
export function parseAgentInstall(
  action: 'install' | 'uninstall',
  argv: readonly string[],
  readConfig: ReadAgentConfig,
): AgentInstallCommand {
  const { agentArgv, own } = splitAgentArgv(argv, ownFlags)
  const agent =
    action === 'install' ? installedAgent(agentArgv, (path) => readConfig(join(own.root[0], path))) : undefined
  if (agent === undefined && agentArgv.length > 0) {
    throw new UsageError(`agent uninstall does not need ${agentArgv[0]}; the name of the service is enough`)
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
    closedPorts: agent !== undefined && own.firewall.length > 0 ? portsToClose(agent.listeners, own.family[0]) : [],
    agent,
  }
}

function installedAgent(argv: readonly string[], readConfig: ReadAgentConfig) {
  const configFile = agentConfigFile(argv)
  if (configFile !== undefined) refuseRelative(configFile, '--config')
  const { admin, drainTimeoutMs, workers, listeners, controller } = readAgent(argv, readConfig)
  const ports = listeners.map(({ listen, protocols }) => ({ listen, protocols }))
  const readFiles = [
    ...(configFile === undefined ? [] : [configFile]),
    ...subnetFiles(listeners, configFile),
    ...(controller?.caFile === undefined ? [] : [controller.caFile]),
  ]
  const adminPath = admin?.kind === 'unix' ? admin.path : undefined
  const followed = controller && installedController(controller, configFile)
  return { argv, listeners, ports, workers, drainTimeoutMs, readFiles, adminPath, controller: followed }
}

function installedController({ address, tokenFile, caFile, file }: FollowerSettings, configFile: string | undefined) {
  const socketPath = address.kind === 'unix' ? address.path : undefined
  const stateDirectory = dirname(file)
  const paths = { controller: socketPath, state: stateDirectory, tokenFile, controllerCa: caFile }
  for (const [key, path] of Object.entries(paths)) {
    const flag = spelled(agentControllerFlags[key as keyof typeof paths])
    if (path !== undefined) refuseRelative(path, configFile === undefined ? flag : `${configFile}: /${key}`)
  }
  return { socketPath, tokenFile, stateDirectory }
}

/** The files of trusted edges. @throws UsageError for one that a service, which starts elsewhere, would not find */
function subnetFiles(listeners: AgentCommand['listeners'], configFile: string | undefined): string[] {
  return listeners.flatMap(({ trust }, index) => {
    if (trust.kind !== 'file') return []
    const place =
      configFile === undefined ? '--allowed-subnets' : `${configFile}: /listeners/${index}/allowedSubnetsFile`
    refuseRelative(trust.path, place)
    return [trust.path]
  })
}

function refuseRelative(path: string, place: string): void {
  if (!isAbsolute(path)) throw new UsageError(`${place} ${quoted(path)}: give an absolute path`)
}

/** The ports of the app. @throws UsageError when the agent listens on one of them as well */
function portsToClose(listeners: readonly AgentListenerCommand[], family: 'both' | 'ipv4' | 'ipv6'): number[] {
  const targets = listeners.flatMap(
    ({ target4, target6 }) => ({ both: [target4, target6], ipv4: [target4], ipv6: [target6] })[family],
  )
  const ports = [...new Set(targets.flatMap((target) => target?.port ?? []))]
  const taken = listeners.find(({ listen }) => ports.includes(listen.port))
  if (taken === undefined) return ports
  throw new UsageError(
    `--firewall would close port ${taken.listen.port}, where the agent listens as well; ` +
      'give the app another port, or bind it to loopback and leave --firewall out',
  )
}

function parseName(text: string, flag: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/.test(text)) return text
  throw new UsageError(`${flag} ${JSON.stringify(text)} is not a name for a service; use letters, digits, "-" and "_"`)
}

function parseUser(text: string, flag: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9_-]{0,30}$/.test(text)) return text
  throw new UsageError(`${flag} ${JSON.stringify(text)} is not a name for a user; use letters, digits, "-" and "_"`)
}

function parsePath(text: string, flag: string): string {
  if (isAbsolute(parseText(text, flag))) return text
  throw new UsageError(`${flag} ${JSON.stringify(text)} is not an absolute path; begin it with "/"`)
}
