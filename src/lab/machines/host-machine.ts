import { setTimeout as sleep } from 'node:timers/promises'
import { Machine, type MachineEnd, type MachineOptions } from './machine.ts'
import { type MachineMetadata, type MachineServices, runningMachine, type StartServices } from './running-machine.ts'

/** Between two tries to turn on what could not be. */
const RETRY_MS = 1_000

/** What a {@link HostMachine} is made of. */
export type HostMachineOptions = MachineOptions & {
  readonly metadata: MachineMetadata
  readonly startServices: StartServices
}

/** The machine of a host that is no instance, a client or an edge: on the network already, and on as long as the lab is. */
export class HostMachine {
  readonly machine: Machine
  readonly #options: HostMachineOptions
  #services: MachineServices | undefined

  constructor(options: HostMachineOptions) {
    this.#options = options
    this.machine = new Machine(options)
  }

  /** Turns it on. One that ends is turned on again. @throws Error with what went wrong */
  async start(): Promise<void> {
    const { startServices, metadata } = this.#options
    await this.machine.start((end) => void this.#ended(end))
    const described = { metadata: () => metadata, onMetadata: () => () => {} }
    this.#services = await startServices(runningMachine(this.machine, described))
  }

  async #ended(end: MachineEnd): Promise<void> {
    if (end === 'stopped') return
    for (;;) {
      try {
        const services = this.#services
        this.#services = undefined
        await services?.stop()
        await this.start()
        return
      } catch {
        await this.machine.kill()
        await sleep(RETRY_MS)
      }
    }
  }
}
