import type { Scenario } from './scenario.ts'

/** What was seen, step by step. */
export class Result {
  readonly scenario: Scenario
  readonly regions: readonly string[]
  readonly steps: number
  /** By step, edge and region: new connections; those that nobody served are under one region more. */
  readonly #served: Int32Array
  /** By step and group, at its end. */
  readonly #open: Int32Array
  readonly #utilization: Float64Array
  /** By step, edge and group, at its end. */
  readonly #openOfEdge: Int32Array | undefined

  /** @param keepsEdges whether {@link openOfEdge} can be asked: it is a lot of memory for a large world */
  constructor(scenario: Scenario, keepsEdges: boolean) {
    const { groups, edges } = scenario
    this.scenario = scenario
    this.regions = [...new Set(groups.map(({ region }) => region))]
    this.steps = Math.floor(scenario.seconds / scenario.stepSeconds)
    this.#served = new Int32Array(this.steps * edges.length * (this.regions.length + 1))
    this.#open = new Int32Array(this.steps * groups.length)
    this.#utilization = new Float64Array(this.steps * groups.length)
    this.#openOfEdge = keepsEdges ? new Int32Array(this.steps * edges.length * groups.length) : undefined
  }

  /** @param region its index; that behind the last one: nobody */
  countServed(step: number, edge: number, region: number): void {
    this.#served[this.#servedAt(step, edge, region)]++
  }

  keepGroup(step: number, group: number, open: number, utilization: number): void {
    this.#open[step * this.scenario.groups.length + group] = open
    this.#utilization[step * this.scenario.groups.length + group] = utilization
  }

  keepEdge(step: number, edge: number, open: Int32Array): void {
    this.#openOfEdge?.set(open, (step * this.scenario.edges.length + edge) * this.scenario.groups.length)
  }

  served(step: number, edge: number, region: number): number {
    return this.#served[this.#servedAt(step, edge, region)]
  }

  failed(step: number, edge: number): number {
    return this.served(step, edge, this.regions.length)
  }

  open(step: number, group: number): number {
    return this.#open[step * this.scenario.groups.length + group]
  }

  utilization(step: number, group: number): number {
    return this.#utilization[step * this.scenario.groups.length + group]
  }

  openOfEdge(step: number, edge: number, group: number): number {
    const { edges, groups } = this.scenario
    return this.#openOfEdge?.[(step * edges.length + edge) * groups.length + group] ?? 0
  }

  /** A value for each step. */
  series(of: (step: number) => number): number[] {
    return Array.from({ length: this.steps }, (_, step) => of(step))
  }

  /** In all steps together. */
  sum(of: (step: number) => number): number {
    return this.series(of).reduce((total, value) => total + value, 0)
  }

  #servedAt(step: number, edge: number, region: number): number {
    return (step * this.scenario.edges.length + edge) * (this.regions.length + 1) + region
  }
}
