import type { Log } from '../telemetry/log.ts'

/** A running edge or agent, as the program's entry holds it. */
export type Program = {
  /** Applies what has changed in the configuration files (SIGHUP); keeps what was there on any error. */
  reload(): void
  /** Accepts what is queued, stops listening and resolves when the last connection has ended. */
  drain(): Promise<void>
  /** Ends everything at once; afterwards the process can exit. */
  stopNow(): void
  /** The sum of a counter (a slot of `METRICS`) over all workers. */
  read(slot: number): number
}

/** What an edge or an agent gets from the program's entry. */
export type ProgramContext = {
  readonly log: Log
  /** Records that the log has dropped. */
  readonly droppedRecords: () => number
  /** Ends the process with status 1 after stopping everything. */
  readonly onFatal: (error: Error) => void
}
