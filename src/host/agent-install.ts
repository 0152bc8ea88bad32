import { existsSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { type AgentUnitsOptions, agentUnitFileNames, agentUnits, socketUnits, type UnitPort } from './agent-units.ts'
import { HostError } from './tools.ts'
import { markedText, removeUnits, type UnitChange, writeUnits } from './unit-files.ts'

/** What the command line of `truepeer agent install` or `uninstall` says. */
export type AgentInstallOptions = {
  readonly action: 'install' | 'uninstall'
  readonly name: string
  readonly user: string | undefined
  readonly root: string
  /** undefined: the program that runs now. */
  readonly program: string | undefined
  readonly isDryRun: boolean
  readonly isForced: boolean
  readonly hasSocketUnit: boolean
  readonly table: number
  readonly family: string
  /** Ports of the app that host-setup is to close to the outside; empty: no firewall. */
  readonly closedPorts: readonly number[]
  /** The words behind `truepeer agent`, and some of what they say; for "uninstall", undefined. */
  readonly agent: InstalledAgent | undefined
}

/** The agent that the units start. */
export type InstalledAgent = {
  readonly argv: readonly string[]
  readonly ports: readonly UnitPort[]
  readonly workers: number
  readonly drainTimeoutMs: number
  /** Files that it reads. */
  readonly readFiles: readonly string[]
  /** The UNIX socket that it makes. */
  readonly adminPath: string | undefined
  readonly controller: InstalledController | undefined
}

/** The controller that it follows. */
export type InstalledController = {
  /** Where the controller's UNIX socket is, if it is spoken with over one. */
  readonly socketPath: string | undefined
  readonly tokenFile: string | undefined
  /** Where the addresses of edges are kept. */
  readonly stateDirectory: string
}

/** Where this program and its node are; read once, in src/bin. */
export type Installation = { readonly program: string; readonly node: string }

/** Folders that systemd searches for programs (systemd.exec(5), "Environment Variables in Spawned Processes"). */
const SEARCHED = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']
/** What ProtectHome=yes and PrivateTmp=yes hide. */
const HIDDEN = ['/home/', '/root/', '/run/user/', '/tmp/', '/var/tmp/']

/**
 * Runs `truepeer agent install` or `uninstall`; `print` takes its standard output. It never runs systemctl.
 *
 * @returns the exit status
 * @throws HostError; nothing is written or removed then
 */
export function runAgentInstall(
  options: AgentInstallOptions,
  installation: Installation,
  print: (text: string) => void,
): number {
  const { name, root, isForced } = options
  if (options.agent === undefined) {
    const fileNames = agentUnitFileNames(name)
    if (options.isDryRun) print(fileNames.map((fileName) => `would remove ${fileName}\n`).join(''))
    else print(formatChanges(removeUnits(root, fileNames, isForced)) + stepsAfterRemoval(options))
    return 0
  }
  const units = agentUnits(unitsOptions(options, options.agent, installation))
  if (options.isDryRun) print(units.map(({ fileName, text }) => `==> ${fileName} <==\n${markedText(text)}\n`).join(''))
  else print(formatChanges(writeUnits(root, units, isForced)) + missingText(options) + stepsAfterInstallation(options))
  return 0
}

function unitsOptions(
  options: AgentInstallOptions,
  agent: InstalledAgent,
  installation: Installation,
): AgentUnitsOptions {
  const { name, user, hasSocketUnit } = options
  const program = options.program ?? installation.program
  // The units may be for another host when the program is named: its node is not known here.
  const nodeDirectory = options.program === undefined ? directoryOfNode(installation.node) : undefined
  for (const path of [program, nodeDirectory ?? '/', ...agent.readFiles]) refuseHidden(path)
  if (agent.controller !== undefined) checkController(agent.controller, options)
  if (agent.adminPath !== undefined && !agent.adminPath.startsWith(`/run/${name}/`)) {
    throw new HostError(
      `The service can write only to /run/${name}; let the admin server listen on unix:/run/${name}/admin.sock`,
    )
  }
  return {
    ...{ name, program, nodeDirectory, user, hasSocketUnit },
    agentArgv: agent.argv,
    hostSetupArgv: hostSetupArgv(options),
    ports: agent.ports,
    workers: agent.workers,
    drainTimeoutMs: agent.drainTimeoutMs,
    controller: agent.controller,
  }
}

function checkController(
  { socketPath, stateDirectory }: InstalledController,
  { name, user }: AgentInstallOptions,
): void {
  if (socketPath !== undefined) refuseHidden(socketPath)
  if (socketPath !== undefined && user === undefined) {
    throw new HostError(
      `Only the controller's user may connect to "${socketPath}"; give that user with --user, or give the URL of the controller`,
    )
  }
  if (stateDirectory !== `/var/lib/${name}`) {
    throw new HostError(`The service cannot write to "${stateDirectory}"; set "state", or --state, to /var/lib/${name}`)
  }
}

function directoryOfNode(node: string): string | undefined {
  const directory = dirname(node)
  return SEARCHED.includes(directory) ? undefined : directory
}

function refuseHidden(path: string): void {
  if (!isAbsolute(path)) throw new HostError(`A service has no working directory; give "${path}" as an absolute path`)
  const folder = HIDDEN.find((hidden) => `${path}/`.startsWith(hidden))
  if (folder === undefined) return
  throw new HostError(
    `The service cannot see "${path}", because ${folder} is hidden from it; ` +
      'put programs under /opt or /usr/local (--program may name one that is still to be installed), and lists and configuration under /etc/truepeer',
  )
}

function hostSetupArgv({ table, family, closedPorts, user }: AgentInstallOptions): string[] {
  const firewall = closedPorts.flatMap((port) => ['--app-port', String(port)])
  // A user that exists only while the service runs has no number yet when the host is set up.
  const held = closedPorts.length > 0 && user !== undefined ? ['--agent-user', user] : []
  return ['--table', String(table), '--family', family, ...firewall, ...held]
}

function formatChanges(changes: readonly UnitChange[]): string {
  return changes.map(({ path, change }) => `${change.padEnd(10)}${path}\n`).join('')
}

/** What the service will miss: it may be made after the units, so that it is no error. */
function missingText({ root, user, agent }: AgentInstallOptions): string {
  const files = [...(agent?.readFiles ?? []), agent?.controller?.tokenFile ?? []].flat()
  const missing = files.filter((path) => !existsSync(join(root, path))).map((path) => `"${path}" does not exist`)
  if (user !== undefined && !hasUser(join(root, '/etc/passwd'), user)) missing.push(`there is no user "${user}"`)
  return missing.map((problem) => `warning: ${problem}; the service does not start without it\n`).join('')
}

/** Without the file, nobody is known to be missing. */
function hasUser(path: string, user: string): boolean {
  if (!existsSync(path)) return true
  const users = readFileSync(path, 'utf8').split('\n')
  return users.some((line) => {
    const [name, , uid] = line.split(':')
    return name === user || uid === user
  })
}

function stepsAfterInstallation({ name, root, hasSocketUnit, agent }: AgentInstallOptions): string {
  const units = socketUnits({ name, hasSocketUnit, ports: agent?.ports ?? [] })
  const sockets = units.map(({ fileName }) => ` ${fileName}`).join('')
  if (root !== '/') return ''
  return `\nNext:\n  systemctl daemon-reload && systemctl enable --now ${name}-setup.service${sockets} ${name}.service\n`
}

function stepsAfterRemoval({ name, root, table }: AgentInstallOptions): string {
  if (root !== '/') return ''
  return [
    '',
    'Next:',
    `  systemctl stop ${name}.socket ${name}-udp.socket ${name}.service; systemctl daemon-reload`,
    '  # if no other agent on this host needs the routing:',
    `  systemctl stop ${name}-setup.service; truepeer host-setup remove --table ${table}`,
    '  # what an agent with a controller has saved of its edges:',
    `  rm -rf /var/lib/${name} /var/lib/private/${name}`,
    '',
  ].join('\n')
}
