/** Which half of the chain is compared: the agent (header in, client's address out) or the edge (header out, TLS in). */
export const SCENARIOS = ['agent', 'edge', 'edge-tls'] as const
export type Scenario = (typeof SCENARIOS)[number]

/** What is compared with what: truepeer itself, another program, or the cheapest relay that the kernel allows. */
export type TargetKind = 'truepeer' | 'peer' | 'floor'

/**
 * One measurement. `cost` is what ratios are made of: the proxy's CPU time in microseconds per operation or megabyte,
 * or, of idle connections, KiB of resident memory per connection. `rate` is per second.
 */
export type Point = {
  readonly scenario: Scenario
  readonly target: string
  readonly workload: string
  readonly repetition: number
  readonly cost: number
  readonly rate: number
  readonly p50Us: number
  readonly p99Us: number
  readonly errorCount: number
  /** The share of the time that the hypervisor gave to others, of one CPU. */
  readonly stealShare: number
}

/** All that one run found out; the JSON file holds exactly this. */
export type Result = {
  readonly date: string
  readonly command: string
  readonly machine: { readonly [name: string]: string }
  readonly versions: { readonly [name: string]: string }
  readonly secondsPerPoint: number
  readonly idleConnections: number
  readonly isPinned: boolean
  readonly targets: readonly { readonly scenario: Scenario; readonly name: string; readonly kind: TargetKind }[]
  /** What could not be measured, one sentence each. */
  readonly gaps: readonly string[]
  readonly points: readonly Point[]
}
