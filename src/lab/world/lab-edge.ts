import { mkdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { type StartedProgram, startProgram } from '../../linux/run.ts'
import { namespacePath, withNetworkOf } from '../network-namespaces.ts'
import { announce, withdraw } from './anycast.ts'
import type { LabRegion } from './places.ts'

/** Long enough for a look at how clients get to another edge. */
const RESTART_MS = 5_000
const FOLLOWING = '"msg":"following the controller"'

/** What the edges of a lab are started with. */
export type LabEdgeOptions = {
  /** The program, `bin/truepeer`. */
  readonly program: string
  /** For `--controller`. */
  readonly controller: string
  /** Where their last configurations are. */
  readonly state: string
  /** Takes each line of their logs. */
  readonly onLine: (edge: string, line: string) => void
}

/** The edge of a region: a process on a host of its own, which is started again when it ends. */
export class LabEdge {
  readonly name: string
  readonly #region: LabRegion
  readonly #options: LabEdgeOptions
  #state = 'starting'

  constructor(region: LabRegion, options: LabEdgeOptions) {
    this.name = edgeName(region.name)
    this.#region = region
    this.#options = options
  }

  /** In a few words. */
  get state(): string {
    return this.#state
  }

  /**
   * Starts the edge, and again whenever it has ended. Clients are sent to it as long as it serves.
   *
   * @returns once it serves for the first time
   */
  async start(): Promise<void> {
    const { state } = this.#options
    mkdirSync(state, { recursive: true })
    await new Promise<void>((resolve, reject) => void this.#keepRunning(resolve).catch(reject))
  }

  async #keepRunning(onServing: () => void): Promise<never> {
    for (;;) {
      this.#state = 'starting'
      const program = this.#run()
      let announced: Promise<void> | undefined
      const follow = async (): Promise<void> => {
        await announce(this.#region.name)
        this.#state = `serves, process ${program.pid}`
        onServing()
      }
      for (const stream of [program.stdout, program.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          this.#options.onLine(this.name, line)
          if (line.includes(FOLLOWING)) announced ??= follow()
        })
      }
      const { exitCode, signal } = await program.exited
      await announced
      this.#state = `has ended (${signal ?? exitCode}), starts again in ${RESTART_MS / 1_000} s`
      await withdraw(this.#region.name)
      await sleep(RESTART_MS)
    }
  }

  #run(): StartedProgram {
    const { program, controller, state } = this.#options
    const flags = ['--controller', controller, '--name', this.name, '--state', state, '--region', this.#region.name]
    const admin = ['--admin', `unix:${state}/${this.name}.sock`]
    const args = ['edge', ...flags, ...admin, '--assign-addresses', '--warm-up', 'off']
    return startProgram(...withNetworkOf(namespacePath(this.name), program, args))
  }
}

/** The host of the edge of a region. */
export function edgeName(region: string): string {
  return `edge-${region}`
}
