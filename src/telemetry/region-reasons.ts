/** Why a connection went to the region that it went to; the `regionReason` of its record. */
export const REGION_REASONS = [
  /** It is the nearest region of the service. */
  'nearest',
  /** Every group of the nearest region was at its target. */
  'full',
  /** The nearest region has too few healthy backends. */
  'unhealthy',
  /** The nearest region is drained, by `capacityScaler` 0 or `autoCapacityDrain`. */
  'drained',
  /** Groups that are PREFERRED come first, wherever they are. */
  'preferred',
  /** SPRAY_TO_WORLD prefers no region. */
  'spray',
  /** The same, and the affinity of the client chose the group. */
  'affinity',
  /** Backends of the nearest region could not be connected to. */
  'retry',
] as const
export type RegionReason = (typeof REGION_REASONS)[number]

/** The number of a reason, as cells, connections and counters have it. */
export const RegionCode = Object.fromEntries(REGION_REASONS.map((reason, code) => [reason, code])) as Readonly<
  Record<RegionReason, number>
>
