// The program: argv and the environment are read here and nowhere else.

import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import type { AgentConfiguration, AgentController } from '../agent/agent.ts'
import type { AgentListener } from '../agent/agent-listener.ts'
import { type AgentCommand, hasAgentConfig, type ReadAgentConfig, readAgent, takeCheck } from '../cli/agent.ts'
import { parseAgentInstall } from '../cli/agent-install.ts'
import {
  formatTokens,
  parseBackup,
  parseController,
  parseRestore,
  parseToken,
  type TokenCommand,
} from '../cli/controller.ts'
import { parseDoctor, parseEdgeDoctor } from '../cli/doctor.ts'
import { type EdgeCommand, parseEdge } from '../cli/edge.ts'
import type { EdgeControllerSettings } from '../cli/edge-controller.ts'
import { quoted, UsageError } from '../cli/flags.ts'
import type { FollowerSettings } from '../cli/follower-flags.ts'
import { type CommandName, commandHelp, commands, groupHelp, programHelp } from '../cli/help.ts'
import { parseHostSetup } from '../cli/host-setup.ts'
import { formatStatus, parseStatus, readStatus, type StatusCommand, whyPath } from '../cli/status.ts'
import { formatSteered, parseSteer } from '../cli/steer.ts'
import { parseVerify, parseWhoami, type VerifyCommand } from '../cli/verify.ts'
import { formatWhy, readWhy } from '../cli/why.ts'
import { nearestWord } from '../compute/nearest-word.ts'
import type { ProgramContext } from '../dataplane/worker/program.ts'
import type { RunningEdge } from '../edge/edge.ts'
import { ConfigurationError } from '../edge/frontends/configuration-error.ts'
import { snapshotWarnings } from '../snapshot/snapshot-warnings.ts'
import { askAdmin } from '../telemetry/ask-admin.ts'
import type { Log } from '../telemetry/log.ts'
import { messageOf } from '../text/error-message.ts'
import { agentLimits, edgeLimits } from './connection-limits.ts'
import { edgePlace, readPositions } from './edge-place.ts'
import { readNamedFile, readNamedRoots } from './named-file.ts'
import { programVersion } from './program-version.ts'
import { tellServiceManager } from './service-manager.ts'

const EXIT_USAGE = 2
const VERSION_WORDS = ['version', '--version', '-version', '-V']

/** What a unit that runs this very installation has to name. */
const INSTALLATION = {
  program: fileURLToPath(new URL('../../../bin/truepeer', import.meta.url)),
  node: process.execPath,
}

async function main(argv: readonly string[]): Promise<void> {
  const [name] = argv
  if (name === undefined) throw new UsageError(`Which command?\n\n${programHelp()}`)
  if (name === 'help') return print(helpOf(argv.slice(1)))
  if (isHelp(name)) return print(programHelp())
  if (VERSION_WORDS.includes(name)) return print(`truepeer ${programVersion()}\n`)
  const group = argv.length === 2 && isHelp(argv[1]) ? groupHelp(name) : undefined
  if (group !== undefined) return print(group)
  const command = findCommand(argv)
  // What follows "--" is for another program.
  const end = argv.indexOf('--')
  if ((end < 0 ? argv : argv.slice(0, end)).some(isHelp)) return print(commandHelp(commands[command]))
  await run(command, argv.slice(command.split(' ').length))
}

/** The longest name of a command at the front of `argv`. @throws UsageError */
function findCommand(argv: readonly string[]): CommandName {
  for (const words of [2, 1]) {
    const name = argv.slice(0, words).join(' ')
    if (Object.hasOwn(commands, name)) return name as CommandName
  }
  const names = Object.keys(commands)
  const given = argv.slice(0, 2).join(' ')
  const nearest = nearestWord(argv[0], names) ?? nearestWord(given, names)
  if (nearest !== undefined) throw new UsageError(`Unknown command ${quoted(argv[0])}; did you mean "${nearest}"?`)
  const longer = names.filter((name) => name.startsWith(`${argv[0]} `))
  throw new UsageError(`Unknown command ${quoted(given)}; there are ${(longer.length > 0 ? longer : names).join(', ')}`)
}

/** The text of `truepeer help`, or of `truepeer help COMMAND`. */
function helpOf(words: readonly string[]): string {
  if (words.length === 0 || isHelp(words[0])) return programHelp()
  const group = words.length === 1 ? groupHelp(words[0]) : undefined
  return group ?? commandHelp(commands[findCommand(words)])
}

