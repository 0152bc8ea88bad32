import type { StoredResource } from '../../controller/store/store.ts'
import type { RunOptions, RunResult, StartedProgram } from '../../linux/run.ts'

/** What a machine is connected by. */
export type Fabric = {
  /**
   * Joins a network namespace to the network of its region, by an interface eth0 with the internal addresses; the external
   * ones lead to it.
   */
  attach(machine: {
    readonly namespace: string
    readonly region: string
    readonly internal: readonly string[]
    readonly external: readonly string[]
  }): Promise<void>
  /** Takes it out again; one that is not joined does no harm. */
  detach(namespace: string): Promise<void>
}

/** The resources that an instance is made from, as they are now. */
export type MachineMetadata = { readonly instance: StoredResource; readonly project: StoredResource }

/** A machine that is on, for who serves it. */
export type RunningMachine = {
  readonly name: string
  /** The path of its instance. */
  readonly path: string
  /** Where setns(2) finds its network. */
  readonly namespacePath: string
  /** Its root directory, as this process sees it. */
  readonly root: string
  readonly initPid: number
  metadata(): MachineMetadata
  /** Calls the listener after each change of what {@link metadata} returns; returns how to stop that. */
  onMetadata(listener: () => void): () => void
  /** Runs a program in it to its end. */
  run(program: string, args?: readonly string[], options?: RunOptions): Promise<RunResult>
  /** Starts a program in it whose output goes to its serial port; it ends with the machine at the latest. */
  startOnConsole(program: string, args?: readonly string[]): StartedProgram
}

/** Called for each machine that is turned on, before it counts as running; what it returns is called when it has ended. */
export type StartServices = (machine: RunningMachine) => Promise<() => Promise<void>>
