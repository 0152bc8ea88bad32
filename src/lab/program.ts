import { createInterface } from 'node:readline'
import { type ProgramExit, type StartedProgram, type StartOptions, startProgram } from '../linux/run.ts'

const WAIT_TIMEOUT_MS = 10_000
const STOP_TIMEOUT_MS = 5_000
const TAIL_LINES = 20

/** A line of output without its newline. */
export type OutputLine = { readonly stream: 'stdout' | 'stderr'; readonly text: string }

/** A program that runs in a host and whose output is kept line by line. */
export class Program {
  readonly pid: number
  /** Settles when the program has ended and its output has been read. */
  readonly exited: Promise<ProgramExit>
  /** All output so far, in the order in which it arrived. */
  readonly output: OutputLine[] = []
  readonly #commandLine: string
  readonly #started: StartedProgram
  readonly #watchers = new Set<() => void>()
  #hasExited = false

  /** @throws ProgramError when there is no such program */
  constructor(program: string, args: readonly string[], options: StartOptions = {}) {
    this.#commandLine = [program, ...args].join(' ')
    this.#started = startProgram(program, args, options)
    this.pid = this.#started.pid
    for (const stream of ['stdout', 'stderr'] as const) {
      createInterface({ input: this.#started[stream] }).on('line', (text) => {
        this.output.push({ stream, text })
        this.#notify()
      })
    }
    this.exited = this.#started.exited.then((exit) => {
      this.#hasExited = true
      this.#notify()
      return exit
    })
  }

  #notify(): void {
    for (const watcher of this.#watchers) watcher()
  }

  /** Reports whether the program still runs. */
  get isRunning(): boolean {
    return !this.#hasExited
  }

  /** The texts of the lines from number `from` on (default: all). */
  texts(from = 0): string[] {
    return this.output.slice(from).map((line) => line.text)
  }

  /**
   * Resolves with the first line, from number `from` on, that matches `pattern`.
   *
   * Rejects when the program ends or `timeoutMs` (default 10 s) passes without one, with the last lines it wrote.
   */
  async waitForLine(pattern: RegExp, { from = 0, timeoutMs = WAIT_TIMEOUT_MS } = {}): Promise<string> {
    let next = from
    let timer: NodeJS.Timeout | undefined
    let check = () => {}
    const found = new Promise<string>((resolve, reject) => {
      const fail = (problem: string) => {
        const tail = this.texts(-TAIL_LINES).join('\n')
        reject(new Error(`"${this.#commandLine}" ${problem} a line that matches ${pattern}:\n${tail}`))
      }
      check = () => {
        for (; next < this.output.length; next++) {
          const { text } = this.output[next]
          if (pattern.test(text)) return resolve(text)
        }
        if (this.#hasExited) fail('ended without')
      }
      timer = setTimeout(() => fail(`did not write within ${timeoutMs} ms`), timeoutMs)
      this.#watchers.add(check)
      check()
    })
    return await found.finally(() => {
      clearTimeout(timer)
      this.#watchers.delete(check)
    })
  }

  /** Sends a signal to the program itself, not to its children. */
  signal(name: NodeJS.Signals): void {
    this.#started.signal(name)
  }

  /** Ends the program with SIGTERM, and after `timeoutMs` (default 5 s) with SIGKILL together with its children. */
  async stop(timeoutMs = STOP_TIMEOUT_MS): Promise<ProgramExit> {
    this.#started.signal('SIGTERM')
    const timer = setTimeout(() => this.kill(), timeoutMs)
    return await this.exited.finally(() => clearTimeout(timer))
  }

  /** Ends the program and everything it started with SIGKILL. */
  kill(): void {
    if (this.isRunning) this.#started.killAll()
  }
}