async function run(command: CommandName, argv: readonly string[]): Promise<void> {
  switch (command) {
    case 'edge':
      return runEdge(parseEdge(argv))
    case 'agent':
      return runAgent(argv)
    case 'agent install':
      return installAgent('install', argv)
    case 'agent uninstall':
      return installAgent('uninstall', argv)
    case 'doctor agent':
      return examineAgent(argv)
    case 'doctor edge':
      return examineEdge(argv)
    case 'status':
      return runStatus(parseStatus(argv))
    case 'drain':
    case 'enable':
      return runSteer(command, argv)
    case 'controller':
    case 'controller backup':
    case 'controller restore':
    case 'controller token':
      return runControllerCommand(command, argv)
    case 'verify':
      return exitWith(await runVerify(parseVerify(argv)))
    case 'whoami':
      return runWhoami(parseWhoami(argv))
    case 'host-setup':
      return setUpHost(argv)
    case 'lab up':
    case 'lab down':
    case 'lab status':
    case 'lab reset':
    case 'lab shell':
    case 'lab exec':
    case 'lab env': {
      const { runLabCommand } = await import('./lab-commands.ts')
      return exitWith(await runLabCommand(command, argv, INSTALLATION.program, print))
    }
  }
}

// Each command loads only what it needs: it starts sooner, and under a low limit of open files at all.

async function installAgent(action: 'install' | 'uninstall', argv: readonly string[]): Promise<void> {
  const command = parseAgentInstall(action, argv, await agentConfigReader(argv))
  const { runAgentInstall } = await import('../host/agent-install.ts')
  exitWith(runAgentInstall(command, INSTALLATION, print))
}

async function examineAgent(argv: readonly string[]): Promise<void> {
  const command = parseDoctor(['agent', ...argv], await agentConfigReader(argv))
  const { runDoctor } = await import('../host/doctor.ts')
  const { readAllowedSubnets } = await import('../agent/allowed-subnets.ts')
  const { parseLastEdges } = await import('../agent/trusted-edges.ts')
  const { askAboutInstance } = await import('./controller-connection.ts')
  const { controller: settings } = command
  const controller = settings && { ...settings, ask: () => askAboutInstance(settings) }
  exitWith(await runDoctor({ ...command, controller }, { readAllowedSubnets, parseLastEdges }, print))
}

async function examineEdge(argv: readonly string[]): Promise<void> {
  const { edge, json } = parseEdgeDoctor(argv)
  const { runEdgeDoctor } = await import('../host/edge-doctor.ts')
  const { edgeToExamine } = await import('./edge-examination.ts')
  exitWith(await runEdgeDoctor(edgeToExamine(edge), json, print))
}

async function setUpHost(argv: readonly string[]): Promise<void> {
  const command = parseHostSetup(argv)
  const { runHostSetup } = await import('../host/host-setup.ts')
  // One that goes on has more to do than to print: output that nobody takes is lost.
  if (command.isKept) process.stdout.on('error', () => {})
  const tell = command.isKept ? (text: string): unknown => process.stdout.write(text) : print
  exitWith(await runHostSetup(command, tell, () => tellServiceManager('ready')))
}

function exitWith(status: number): void {
  process.exitCode = status
}

async function runAgent(argv: readonly string[]): Promise<void> {
  const { isOnlyChecked, rest } = takeCheck(argv)
  const readConfig = await agentConfigReader(rest)
  const read = (): AgentCommand => readAgent(rest, readConfig)
  const command = read()
  const { controllerClient } = await import('./controller-connection.ts')
  if (isOnlyChecked) {
    // Its files are read as at a start; nothing is asked.
    if (command.controller !== undefined) controllerClient(command.controller)
    const { describeAgent } = await import('../agent/describe-agent.ts')
    return print(describeAgent(command.listeners))
  }
  const { workers, warmsUp, workerWatch } = command
  const { startAgent } = await import('../agent/agent.ts')
  const { TrustedEdges } = await import('../agent/trusted-edges.ts')
  const { serve } = await import('./serve.ts')
  const openController = (settings: FollowerSettings, log: Log): AgentController => {
    const { name, file } = settings
    return {
      key: JSON.stringify(settings),
      open: () => new TrustedEdges({ client: controllerClient(settings), instance: name, file, log }),
    }
  }
  return serve(command, (context) => {
    const readConfiguration = (): AgentConfiguration => {
      const { listeners, controller } = read()
      return { listeners, controller: controller && openController(controller, context.log) }
    }
    const limits = agentLimits(command)
    const flowsPerEdgeMax = command.flows.perEdgeMax
    return startAgent(
      { workers, warmsUp, workerWatch, limits, flowsPerEdgeMax, readConfiguration, examineHost },
      context,
    )
  })
}

