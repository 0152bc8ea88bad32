/** What the main thread and the workers share of a service as a whole, by place in its cells. */
export const ServiceCell = {
  /** Connections to backends now, of all workers. */
  open: 0,
  /** Those above which there are no more (`circuitBreakers.maxConnections`, this edge's part of it). */
  openMax: 1,
  /** Why connections that the nearest region has room for go elsewhere: a code of `RegionCode`. */
  awayReason: 2,
} as const

/** No limit, as {@link ServiceCell.openMax} has it. */
export const NO_CAP = 0x7fff_ffff

/** Cells of a service without a limit. */
export function makeServiceCells(): Int32Array {
  const cells = new Int32Array(new SharedArrayBuffer(Object.keys(ServiceCell).length * Int32Array.BYTES_PER_ELEMENT))
  cells[ServiceCell.openMax] = NO_CAP
  return cells
}

/** Counts one more connection to a backend; false: the service has as many as it may, and nothing was counted. */
export function enterService(cells: Int32Array): boolean {
  // Counted first, then compared: two workers cannot both take the last place.
  const before = Atomics.add(cells, ServiceCell.open, 1)
  if (before < Atomics.load(cells, ServiceCell.openMax)) return true
  Atomics.sub(cells, ServiceCell.open, 1)
  return false
}

/** One of them has ended. */
export function leaveService(cells: Int32Array): void {
  Atomics.sub(cells, ServiceCell.open, 1)
}
