import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StartedProgram } from '../../linux/run.ts'
import { askAdmin } from '../../telemetry/ask-admin.ts'
import { messageOf } from '../../text/error-message.ts'
import { announce, withdraw } from './anycast.ts'
import type { LabRegion } from './places.ts'

/** Long enough for a look at how clients get to another edge. */
const RESTART_MS = 5_000
const FOLLOWING = '"msg":"following the controller"'
/** The edge is asked whether it lives so long after its last answer, and once more where it does not answer in time. */
const ASK_MS = 1_000
const ANSWER_MS_MAX = 2_000
const TRIES = 2

/** Where an edge has these, on its own host. */
const STATE = '/var/lib/truepeer'
const ADMIN = '/run/truepeer/edge.sock'
/** The first line is the number that the process has there. */
const START = `mkdir -p ${STATE} && echo $$ && exec "$@"`

/** The host of an edge, which is on the network. */
export type EdgeHost = {
  /** Its root directory, as this process sees it. @throws Error while it is off */
  readonly root: string
  /** Starts a program on it. @throws Error while it is off */
  startProgram(program: string, args: readonly string[]): StartedProgram
}

/** What the edges of a lab are started with. */
export type LabEdgeOptions = {
  readonly host: EdgeHost
  /** The program, `truepeer`, where the host has it. */
  readonly program: string
  /** For `--controller`. */
  readonly controller: string
  /** Takes each line of its log. */
  readonly onLine: (line: string) => void
}

/**
 * The edge of a region: a process on a host of its own, which is started again when it ends. Clients are led to it as
 * long as it says that it lives.
 */
export class LabEdge {
  readonly name: string
  readonly #region: string
  readonly #options: LabEdgeOptions
  #state = 'starting'
  #isAnnounced = false

  constructor({ name }: LabRegion, options: LabEdgeOptions) {
    this.name = edgeName(name)
    this.#region = name
    this.#options = options
  }

  /** In a few words. */
  get state(): string {
    return this.#state
  }

  /**
   * Starts the edge, and again whenever it has ended.
   *
   * @returns once it serves for the first time
   */
  async start(): Promise<void> {
    await new Promise<void>((resolve) => void this.#keepRunning(resolve))
  }

  async #keepRunning(onServing: () => void): Promise<never> {
    for (;;) {
      this.#state = 'starting'
      const problem = await this.#serve(onServing).catch(messageOf)
      this.#state = `has ended (${problem}), starts again in ${RESTART_MS / 1_000} s`
      await sleep(RESTART_MS)
    }
  }

  /** @returns how the process has ended @throws Error while the host is off */
  async #serve(onServing: () => void): Promise<string> {
    const { signal, following } = this.#run()
    const pid = await following
    while (pid !== undefined && !signal.aborted) {
      const lives = await this.#lives()
      // What fails is tried again.
      if (lives !== this.#isAnnounced) await this.#lead(lives).catch(() => {})
      this.#state = `${lives ? 'serves' : 'does not answer'}, process ${pid}`
      if (lives) onServing()
      await sleep(ASK_MS, undefined, { signal }).catch(() => {})
    }
    if (this.#isAnnounced) await this.#lead(false)
    return String(signal.reason)
  }

  /**
   * Starts the process. The signal says, with the reason, that it has ended; its number is there once it follows the
   * controller, or undefined where it has ended before.
   */
  #run(): { readonly signal: AbortSignal; readonly following: Promise<string | undefined> } {
    const { host, program, controller, onLine } = this.#options
    const flags = ['--name', this.name, '--region', this.#region, '--controller', controller]
    const own = ['--state', STATE, '--admin', `unix:${ADMIN}`, '--assign-addresses', '--warm-up', 'off']
    const started = host.startProgram('sh', ['-c', START, 'sh', program, 'edge', ...flags, ...own])
    const end = new AbortController()
    const following = new Promise<string | undefined>((resolve) => {
      let pid: string | undefined
      createInterface({ input: started.stderr }).on('line', onLine)
      createInterface({ input: started.stdout }).on('line', (line) => {
        if (pid !== undefined) onLine(line)
        pid ??= line
        if (line.includes(FOLLOWING)) resolve(pid)
      })
      void started.exited.then(({ exitCode, signal }) => {
        resolve(undefined)
        end.abort(signal ?? `status ${exitCode}`)
      })
    })
    return { signal: end.signal, following }
  }

  async #lives(): Promise<boolean> {
    for (let tried = 0; tried < TRIES; tried++) {
      try {
        const path = `${this.#options.host.root}${ADMIN}`
        await askAdmin({ kind: 'unix', path }, 'GET', '/healthz', ANSWER_MS_MAX)
        return true
      } catch {
        // The first time this process may have been the one that was late.
      }
    }
    return false
  }

  /** Leads clients here, or to others. */
  async #lead(isHere: boolean): Promise<void> {
    await (isHere ? announce(this.#region) : withdraw(this.#region))
    this.#isAnnounced = isHere
  }
}

/** The host of the edge of a region. */
export function edgeName(region: string): string {
  return `edge-${region}`
}
