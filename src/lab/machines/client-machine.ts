import { Machine, type MachineOptions } from './machine.ts'
import { type MachineMetadata, runningMachine, type StartServices } from './running-machine.ts'

/** What a client is made of. */
export type ClientMachineOptions = MachineOptions & {
  readonly metadata: MachineMetadata
  readonly startServices: StartServices
}

/** The machine of who is no instance, such as a client: on the network that it has already, and on as long as the lab is. */
export class ClientMachine {
  readonly machine: Machine
  readonly #options: ClientMachineOptions

  constructor(options: ClientMachineOptions) {
    this.#options = options
    this.machine = new Machine(options)
  }

  /** Turns it on. One that ends is turned on again. @throws Error with what went wrong */
  async start(): Promise<void> {
    const { startServices, metadata } = this.#options
    let stopServices = async (): Promise<void> => {}
    await this.machine.start((end) => {
      if (end !== 'stopped') void stopServices().then(() => this.start().catch(() => {}))
    })
    const described = { metadata: () => metadata, onMetadata: () => () => {} }
    stopServices = await startServices(runningMachine(this.machine, described))
  }
}
