import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Mapping } from '../../compute/json-value.ts'
import { TestApi } from '../../controller/api/test-api.ts'
import { Lab } from '../lab.ts'
import type { InstanceMachinesOptions } from './instance-machine.ts'
import { LabMachines } from './lab-machines.ts'
import type { Machine } from './machine.ts'
import type { RunningMachine } from './running-machine.ts'
import { makeSkeleton } from './skeleton.ts'
import { TestFabric } from './test-fabric.ts'

const ZONE_NAME = 'us-central1-b'
const ZONE = `zones/${ZONE_NAME}`

/** An API whose instances are machines on the network of a test. */
export class TestInstances {
  readonly lab: Lab
  readonly fabric: TestFabric
  readonly api: TestApi
  readonly machines: LabMachines
  /** Machines whose services run, in the order in which they were started. */
  readonly served: RunningMachine[] = []
  /** As long as machines take to shut down. */
  shutDown: Promise<void> = Promise.resolve()

  static async make(t: TestContext): Promise<TestInstances> {
    const directory = mkdtempSync('/run/truepeer-instances-')
    const lab = new Lab()
    const files = { shared: {}, links: {}, skeleton: await makeSkeleton(join(directory, 'skeleton')) }
    const instances = new TestInstances(lab, { directory, files, fabric: await TestFabric.make(lab) })
    t.after(async () => {
      await instances.#close()
      await lab.close()
      rmSync(directory, { recursive: true, force: true })
    })
    return instances
  }

  private constructor(
    lab: Lab,
    options: Omit<InstanceMachinesOptions, 'startServices'> & { readonly fabric: TestFabric },
  ) {
    this.lab = lab
    this.fabric = options.fabric
    const startServices = async (machine: RunningMachine) => {
      this.served.push(machine)
      return {
        shutDown: () => this.shutDown,
        stop: async () => void this.served.splice(this.served.indexOf(machine), 1),
      }
    }
    const zones = ['us-central1-a', ZONE_NAME]
    this.machines = new LabMachines({ ...options, startServices, zones })
    this.api = new TestApi({ natPools: ['198.51.100.0/24'], makeProvider: this.machines.makeProvider })
  }

  /** Makes a change, and waits until the machines have become what it asks for. */
  async change(method: string, path: string, body?: unknown): Promise<void> {
    const { status, body: operation } = await this.api.send(method, path, body)
    assert.equal(status, 200, JSON.stringify(operation))
    const [scope] = /^zones\/[^/]+/.exec(path) ?? ['global']
    const { body: done } = await this.api.send('POST', `${scope}/operations/${operation.name}/wait`)
    assert.deepEqual([done.status, done.error], ['DONE', undefined])
  }

  async create(name: string, fields: Mapping = {}): Promise<void> {
    const accessConfigs = [{ name: 'external-nat', type: 'ONE_TO_ONE_NAT' }]
    await this.change('POST', `${ZONE}/instances`, { name, networkInterfaces: [{ accessConfigs }], ...fields })
  }

  /** Does something to an instance: `start`, `stop`, `reset`, `setTags`. */
  async act(name: string, action: string, body?: unknown): Promise<void> {
    await this.change('POST', `${ZONE}/instances/${name}/${action}`, body)
  }

  async delete(name: string): Promise<void> {
    await this.change('DELETE', `${ZONE}/instances/${name}`)
  }

  async statusOf(name: string): Promise<unknown> {
    const { status, statusMessage } = await this.api.get(`${ZONE}/instances/${name}`)
    return statusMessage === undefined ? status : `${status}: ${statusMessage}`
  }

  /** The machine of an instance, which is on. */
  machine(name: string): Machine {
    const machine = this.machines.running(name, ZONE_NAME)
    assert.ok(machine !== undefined)
    return machine
  }

  /** Runs a script in the machine of an instance, and returns what it prints. */
  async run(name: string, script: string): Promise<string> {
    const machine = this.machine(name)
    const { stdout, stderr } = await machine.run('sh', ['-c', script])
    return (stdout + stderr).trim()
  }

  async serialOf(name: string): Promise<string> {
    return String((await this.api.get(`${ZONE}/instances/${name}/serialPort`)).contents)
  }

  async #close(): Promise<void> {
    const wanted = { revision: 0, instances: [], firewalls: [], projects: [] }
    await this.machines.reconcile(wanted, new AbortController().signal)
    await this.machines.settled()
    this.api.machines?.close()
  }
}
