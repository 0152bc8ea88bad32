import { constants, existsSync, mkdirSync, openSync, rmSync } from 'node:fs'
import * as net from 'node:net'
import {
  type RunOptions,
  type RunResult,
  runChecked,
  runProgram,
  type StartedProgram,
  signalIfAlive,
  startProgram,
} from '../../linux/run.ts'
import { inNamespaces } from '../enter-namespaces.ts'
import { addNamespaces, namespacePath } from '../network-namespaces.ts'
import { SYSTEM_PATH } from '../system-path.ts'
import { withoutPowers } from '../without-powers.ts'
import { INIT_SCRIPT, SET_UP_SCRIPT } from './machine-script.ts'
import { SerialOutput } from './serial-output.ts'

const SET_UP_MS_MAX = 30_000
/** What is kept of what the set-up says. */
const SAID_LENGTH_MAX = 16 * 1024
/** Init gives the others five seconds. */
const STOP_MS_MAX = 10_000
/** The namespaces of a machine beside that of its network. */
const NAMESPACES = ['--mount', '--pid', '--uts', '--ipc']
const ENVIRONMENT = [`PATH=${SYSTEM_PATH}`, 'HOME=/root', 'USER=root', 'LOGNAME=root', 'LANG=C.UTF-8']

/** What machines have besides the files of this machine, by where they have it. */
export type MachineFiles = {
  /** Files and directories outside; in a machine they cannot be written. */
  readonly shared: Readonly<Record<string, string>>
  /** What symbolic links lead to. */
  readonly links: Readonly<Record<string, string>>
  /** Of `makeSkeleton`. */
  readonly skeleton: string | undefined
}

/** What a machine is made of. */
export type MachineOptions = {
  /** Its host name. */
  readonly name: string
  /** The name of its network for ip-netns(8), which no other has. */
  readonly namespace: string
  /** Where its files are while it is off, too; it is made where it does not exist. */
  readonly directory: string
  readonly files: MachineFiles
}

/** How a machine has ended. */
export type MachineEnd =
  /** It was told to, or killed, by {@link Machine.stop} or {@link Machine.kill}. */
  | 'stopped'
  /** It has rebooted itself: reboot(2) in a PID namespace ends it this way. */
  | 'reboots'
  /** By itself. */
  | 'ended'

/** A machine that is on. */
type Running = { readonly initPid: number; readonly unshare: StartedProgram; isStopping: boolean }

/**
 * A machine on this machine: namespaces of its own, files over those of this machine, and a first process that reaps.
 *
 * Its files and what it has written to its serial port stay while it is off, until {@link Machine.remove}. Its network is
 * made before it is turned on, and removed when it has ended, as rules and routes do not survive the end of a machine; who
 * wires it up does so in between.
 */
export class Machine {
  readonly name: string
  readonly namespace: string
  readonly serial = new SerialOutput()
  readonly #options: MachineOptions
  #console: net.Socket | undefined
  #running: Running | undefined

  constructor(options: MachineOptions) {
    this.#options = options
    this.name = options.name
    this.namespace = options.namespace
  }

  /** Where setns(2) finds its network. */
  get namespacePath(): string {
    return namespacePath(this.namespace)
  }

  get isRunning(): boolean {
    return this.#running !== undefined
  }

  /** The PID of its first process, as this process sees it. @throws Error while it is off */
  get initPid(): number {
    return this.#on().initPid
  }

  /**
   * Its root directory, as this process sees it. Links in it that begin with `/` lead elsewhere from here: remove a file
   * before it is written.
   */
  get root(): string {
    return `/proc/${this.initPid}/root`
  }

  /** What nsenter(1) is given to enter it. */
  enterArguments(): readonly string[] {
    return [`--target=${this.initPid}`, '--net', ...NAMESPACES]
  }

  /** Makes its network, with nothing but a loopback interface. */
  async makeNetwork(): Promise<void> {
    await addNamespaces([this.namespace])
  }

  /** Removes its network, with all links and rules in it; what is not there does no harm. */
  async removeNetwork(): Promise<void> {
    if (existsSync(this.namespacePath)) await runChecked('ip', ['netns', 'delete', this.namespace])
  }

