/** One value of a metric: the values of its labels, in their order, and the number. */
export type Sample = readonly [labels: readonly string[], value: number]

/** A metric whose values are read from a status when somebody asks. */
export type StatusMetric<Status> = {
  readonly name: string
  readonly help: string
  readonly kind: 'counter' | 'gauge'
  readonly labels: readonly string[]
  /** Every value of the last label, where that is no name of the configuration. */
  readonly values?: readonly string[]
  readonly samples: (status: Status) => Iterable<Sample>
}
