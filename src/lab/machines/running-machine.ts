import type { StoredResource } from '../../controller/store/store.ts'
import type { RunOptions, RunResult, StartedProgram } from '../../linux/run.ts'
import type { Machine } from './machine.ts'

/** What a machine is connected by. */
export type Fabric = {
  /**
   * Joins a network namespace to the network of its region, by an interface eth0 with the internal addresses; the external
   * ones lead to it.
   */
  attach(machine: {
    readonly namespace: string
    /** What the router of its region calls the link to it. */
    readonly device: string
    readonly region: string
    readonly internal: readonly string[]
    readonly external: readonly string[]
  }): Promise<void>
  /** Takes it out again; one that is not joined does no harm. */
  detach(namespace: string): Promise<void>
  /** Has the router of a region take rules, in the words of nft(8). */
  filter(region: string, rules: string): Promise<void>
}

/** A resource as far as metadata are about it. */
type Described = Pick<StoredResource, 'project' | 'scope' | 'name' | 'id' | 'resource'>

/** The resources that a machine is described by, as they are now. */
export type MachineMetadata = { readonly instance: Described; readonly project: Described }

/** A machine that is on, for who serves it. */
export type RunningMachine = {
  readonly name: string
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

/** What serves a machine that is on. */
export type MachineServices = {
  /** What the machine does before it is turned off, where that is no accident; never rejects. */
  shutDown?(): Promise<void>
  /** Called when it has ended. */
  stop(): Promise<void>
}

/** Called for each machine that is turned on, before it counts as running. */
export type StartServices = (machine: RunningMachine) => Promise<MachineServices>

/** Describes a machine that is on to those who serve it. */
export function runningMachine(
  machine: Machine,
  { metadata, onMetadata }: Pick<RunningMachine, 'metadata' | 'onMetadata'>,
): RunningMachine {
  return {
    name: machine.name,
    namespacePath: machine.namespacePath,
    root: machine.root,
    initPid: machine.initPid,
    metadata,
    onMetadata,
    run: (program, args, options) => machine.run(program, args, options),
    startOnConsole: (program, args = []) =>
      machine.startProgram('sh', ['-c', 'exec "$@" </dev/null >/dev/console 2>&1', 'sh', program, ...args]),
  }
}