/** What is wrong with this host; loaded once the agent serves. */
async function examineHost(listeners: readonly AgentListener[]): Promise<readonly string[]> {
  const { agentProblems } = await import('../host/agent-problems.ts')
  return agentProblems(listeners)
}

/** What reads a file of `--config`: an agent without one does not pay for the parser of YAML. */
async function agentConfigReader(argv: readonly string[]): Promise<ReadAgentConfig> {
  const module = hasAgentConfig(argv) ? await import('../cli/agent-config.ts') : undefined
  return (path) => {
    assert(module !== undefined, 'Only --config names a file')
    return module.parseAgentConfig(readNamedFile('--config', path).text, path)
  }
}

async function runEdge(command: EdgeCommand): Promise<void> {
  const { configuration, isOnlyChecked, allowsLocalBackends, ...settings } = command
  if (configuration.kind === 'controller') return runFollowingEdge(command, configuration)
  // Only here: reading resources takes 16 MB and a tenth of a second, which an agent should not pay.
  const { configurationPaths, describeConfiguration, readSnapshot, readTicketKeyFile } = await import(
    './edge-configuration.ts'
  )
  if (isOnlyChecked) {
    const { positions } = await edgePlace(command)
    return print(describeConfiguration(configuration, allowsLocalBackends, { ...command, positions }))
  }
  const { startEdge } = await import('../edge/edge.ts')
  const { FileWatcher } = await import('./file-watcher.ts')
  const place = await edgePlace(command)
  const { regionFile } = command
  const watched = configurationPaths(configuration).concat(regionFile ?? [])
  const watcher = configuration.isWatched ? new FileWatcher(watched) : null
  const limits = edgeLimits(command)
  await serveEdge(command, async (context) => {
    const options = {
      ...settings,
      place,
      limits,
      strayedSockets: 'refused',
      unopenedFrontends: 'refused',
      readSnapshot: () => {
        const snapshot = readSnapshot(configuration, allowsLocalBackends)
        const { positions } = place
        for (const warning of snapshotWarnings(snapshot, { ...command, positions }))
          context.log('warn', `The configuration: ${warning}`)
        return snapshot
      },
      readTicketKeys: () => readTicketKeyFile(configuration),
      readPositions: async () => (regionFile === undefined ? undefined : readPositions(regionFile)),
    } as const
    const edge = await startEdge(options, context)
    watcher?.start(() => void edge.reload())
    return edge
  })
}

type ControllerCommandName = Extract<CommandName, `controller${string}`>

/** The store takes time and memory that edges and agents should not pay, so each module is loaded where it is used. */
async function runControllerCommand(command: ControllerCommandName, argv: readonly string[]): Promise<void> {
  switch (command) {
    case 'controller': {
      const parsed = parseController(argv)
      const { runController } = await import('./controller-process.ts')
      return runController(parsed)
    }
    case 'controller backup': {
      const { directory, file } = parseBackup(argv)
      const { backUp } = await import('../controller/store/backup.ts')
      return backUp(directory, file)
    }
    case 'controller restore': {
      const { directory, file, overwrites } = parseRestore(argv)
      const { restore } = await import('../controller/store/backup.ts')
      return restore(directory, file, overwrites)
    }
    case 'controller token':
      return runToken(parseToken(argv))
  }
}

async function runToken(command: TokenCommand): Promise<void> {
  const { directory, action } = command
  const { CREATE_REMEDY, requireDatabase } = await import('../controller/store/data-directory.ts')
  const { createToken, listTokens, revokeToken } = await import('../controller/store/tokens.ts')
  switch (action) {
    case 'create':
      if (!command.creates) requireDatabase(directory, CREATE_REMEDY)
      return print(`${createToken(directory, command)}\n`)
    case 'revoke':
      if (revokeToken(directory, command.id)) return
      throw new Error(`There is no token ${quoted(command.id)}; "truepeer controller token list" shows them`)
    case 'list':
      return print(formatTokens(listTokens(directory)))
  }
}

