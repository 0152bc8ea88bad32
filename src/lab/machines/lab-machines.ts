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

/** Something that goes on with the machine of an instance, and the addresses that others can have only afterwards. */
type Going = {
  readonly path: string
  readonly addresses: readonly string[]
  readonly done: Promise<MachineFailure | undefined>
}

/** The machines of a lab: one for each instance that the controller stores, with the firewall rules that apply to it. */
export class LabMachines implements InstanceProvider {
  readonly zones: readonly string[]
  readonly #options: InstanceMachinesOptions
  #report: (path: string, state: MachineState) => void = () => {}
  readonly #machines = new Map<string, InstanceMachine>()
  /** What goes on after a try: machines that end take the time that their own programs need, and nobody else waits. */
  readonly #going = new Set<Going>()
  /** The ids of the instances that there are to be, by their paths. */
  #wanted: ReadonlyMap<string, string> = new Map()

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
    signal.throwIfAborted()
    this.#wanted = new Map(instances.map(({ path, stored }) => [path, stored.id]))
    for (const [path, machine] of [...this.#machines])
      if (this.#wanted.get(path) !== machine.id) this.#remove(path, machine)
    const failures = await Promise.all(instances.map((instance) => this.#bringTo(instance, wanted, signal)))
    return failures.filter((failure) => failure !== undefined)
  }

  /** @param path undefined: of any */
  settled(path?: string): Promise<string | undefined> | undefined {
    const going = [...this.#going].filter((one) => path === undefined || one.path === path)
    if (going.length === 0) return undefined
    return Promise.all(going.map(({ done }) => done)).then((all) => all.find((one) => one !== undefined)?.message)
  }

  #remove(path: string, machine: InstanceMachine): void {
    this.#machines.delete(path)
    const before = this.#before(path, [])
    this.#goOn(path, machine.host.addresses, async () => {
      await before
      await machine.remove().catch((error: unknown) => {
        // The next try finds it.
        if (!this.#machines.has(path)) this.#machines.set(path, machine)
        throw error
      })
    })
  }

  async #bringTo(instance: Instance, wanted: WantedMachines, signal: AbortSignal): Promise<MachineFailure | undefined> {
    const { path, stored, isWanted, device, isRouter, internal, external } = instance
    const before = this.#before(path, [...internal, ...external])
    const task = async () => {
      await before
      signal.throwIfAborted()
      // A later try has wanted something else.
      if (this.#wanted.get(path) !== stored.id) return
      const machine = this.#machineOf(instance)
      const addresses = isRouter ? undefined : [...internal, ...external.filter((address) => address.includes(':'))]
      const firewall = firewallTable(rulesOf(stored, wanted.instances, wanted.firewalls), { device, addresses })
      await machine.bringTo(instance, firewall, signal)
    }
    const ends = !isWanted && this.#machines.get(path)?.machine.isRunning === true
    if (before === undefined && !ends) return await tried(path, task)
    this.#goOn(path, [], task)
    return undefined
  }

  #machineOf(instance: Instance): InstanceMachine {
    const { path, stored } = instance
    const present = this.#machines.get(path)
    if (present !== undefined && present.id !== stored.id) throw new Error('The machine of its name is still there')
    const machine = present ?? new InstanceMachine(instance, this.#options, (state) => this.#report(path, state))
    if (present === undefined) this.#machines.set(path, machine)
    return machine
  }

  /** Resolves when nothing goes on any more with the machine of an instance, or with these addresses; undefined: at once. */
  #before(path: string, addresses: readonly string[]): Promise<unknown> | undefined {
    const going = [...this.#going].filter((one) => {
      return one.path === path || one.addresses.some((address) => addresses.includes(address))
    })
    return going.length === 0 ? undefined : Promise.all(going.map(({ done }) => done))
  }

  #goOn(path: string, addresses: readonly string[], task: () => Promise<void>): void {
    const going: Going = { path, addresses, done: tried(path, task).finally(() => this.#going.delete(going)) }
    this.#going.add(going)
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
