import type {
  GuestAttributes,
  InstanceProvider,
  MachineFailure,
  MachineState,
  MakeProvider,
  SerialOutput,
  WantedMachines,
} from '../../controller/model/world.ts'
import { messageOf } from '../../text/error-message.ts'
import { rulesOf } from './firewall-rules.ts'
import { firewallTable } from './firewall-table.ts'
import { type Instance, readInstance } from './instance.ts'
import { InstanceMachine, type InstanceMachinesOptions, type MachineHost } from './instance-machine.ts'
import type { Machine } from './machine.ts'

/** What {@link LabMachines} are made with. */
export type LabMachinesOptions = InstanceMachinesOptions & {
  /** Those of the regions that the fabric has. */
  readonly zones: readonly string[]
}

/** The machines of a lab: one for each instance that the controller stores, with the firewall rules that apply to it. */
export class LabMachines implements InstanceProvider {
  readonly zones: readonly string[]
  readonly #options: InstanceMachinesOptions
  #report: (path: string, state: MachineState) => void = () => {}
  readonly #machines = new Map<string, InstanceMachine>()
  /** Machines that are being taken away, also by a try that was given up. */
  readonly #leaving = new Map<string, Promise<void>>()

  constructor({ zones, ...options }: LabMachinesOptions) {
    this.zones = zones
    this.#options = options
  }

  /** Makes this the provider of a controller. */
  readonly makeProvider: MakeProvider = (report) => {
    this.#report = report
    return this
  }

  /** Every machine that there is, on or off. */
  hosts(): readonly MachineHost[] {
    return [...this.#machines.values()].map(({ host }) => host)
  }

  /** The machine of an instance, where it is on. */
  running(name: string, zone: string): Machine | undefined {
    const isIt = ({ host, machine }: InstanceMachine) => host.name === name && host.zone === zone && machine.isRunning
    return [...this.#machines.values()].find(isIt)?.machine
  }

  guestAttributes(path: string): GuestAttributes {
    return this.#options.guestAttributes?.(path) ?? new Map()
  }

  serialOutput(path: string, start: number): SerialOutput | undefined {
    return this.#machines.get(path)?.machine.serial.read(start)
  }

  async reconcile(wanted: WantedMachines, signal: AbortSignal): Promise<readonly MachineFailure[]> {
    const instances = wanted.instances.flatMap((stored) => {
      const project = wanted.projects.find(({ name }) => name === stored.project)
      return project === undefined ? [] : [readInstance(stored, project)]
    })
    const byPath = new Map(instances.map((instance) => [instance.path, instance]))
    const failures = await Promise.all(
      [...this.#machines].map(([path, machine]) => {
        return byPath.get(path)?.stored.id === machine.id ? undefined : tried(path, () => this.#remove(path, machine))
      }),
    )
    signal.throwIfAborted()
    const others = await Promise.all(
      instances.map((instance) => tried(instance.path, () => this.#bringTo(instance, wanted, signal))),
    )
    return [...failures, ...others].filter((failure) => failure !== undefined)
  }

  async #remove(path: string, machine: InstanceMachine): Promise<void> {
    this.#machines.delete(path)
    const removed = machine.remove().catch((error: unknown) => {
      this.#machines.set(path, machine)
      throw error
    })
    const hasLeft = removed.catch(() => {}).finally(() => this.#leaving.delete(path))
    this.#leaving.set(path, hasLeft)
    await removed
  }

  async #bringTo(instance: Instance, wanted: WantedMachines, signal: AbortSignal): Promise<void> {
    const { path, stored } = instance
    await this.#leaving.get(path)
    signal.throwIfAborted()
    const present = this.#machines.get(path)
    if (present !== undefined && present.id !== stored.id) throw new Error('The machine of its name is still there')
    const machine = present ?? new InstanceMachine(instance, this.#options, (state) => this.#report(path, state))
    if (present === undefined) this.#machines.set(path, machine)
    const { device, isRouter, internal, external } = instance
    const addresses = isRouter ? undefined : [...internal, ...external.filter((address) => address.includes(':'))]
    const firewall = firewallTable(rulesOf(stored, wanted.instances, wanted.firewalls), { device, addresses })
    await machine.bringTo(instance, firewall, signal)
  }
}

/** What went wrong with the machine of an instance; undefined: nothing. */
async function tried(path: string, task: () => Promise<void>): Promise<MachineFailure | undefined> {
  try {
    await task()
    return undefined
  } catch (error) {
    return { path, message: messageOf(error) }
  }
}
