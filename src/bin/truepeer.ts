// The program: argv and the environment are read here and nowhere else.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { startAgent } from '../agent/agent.ts'
import { readAllowedSubnets } from '../agent/allowed-subnets.ts'
import { type AgentCommand, agentConfigFile, parseAgent } from '../cli/agent.ts'
import { parseAgentConfig } from '../cli/agent-config.ts'
import { parseAgentInstall } from '../cli/agent-install.ts'
import { parseDoctor } from '../cli/doctor.ts'
import { type EdgeCommand, parseEdge } from '../cli/edge.ts'
import { quoted, UsageError } from '../cli/flags.ts'
import { type CommandName, commandHelp, commands, programHelp } from '../cli/help.ts'
import { parseHostSetup } from '../cli/host-setup.ts'
import { startEdge } from '../edge/edge.ts'
import { runAgentInstall } from '../host/agent-install.ts'
import { runDoctor } from '../host/doctor.ts'
import { runHostSetup } from '../host/host-setup.ts'
import { connectionLimits } from './connection-limits.ts'
import { readEdgeTls } from './edge-tls.ts'
import { serve } from './serve.ts'

const EXIT_USAGE = 2

/** What a unit that runs this very installation has to name. */
const INSTALLATION = {
  program: fileURLToPath(new URL('../../../bin/truepeer', import.meta.url)),
  node: process.execPath,
}

async function main(argv: readonly string[]): Promise<void> {
  const [name] = argv
  if (name === undefined) throw new UsageError(`Which command?\n\n${programHelp()}`)
  if (isHelp(name)) return print(programHelp())
  if (name === '--version' || name === '-version') return print(`truepeer ${version()}\n`)
  const command = findCommand(argv)
  if (argv.some(isHelp)) return print(commandHelp(commands[command]))
  await run(command, argv.slice(command.split(' ').length))
}

/** The longest name of a command at the front of `argv`. @throws UsageError */
function findCommand(argv: readonly string[]): CommandName {
  for (const words of [2, 1]) {
    const name = argv.slice(0, words).join(' ')
    if (Object.hasOwn(commands, name)) return name as CommandName
  }
  const names = Object.keys(commands).join(', ')
  throw new UsageError(`Unknown command ${quoted(argv.slice(0, 2).join(' '))}; there are ${names}`)
}

async function run(command: CommandName, argv: readonly string[]): Promise<void> {
  switch (command) {
    case 'edge':
      return runEdge(parseEdge(argv))
    case 'agent':
      return runAgent(argv)
    case 'agent install':
      return exitWith(runAgentInstall(parseAgentInstall('install', argv), INSTALLATION, print))
    case 'agent uninstall':
      return exitWith(runAgentInstall(parseAgentInstall('uninstall', argv), INSTALLATION, print))
    case 'doctor agent':
      return exitWith(await runDoctor(parseDoctor(['agent', ...argv]), readAllowedSubnets, print))
    case 'host-setup':
      return exitWith(await runHostSetup(parseHostSetup(argv), print))
  }
}

function exitWith(status: number): void {
  process.exitCode = status
}

function runAgent(argv: readonly string[]): Promise<void> {
  const file = agentConfigFile(argv)
  const read = (): AgentCommand => (file === undefined ? parseAgent(argv) : readAgentConfig(file))
  const command = read()
  const { workers } = command
  const readListeners = (): AgentCommand['listeners'] => read().listeners
  return serve(command, (context) => startAgent({ workers, limits: connectionLimits(command), readListeners }, context))
}

function readAgentConfig(path: string): AgentCommand {
  try {
    return parseAgentConfig(readFileSync(path, 'utf8'), path)
  } catch (error) {
    if (error instanceof UsageError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new UsageError(`--config ${quoted(path)}: ${reason}; give a readable file`)
  }
}

function runEdge(command: EdgeCommand): Promise<void> {
  const { tlsFiles } = command
  return serve(command, (context) => {
    const tls = tlsFiles === null ? null : readEdgeTls(tlsFiles, context.log)
    return startEdge({ ...command, tls, limits: connectionLimits(command) }, context)
  })
}

function isHelp(word: string): boolean {
  return word === '--help' || word === '-help' || word === '-h'
}

function print(text: string): void {
  process.stdout.write(text)
}

function version(): string {
  const file = new URL('../../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`truepeer: ${message}\n`)
  process.exitCode = error instanceof UsageError ? EXIT_USAGE : 1
})