async function runFollowingEdge(command: EdgeCommand, configuration: EdgeControllerSettings): Promise<void> {
  const { configuration: _configuration, isOnlyChecked: _checked, allowsLocalBackends, ...settings } = command
  const { startFollowingEdge } = await import('./following-edge.ts')
  const place = await edgePlace(command)
  const limits = edgeLimits(command)
  await serveEdge(command, (context) =>
    startFollowingEdge(
      {
        edge: { ...settings, place, limits },
        allowsLocalBackends,
        controller: configuration,
        regionFile: command.regionFile,
        surroundings: { ...command, positions: place.positions },
      },
      context,
    ),
  )
}

/** The admin server listens before the edge is there. */
async function serveEdge(
  command: EdgeCommand,
  start: (context: ProgramContext) => Promise<RunningEdge>,
): Promise<void> {
  let edge: RunningEdge | undefined
  const { serve } = await import('./serve.ts')
  await serve({ ...command, edge: () => edge }, async (context) => {
    edge = await start(context)
    return edge
  })
}

async function runStatus({ admin, json, why }: StatusCommand): Promise<void> {
  if (why !== undefined) {
    const answer = await askAdmin(admin, 'GET', whyPath(why))
    return print(json ? answer : formatWhy(readWhy(answer)))
  }
  const body = await askAdmin(admin, 'GET', '/status')
  const status = readStatus(body)
  print(json ? body : formatStatus(status))
}

/** Takes a backend of a running edge out, or in again. */
async function runSteer(action: 'drain' | 'enable', argv: readonly string[]): Promise<void> {
  const { admin, backend } = parseSteer(action, argv)
  print(formatSteered(await askAdmin(admin, 'POST', `/backends/${encodeURIComponent(backend)}/${action}`)))
}

async function runVerify(command: VerifyCommand): Promise<number> {
  const { protocol, client, json, ...target } = command
  // Here and below: edge and agent need none of it, and are loaded with few descriptors to spare where the limit is low.
  const { formatDatagramResult, formatResult } = await import('../verify/format-result.ts')
  const asJson = (result: object): string => `${JSON.stringify(result, undefined, 2)}\n`
  if (protocol === 'udp') {
    const { verifyDatagrams } = await import('../verify/verify-datagrams.ts')
    const result = await verifyDatagrams({ ...target, as: client })
    print(json ? asJson(result) : formatDatagramResult(result))
    return result.problems.length === 0 ? 0 : 1
  }
  const { verify } = await import('../verify/verify.ts')
  const { host, port, isClientFirst, hasTls, caPath, serverName } = target
  const rootsPem = caPath === undefined ? undefined : readNamedRoots('--ca', caPath)
  const result = await verify({ host, port, isClientFirst, tls: hasTls ? { rootsPem, serverName } : undefined })
  print(json ? asJson(result) : formatResult(result))
  return result.problems.length === 0 ? 0 : 1
}

async function runWhoami(listens: readonly Endpoint[]): Promise<void> {
  const { startWhoami } = await import('../verify/whoami.ts')
  const { answerDatagrams } = await import('../verify/whoami-datagrams.ts')
  const tell = (line: string): void => print(`${line}\n`)
  const { hasFamily } = await import('../host/routing.ts')
  for (const listen of listens) {
    // By default it is there for both address families, where the host has both.
    if (listens.length > 1 && !hasFamily(listen.address.family)) continue
    await startWhoami(listen, tell)
    await answerDatagrams(listen, tell)
    print(`listening on ${formatEndpoint(listen)}\n`)
  }
}

function isHelp(word: string): boolean {
  return word === '--help' || word === '-help' || word === '-h'
}

function print(text: string): void {
  process.stdout.removeListener('error', onOutputLost).once('error', onOutputLost).write(text)
}

/** Whoever reads a pipe may close it when he has read enough; that a disk is full has to be said. */
function onOutputLost(error: NodeJS.ErrnoException): never {
  if (error.code !== 'EPIPE') process.stderr.write(`truepeer: The output cannot be written (${error.message})\n`)
  process.exit(1)
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const message = messageOf(error)
  // Each problem of a configuration is a line that begins with its file.
  const isConfiguration = error instanceof ConfigurationError
  process.stderr.write(isConfiguration ? `${message}\n` : `truepeer: ${message}\n`)
  process.exitCode = isConfiguration || error instanceof UsageError ? EXIT_USAGE : 1
})
