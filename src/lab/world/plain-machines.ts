import { pathOf, regionOf } from '../../controller/model/resource-paths.ts'
import type {
  InstanceProvider,
  MachineFailure,
  MachineState,
  MakeProvider,
  WantedMachines,
} from '../../controller/model/world.ts'
import type { StoredResource } from '../../controller/store/store.ts'
import { runChecked } from '../../linux/run.ts'
import { messageOf } from '../../text/error-message.ts'
import type { LabHost } from '../process/lab-status.ts'
import type { Fabric } from './fabric.ts'
import { addNamespaces } from './ip-commands.ts'

type Interface = { readonly networkIP?: string; readonly accessConfigs?: readonly { readonly natIP?: string }[] }

/** Instances as nothing but network namespaces. */
export class PlainMachines implements InstanceProvider {
  readonly #fabric: Pick<Fabric, 'attach' | 'detach'>
  readonly #hosts = new Map<string, LabHost & { readonly path: string }>()
  #report: (path: string, state: MachineState) => void = () => {}

  constructor(fabric: Pick<Fabric, 'attach' | 'detach'>) {
    this.#fabric = fabric
  }

  readonly makeProvider: MakeProvider = (report) => {
    this.#report = report
    return this
  }

  hosts(): readonly LabHost[] {
    return [...this.#hosts.values()].map(({ path: _, ...host }) => host)
  }

  serialOutput(): undefined {
    return undefined
  }

  async reconcile({ instances }: WantedMachines): Promise<readonly MachineFailure[]> {
    const failures: MachineFailure[] = []
    const running = new Map(
      instances.filter(({ resource }) => resource.status === 'RUNNING').map((one) => [one.name, one]),
    )
    for (const name of this.#hosts.keys()) if (!running.has(name)) await this.#stop(name)
    for (const [name, instance] of running) {
      if (this.#hosts.has(name)) continue
      await this.#start(instance).catch((error: unknown) => {
        failures.push({ path: pathOf(instance), message: messageOf(error) })
      })
    }
    return failures
  }

  async #start(instance: StoredResource): Promise<void> {
    const { name, scope, resource } = instance
    const region = regionOf(scope)
    const interfaces = resource.networkInterfaces as readonly Interface[]
    const internal = interfaces.flatMap(({ networkIP }) => networkIP ?? [])
    const external = interfaces.flatMap(({ accessConfigs = [] }) => accessConfigs.flatMap(({ natIP }) => natIP ?? []))
    const addresses = [...internal, ...external]
    await addNamespaces([name])
    try {
      await this.#fabric.attach({ namespace: name, region, internal, external })
    } catch (error) {
      await runChecked('ip', ['netns', 'delete', name])
      throw error
    }
    const path = pathOf(instance)
    this.#hosts.set(name, { name, kind: 'instance', region, addresses, state: 'running', path })
    this.#report(path, { status: 'RUNNING' })
  }

  async #stop(name: string): Promise<void> {
    const path = this.#hosts.get(name)?.path
    this.#hosts.delete(name)
    await this.#fabric.detach(name)
    await runChecked('ip', ['netns', 'delete', name])
    if (path !== undefined) this.#report(path, { status: 'TERMINATED' })
  }
}
