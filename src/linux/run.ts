import { type ChildProcess, spawn, spawnSync } from 'node:child_process'

const RUN_TIMEOUT_MS = 10_000
/** Of each stream of a program that is run to its end. */
const OUTPUT_LENGTH_MAX = 32 * 1024 * 1024
/** What an error tells of a program that was given up. */
const TOLD_LENGTH_MAX = 4_096

/** How a program ended: `exitCode`, or the name of the signal that ended it. */
export type ProgramExit = { readonly exitCode: number | undefined; readonly signal: NodeJS.Signals | undefined }

/** What a program left when it ended. */
export type RunResult = ProgramExit & { readonly stdout: string; readonly stderr: string }

/** `input`: its standard input (default: none). The environment is that of this process. */
export type StartOptions = {
  readonly input?: string
  readonly workingDirectory?: string
}

/** `timeoutMs`: after that the program and all it started are killed; default 10 s. */
export type RunOptions = StartOptions & { readonly timeoutMs?: number }

/** A program that did not do what it was started for; the message holds its command and what it printed. */
export class ProgramError extends Error {
  constructor(program: string, args: readonly string[], problem: string) {
    super(`"${[program, ...args].join(' ')}" ${problem}`)
    this.name = 'ProgramError'
  }
}

/** A started program with its output as text streams. */
export type StartedProgram = {
  readonly pid: number
  readonly stdout: NodeJS.ReadableStream
  readonly stderr: NodeJS.ReadableStream
  /** Settles when the program has ended and its output has been read. */
  readonly exited: Promise<ProgramExit>
  /** Sends a signal to the program itself; false when it has already ended. */
  readonly signal: (name: NodeJS.Signals) => boolean
  /** Kills the program and everything it started in its session, and stops reading their output. */
  readonly killAll: () => void
}

function spawnProgram(program: string, args: readonly string[], options: StartOptions, output: 'pipe' | 'inherit') {
  return spawn(program, args, {
    cwd: options.workingDirectory,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', output, output],
    // Its own session: Ctrl-C in the terminal reaches only us, and we can kill it with its children.
    detached: true,
  })
}

function exitOf(child: ChildProcess): Promise<ProgramExit> {
  return new Promise((resolve) => {
    child.once('close', (exitCode, signal) => resolve({ exitCode: exitCode ?? undefined, signal: signal ?? undefined }))
  })
}

/**
 * Starts `program` as a child whose PID is the program's own, and returns at once.
 *
 * @throws ProgramError when there is no such program
 */
export function startProgram(program: string, args: readonly string[], options: StartOptions = {}): StartedProgram {
  const child = spawnProgram(program, args, options, 'pipe')
  const { pid, stdin, stdout, stderr } = child
  child.on('error', () => {})
  if (pid === undefined || stdout === null || stderr === null) {
    throw new ProgramError(program, args, 'cannot be started; is it installed?')
  }
  stdout.setEncoding('utf8')
  stderr.setEncoding('utf8')
  // A program may end before it has read its input.
  stdin?.on('error', () => {}).end(options.input)
  return {
    pid,
    stdout,
    stderr,
    exited: exitOf(child),
    signal: (name) => child.kill(name),
    killAll: () => {
      killSession(pid)
      stdout.destroy()
      stderr.destroy()
    },
  }
}

/**
 * Runs `program` to its end, whatever its exit code.
 *
 * @throws ProgramError when there is no such program, it takes longer than `timeoutMs`, or prints more than 32 MiB
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const { timeoutMs = RUN_TIMEOUT_MS } = options
  const started = startProgram(program, args, options)
  let stdout = ''
  let stderr = ''
  let problem: string | undefined
  const giveUp = (why: string): void => {
    problem ??= why
    started.killAll()
  }
  started.stdout.on('data', (text: string) => {
    stdout += text
    if (stdout.length > OUTPUT_LENGTH_MAX) giveUp('prints without end')
  })
  started.stderr.on('data', (text: string) => {
    stderr += text
    if (stderr.length > OUTPUT_LENGTH_MAX) giveUp('prints without end')
  })
  const timer = setTimeout(() => giveUp(`did not end within ${timeoutMs} ms`), timeoutMs)
  const exit = await started.exited.finally(() => clearTimeout(timer))
  if (problem === undefined) return { ...exit, stdout, stderr }
  throw new ProgramError(
    program,
    args,
    `${problem}: ${stdout.slice(0, TOLD_LENGTH_MAX)}${stderr.slice(-TOLD_LENGTH_MAX)}`,
  )
}

/**
 * Runs `program` to its end and returns its standard output.
 *
 * @throws ProgramError also when its exit code is not 0
 */
export async function runChecked(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { exitCode, signal, stdout, stderr } = await runProgram(program, args, options)
  if (exitCode !== 0) {
    throw new ProgramError(program, args, `failed (${signal ?? exitCode}): ${stderr || stdout}`.trim())
  }
  return stdout
}

/**
 * As {@link runProgram}, but the caller waits: for what has to be done before the process ends.
 *
 * @throws ProgramError when there is no such program or it takes longer than `timeoutMs`
 */
export function runNow(program: string, args: readonly string[], options: RunOptions = {}): RunResult {
  const { timeoutMs = RUN_TIMEOUT_MS, input, workingDirectory } = options
  const { status, signal, stdout, stderr, error } = spawnSync(program, args, {
    cwd: workingDirectory,
    input: input ?? '',
    encoding: 'utf8',
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  })
  if (error !== undefined) throw new ProgramError(program, args, `failed: ${error.message}; is it installed?`)
  return { exitCode: status ?? undefined, signal: signal ?? undefined, stdout, stderr }
}

/** Runs `program` to its end with this process's own output as its output. */
export async function runInForeground(program: string, args: readonly string[]): Promise<ProgramExit> {
  const child = spawnProgram(program, args, {}, 'inherit')
  child.on('error', () => {})
  if (child.pid === undefined) throw new ProgramError(program, args, 'cannot be started; is it installed?')
  return await exitOf(child)
}

/** Sends a signal to a process, which may have ended by itself in the meantime. */
export function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has.
  }
}

/** Kills a program that leads a session, and everything that is in its process group. */
export function killSession(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Everything in it has already ended.
  }
}