  /**
   * Turns it on, and resolves when it has its files and its first process.
   *
   * @param onEnd called once when it has ended, whyever
   * @throws Error with what went wrong
   */
  async start(onEnd: (end: MachineEnd) => void): Promise<void> {
    const { directory, files } = this.#options
    const shared = Object.entries(files.shared)
    await this.#openConsole()
    const inside = ['sh', '-c', SET_UP_SCRIPT, 'machine', directory, this.name, INIT_SCRIPT, files.skeleton ?? '']
    const unshare = startProgram('nsenter', [
      `--net=${this.namespacePath}`,
      ...['unshare', ...NAMESPACES, '--fork', '--kill-child', '--propagation', 'private'],
      ...[...inside, ...shared.flatMap(([to, from]) => [from, to]), '--', ...Object.entries(files.links).flat()],
    ])
    const initPid = await readPid(this.name, unshare)
    const running: Running = { initPid, unshare, isStopping: false }
    this.#running = running
    void unshare.exited.then(({ signal }) => {
      this.#running = undefined
      if (running.isStopping) onEnd('stopped')
      else onEnd(signal === 'SIGHUP' ? 'reboots' : 'ended')
    })
  }

  /** Tells it to end, and resolves when it has. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** Ends it at once, as if it had lost its power. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Runs a program in it to its end, whatever its exit code (127: there is no such program). */
  async run(program: string, args: readonly string[] = [], options: RunOptions = {}): Promise<RunResult> {
    return await runProgram(...this.#inside(program, args), options)
  }

  /** Starts a program in it, which ends with the machine at the latest. */
  startProgram(program: string, args: readonly string[] = []): StartedProgram {
    return startProgram(...this.#inside(program, args))
  }

  /** Ends it, and removes its network and its files. */
  async remove(): Promise<void> {
    await this.kill()
    this.#console?.destroy()
    this.#console = undefined
    await this.removeNetwork()
    rmSync(this.#options.directory, { recursive: true, force: true })
  }

  #inside(program: string, args: readonly string[]): readonly [program: string, args: readonly string[]] {
    const command = [...withoutPowers, 'env', '-i', ...ENVIRONMENT, program, ...args]
    const [first, ...words] = inNamespaces(this.enterArguments(), command)
    return [first, words]
  }

  #on(): Running {
    if (this.#running === undefined) throw new Error(`The machine "${this.name}" is off`)
    return this.#running
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    running.isStopping = true
    signalIfAlive(running.initPid, signal)
    const timer = setTimeout(() => signalIfAlive(running.initPid, 'SIGKILL'), STOP_MS_MAX)
    await running.unshare.exited.finally(() => clearTimeout(timer))
  }

  /** Its console is a pipe with a name, which this process keeps open at both ends: nobody who writes has to wait for that. */
  async #openConsole(): Promise<void> {
    if (this.#console !== undefined) return
    mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 })
    const path = `${this.#options.directory}/serial`
    await runChecked('mkfifo', ['-m', '600', path])
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
    this.#console = new net.Socket({ fd, readable: true, writable: false })
    this.#console.on('data', (bytes: Buffer) => this.serial.append(bytes))
    this.#console.on('error', () => {})
  }
}

/** Resolves with the first line that the set-up prints, its PID. A shell of the machine may print anything. */
async function readPid(name: string, started: StartedProgram): Promise<number> {
  let output = ''
  let problem = ''
  started.stderr.on('data', (text: string) => {
    problem = (problem + text).slice(0, SAID_LENGTH_MAX)
  })
  const isReady = new Promise<number>((resolve) => {
    started.stdout.on('data', (text: string) => {
      output = (output + text).slice(0, SAID_LENGTH_MAX)
      const line = /^([0-9]+)\n/.exec(output)
      if (line !== null) {
        started.stdout.removeAllListeners('data').resume()
        resolve(Number(line[1]))
      } else if (!/^[0-9]*$/.test(output)) {
        problem += 'its shell says something else than that it has started'
        started.killAll()
      }
    })
  })
  const timer = setTimeout(() => started.killAll(), SET_UP_MS_MAX)
  const failed = started.exited.then(() => {
    throw new Error(`The machine "${name}" cannot be set up: ${problem.trim() || 'it took too long'}`)
  })
  failed.catch(() => {})
  return await Promise.race([isReady, failed]).finally(() => clearTimeout(timer))
}
