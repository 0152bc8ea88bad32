// The program: argv and the environment are read here and nowhere else.
import { readFileSync } from 'node:fs'
import { startAgent } from '../agent/agent.ts'
import { type AgentCommand, parseAgent } from '../cli/agent.ts'
import { type EdgeCommand, parseEdge } from '../cli/edge.ts'
import { quoted, UsageError } from '../cli/flags.ts'
import { commandHelp, commands, programHelp } from '../cli/help.ts'
import { startEdge } from '../edge/edge.ts'
import { connectionLimits } from './connection-limits.ts'
import { serve } from './serve.ts'

const EXIT_USAGE = 2

async function main(argv: readonly string[]): Promise<void> {
  const [name, ...rest] = argv
  if (name === undefined) throw new UsageError(`Which command?\n\n${programHelp()}`)
  if (isHelp(name)) return print(programHelp())
  if (name === '--version' || name === '-version') return print(`truepeer ${version()}\n`)
  if (name !== 'agent' && name !== 'edge') {
    throw new UsageError(`Unknown command ${quoted(name)}; there are ${Object.keys(commands).join(', ')}`)
  }
  if (rest.some(isHelp)) return print(commandHelp(commands[name]))
  if (name === 'agent') return runAgent(parseAgent(rest))
  return runEdge(parseEdge(rest))
}

function runAgent(command: AgentCommand): Promise<void> {
  const { headerTimeoutMs, idleTimeoutMs, ...rest } = command
  const limits = { ...connectionLimits(command), headerTimeoutMs, idleTimeoutMs }
  return serve(command, async (context) => startAgent({ ...rest, limits }, context))
}

function runEdge(command: EdgeCommand): Promise<void> {
  const { idleTimeoutMs, ...rest } = command
  // An edge reads no header, so that timeout has nothing to bound.
  const limits = { ...connectionLimits(command), headerTimeoutMs: 0, idleTimeoutMs }
  return serve(command, (context) => startEdge({ ...rest, limits }, context))
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
