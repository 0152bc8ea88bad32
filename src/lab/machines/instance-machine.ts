import type { GuestAttributes, MachineState } from '../../controller/model/world.ts'
import { withoutFirewall } from './firewall-table.ts'
import type { Instance } from './instance.ts'
import { Machine, type MachineEnd, type MachineFiles } from './machine.ts'
import {
  type Fabric,
  type MachineServices,
  type RunningMachine,
  runningMachine,
  type StartServices,
} from './running-machine.ts'

/** What all machines of instances have in common. */
export type InstanceMachinesOptions = {
  /** Where their files are. */
  readonly directory: string
  readonly fabric: Fabric
  readonly startServices: StartServices
  /** What the machine of an instance has written for others to read, by its path; undefined: it cannot. */
  readonly guestAttributes?: ((path: string) => GuestAttributes) | undefined
  readonly files: MachineFiles
}

/** A machine as a table of hosts shows it. */
export type MachineHost = {
  readonly name: string
  readonly kind: 'instance'
  readonly region: string
  readonly zone: string
  readonly addresses: readonly string[]
  /** In a few words. */
  readonly state: string
}

const ENDED = 'It has ended by itself; start it again, or reset it'

/**
 * The machine of one instance, and what is around it. One thing is done at a time: what is asked for meanwhile waits, also
 * when whoever asked for the first no longer does.
 */
export class InstanceMachine {
  readonly machine: Machine
  readonly #options: InstanceMachinesOptions
  readonly #report: (state: MachineState) => void
  readonly #listeners = new Set<() => void>()
  #instance: Instance
  /** The start that was carried out last; undefined: none. */
  #startedAt: string | undefined
  /** The addresses that it was joined to the network with. */
  #attached = ''
  #firewall = ''
  #services: MachineServices | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #state = 'provisioning'

  constructor(instance: Instance, options: InstanceMachinesOptions, report: (state: MachineState) => void) {
    const { stored, hostName, zone } = instance
    this.#instance = instance
    this.#options = options
    this.#report = (state) => {
      this.#state = state.status.toLowerCase()
      report(state)
    }
    this.machine = new Machine({
      name: hostName,
      // The path of an instance, which no other has.
      namespace: `${stored.name}.${zone}.${stored.project}`,
      directory: `${options.directory}/${stored.id}`,
      files: options.files,
    })
  }

  /** The id of its instance: one that was deleted and made again is another one. */
  get id(): string {
    return this.#instance.stored.id
  }

  /** The name of its instance, where it is, and what it does. */
  get host(): MachineHost {
    const { stored, region, zone, internal, external } = this.#instance
    const addresses = [...internal, ...external]
    return { name: stored.name, kind: 'instance', region, zone, addresses, state: this.#state }
  }

  /** Brings it to what its instance says, with these firewall rules, in the words of nft(8). */
  async bringTo(instance: Instance, firewall: string, signal: AbortSignal): Promise<void> {
    await this.#inTurn(async () => {
      signal.throwIfAborted()
      this.#take(instance)
      const isAnew = instance.isWanted && instance.startedAt !== this.#startedAt
      if (!instance.isWanted) await this.#stop()
      else if (isAnew) await this.#startAnew(firewall)
      else if (this.machine.isRunning) await this.#adjust(firewall)
    })
  }

  /** Takes it away with all that it has. */
  async remove(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#shutDown()
      await this.#disconnect()
      await this.machine.remove()
    })
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(task)
    this.#turn = done.catch(() => {})
    return done
  }

  #take(instance: Instance): void {
    const { stored, project } = this.#instance
    this.#instance = instance
    if (stored.revision === instance.stored.revision && project.revision === instance.project.revision) return
    for (const listener of [...this.#listeners]) listener()
  }

  async #stop(): Promise<void> {
    await this.#shutDown()
    await this.#disconnect()
    this.#startedAt = undefined
    this.#report({ status: 'TERMINATED' })
  }

  async #shutDown(): Promise<void> {
    if (!this.machine.isRunning) return
    this.#report({ status: 'STOPPING' })
    await this.#services?.shutDown?.()
    await this.machine.stop()
  }

  /** A machine that is on loses its power first. */
  async #startAnew(firewall: string): Promise<void> {
    const { startedAt } = this.#instance
    this.#report({ status: this.#startedAt === undefined ? 'PROVISIONING' : 'STAGING' })
    await this.machine.kill()
    await this.#disconnect()
    this.#startedAt = undefined
    await this.#start(firewall)
    this.#startedAt = startedAt
  }

  async #start(firewall: string): Promise<void> {
    await this.machine.makeNetwork()
    this.#report({ status: 'STAGING' })
    try {
      await this.machine.start((end) => this.#ended(end))
      await this.#adjust(firewall)
      this.#services = await this.#options.startServices(this.#running())
    } catch (error) {
      await this.machine.kill()
      await this.#disconnect()
      this.#report({ status: 'TERMINATED', message: 'It could not be started' })
      throw error
    }
    this.#report({ status: 'RUNNING' })
  }

  /** The firewall comes before the network: nothing gets in that it would not let in. */
  async #adjust(firewall: string): Promise<void> {
    const { namespace } = this.machine
    const { region, device, internal, external } = this.#instance
    if (firewall !== this.#firewall) {
      await this.#options.fabric.filter(region, firewall)
      this.#firewall = firewall
    }
    const attached = JSON.stringify([internal, external])
    if (attached === this.#attached) return
    if (this.#attached !== '') await this.#options.fabric.detach(namespace)
    this.#attached = ''
    await this.#options.fabric.attach({ namespace, device, region, internal, external })
    this.#attached = attached
  }

  /** Ends what is around a machine that has ended. */
  async #disconnect(): Promise<void> {
    const services = this.#services
    this.#services = undefined
    this.#listeners.clear()
    await services?.stop()
    if (this.#attached !== '') await this.#options.fabric.detach(this.machine.namespace)
    this.#attached = ''
    const { region, device } = this.#instance
    if (this.#firewall !== '') await this.#options.fabric.filter(region, withoutFirewall(device))
    this.#firewall = ''
    await this.machine.removeNetwork()
  }

  #ended(end: MachineEnd): void {
    if (end === 'stopped') return
    const { startedAt } = this.#instance
    const firewall = this.#firewall
    const after = this.#inTurn(async () => {
      // Somebody has started it again by now.
      if (this.machine.isRunning || this.#startedAt !== startedAt) return
      await this.#disconnect()
      if (end === 'reboots') await this.#start(firewall)
      else this.#report({ status: 'TERMINATED', message: ENDED })
    })
    after.catch(() => {})
  }

  #running(): RunningMachine {
    return runningMachine(this.machine, {
      metadata: () => ({ instance: this.#instance.stored, project: this.#instance.project }),
      onMetadata: (listener) => {
        this.#listeners.add(listener)
        return () => this.#listeners.delete(listener)
      },
    })
  }
}
