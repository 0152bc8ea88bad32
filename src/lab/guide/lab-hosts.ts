import { runProgram } from '../../linux/run.ts'
import { Program } from '../program.ts'

/** The words of a command that runs another one on a host of a lab. */
export type EnterHost = (host: string, command: readonly string[]) => Promise<readonly string[]>

/** What a block of commands printed, on both channels, and how it ended. */
export type Typed = { readonly lines: readonly string[]; readonly exitCode: number | undefined }

const COMMANDS_MS_MAX = 180_000
const START_MS_MAX = 60_000
/** How long a program has after Ctrl-C. */
const STOP_MS_MAX = 10_000
/** Programs write line by line, as they do on a terminal. */
const SHELL = ['stdbuf', '-oL', 'bash', '-c']
const IN_HOME = 'cd; exec 2>&1'

/** Types commands on a host until they end. */
export async function typeOnHost(enter: EnterHost, host: string, text: string): Promise<Typed> {
  const [program, ...args] = await enter(host, [...SHELL, `${IN_HOME}\n${text}`])
  const { stdout, exitCode } = await runProgram(program, args, { timeoutMs: COMMANDS_MS_MAX })
  return { lines: stdout.trimEnd().split('\n'), exitCode }
}

/** A program that goes on on a host of a lab. */
export class HostProgram {
  readonly host: string
  readonly program: Program
  readonly #enter: EnterHost
  readonly #group: string

  private constructor(host: string, program: Program, enter: EnterHost, group: string) {
    this.host = host
    this.program = program
    this.#enter = enter
    this.#group = group
  }

  /** Types commands of which the last one goes on. */
  static async start(enter: EnterHost, host: string, text: string): Promise<HostProgram> {
    // In a session of its own there: what a terminal would send to its foreground, this sends to that.
    const [program, ...args] = await enter(host, ['setsid', ...SHELL, `echo $$\n${IN_HOME}\n${text}`])
    const started = new Program(program, args)
    const group = await started.waitForLine(/^\d+$/, { timeoutMs: START_MS_MAX })
    return new HostProgram(host, started, enter, group)
  }

  /** What it has printed so far. */
  get lines(): readonly string[] {
    return this.program.texts(1)
  }

  /** Ctrl-C. */
  async stop(): Promise<void> {
    if (!this.program.isRunning) return
    await this.#signal('INT')
    const timer = setTimeout(() => void this.#signal('KILL').then(() => this.program.kill()), STOP_MS_MAX)
    await this.program.exited.finally(() => clearTimeout(timer))
  }

  async #signal(name: 'INT' | 'KILL'): Promise<void> {
    const [program, ...args] = await this.#enter(this.host, ['kill', `-${name}`, '--', `-${this.#group}`])
    await runProgram(program, args)
  }
}
