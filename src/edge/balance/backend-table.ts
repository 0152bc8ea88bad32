import { Availability } from './availability.ts'

/** Backends of all services together. */
export const BACKENDS_MAX = 65_536
/** Groups of all services together. */
export const GROUPS_MAX = 16_384
/** Frontends of one edge. */
export const FRONTENDS_MAX = 4_096

/** What each worker counts for a backend and for a frontend; all but the bytes count connections or attempts. */
const TrafficCounter = {
  /** Connections that it was chosen for, or that it took. */
  connections: 0,
  /** Attempts that failed, those that timed out included. */
  connectFailures: 1,
  /** Attempts that were not answered within the connect timeout. */
  connectTimeouts: 2,
  /** Attempts that came after another backend had failed. */
  retries: 3,
  bytesFromClient: 4,
  bytesFromBackend: 5,
} as const

export const BackendCounter = {
  ...TrafficCounter,
  /** Connections that it broke before it said anything. */
  broken: 6,
} as const
export type BackendCounter = (typeof BackendCounter)[keyof typeof BackendCounter]

export const FrontendCounter = {
  ...TrafficCounter,
  /** Connections for which no backend was healthy. */
  noBackend: 6,
  /** Connections that were refused before a backend was looked for: `isRefused` in the table of end reasons. */
  refused: 7,
} as const
export type FrontendCounter = (typeof FrontendCounter)[keyof typeof FrontendCounter]

/** Any of them, or a code of `RegionCode` for a group. */
type Counter = number

/** Counters of one id; with doubles, a cache line. */
const STRIDE = 8

/**
 * What the main thread and the workers share, by the small ids of {@link BackendTable}. Every array is shared memory;
 * pages that nobody has touched cost nothing.
 */
export type BackendCells = {
  /** By group: changes with every `availability` of a backend of it: workers look at those only then. */
  readonly groupVersion: Int32Array
  /** By backend: its {@link Availability}; written by {@link BackendTable.show}. */
  readonly availability: Int32Array
  /** By backend, by group, by frontend: connections now, of all workers. */
  readonly open: Int32Array
  readonly groupOpen: Int32Array
  readonly frontendOpen: Int32Array
  /** By backend: attempts to connect that have failed in a row; connections that it broke, in a row, before it said anything, up to one that it answered. */
  readonly failuresInRow: Int32Array
  readonly brokenInRow: Int32Array
  /** One for each worker, who alone writes it; read with {@link BackendTable.readBackend} and the like. */
  readonly counters: readonly Float64Array[]
  readonly frontendCounters: readonly Float64Array[]
  /** By group and why its region was chosen: connections. */
  readonly groupCounters: readonly Float64Array[]
}

/** Adds to a counter of one id, in the array of the calling worker. */
export function count(counters: Float64Array, id: number, counter: Counter, amount = 1): void {
  counters[id * STRIDE + counter] += amount
}

/** Shows the workers the availability of a backend of a group. @returns whether it was another one before */
export function setAvailability(cells: BackendCells, id: number, groupId: number, availability: Availability): boolean {
  // In this order: who sees the version sees the availability.
  const before = Atomics.exchange(cells.availability, id, availability)
  if (before === availability) return false
  Atomics.add(cells.groupVersion, groupId, 1)
  return true
}

/** Makes the cells for so many workers. */
export function makeCells(workers: number): BackendCells {
  const perWorker = (ids: number): Float64Array[] =>
    Array.from({ length: workers }, () => new Float64Array(new SharedArrayBuffer(ids * STRIDE * 8)))
  return receivedCells({
    groupVersion: sharedInts(GROUPS_MAX),
    availability: sharedInts(BACKENDS_MAX),
    open: sharedInts(BACKENDS_MAX),
    groupOpen: sharedInts(GROUPS_MAX),
    frontendOpen: sharedInts(FRONTENDS_MAX),
    failuresInRow: sharedInts(BACKENDS_MAX),
    brokenInRow: sharedInts(BACKENDS_MAX),
    counters: perWorker(BACKENDS_MAX),
    frontendCounters: perWorker(FRONTENDS_MAX),
    groupCounters: perWorker(GROUPS_MAX),
  })
}

/**
 * Cells that came from another thread, as an object of the same hidden class as everybody's: what V8 has compiled for
 * those of a warm-up is good for these, too.
 */
export function receivedCells(cells: BackendCells): BackendCells {
  const { groupVersion, availability, open, groupOpen, frontendOpen } = cells
  const { failuresInRow, brokenInRow, counters, frontendCounters, groupCounters } = cells
  return {
    groupVersion,
    availability,
    open,
    groupOpen,
    frontendOpen,
    failuresInRow,
    brokenInRow,
    counters,
    frontendCounters,
    groupCounters,
  }
}

/**
 * The main thread's side of the cells: who has which id.
 *
 * An id stays with its key until it is released; it is given to another key only when no connection uses it any more,
 * and the one that was released first comes first. A new backend is down until the main thread says otherwise.
 */
export class BackendTable {
  readonly cells: BackendCells
  readonly backends: IdSpace
  readonly groups: IdSpace
  readonly frontends: IdSpace
  /** By backend: its group, also after it was released. */
  readonly #groupOf = new Int32Array(BACKENDS_MAX)

  constructor(workers: number) {
    const cells = makeCells(workers)
    this.cells = cells
    this.backends = new IdSpace('backends', BACKENDS_MAX, cells.open, cells.counters)
    this.groups = new IdSpace('groups of backends', GROUPS_MAX, cells.groupOpen, cells.groupCounters)
    this.frontends = new IdSpace('frontends', FRONTENDS_MAX, cells.frontendOpen, cells.frontendCounters)
  }

  /** The id of the backend of this key, which is down if it is new; those who choose look at the version of its group. */
  takeBackend(key: string, groupId: number): number {
    const isNew = this.backends.idOf(key) === undefined
    const id = this.backends.take(key)
    // One that has kept its id comes back under another group when that one had left as a whole.
    this.#groupOf[id] = groupId
    if (isNew) {
      this.show(id, Availability.down)
      this.forgiveBackend(id)
    }
    return id
  }

  /** Shows the workers the availability of a backend. @returns whether it was another one before */
  show(id: number, availability: Availability): boolean {
    return setAvailability(this.cells, id, this.#groupOf[id], availability)
  }

  /** A backend has left the configuration. */
  leave(id: number): void {
    const before = Atomics.load(this.cells.availability, id)
    const isDown = before === Availability.down || before === Availability.draining
    this.show(id, isDown ? Availability.draining : Availability.leaving)
  }

  /** Lets go of a backend, which gets no further connections; returns the id that it had. */
  releaseBackend(key: string): number | undefined {
    const id = this.backends.release(key)
    if (id !== undefined) this.show(id, Availability.draining)
    return id
  }

  /** What has failed in a row counts from now on. */
  forgiveBackend(id: number): void {
    Atomics.store(this.cells.failuresInRow, id, 0)
    Atomics.store(this.cells.brokenInRow, id, 0)
  }

  /** A counter of a backend, since its key has the id. */
  readBackend(id: number, counter: BackendCounter): number {
    return this.backends.read(id, counter)
  }

  /** A counter of a frontend, since its key has the id. */
  readFrontend(id: number, counter: FrontendCounter): number {
    return this.frontends.read(id, counter)
  }

  /** Connections that came to a group for this reason (a code of `RegionCode`), since its key has the id. */
  readGroup(id: number, code: number): number {
    return this.groups.read(id, code)
  }
}

/** The ids of one kind of thing: small integers, each held by one key. */
export class IdSpace {
  readonly #what: string
  readonly #capacity: number
  readonly #open: Int32Array
  readonly #counters: readonly Float64Array[]
  readonly #ids = new Map<string, number>()
  /** In the order of their release. */
  readonly #released: number[] = []
  /** What an id had counted before its present key took it. */
  readonly #countedBefore = new Map<number, readonly number[]>()
  #nextUnused = 0

  constructor(what: string, capacity: number, open: Int32Array, counters: readonly Float64Array[]) {
    this.#what = what
    this.#capacity = capacity
    this.#open = open
    this.#counters = counters
  }

  idOf(key: string): number | undefined {
    return this.#ids.get(key)
  }

  /** The id of this key, a new one if it has none. @throws Error when all are in use */
  take(key: string): number {
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const id = this.#nextUnused < this.#capacity ? this.#nextUnused++ : this.#takeReleased()
    this.#ids.set(key, id)
    return id
  }

  /** Takes the id from this key; returns it. */
  release(key: string): number | undefined {
    const id = this.#ids.get(key)
    if (id === undefined) return undefined
    this.#ids.delete(key)
    this.#released.push(id)
    return id
  }

  /** Connections now. */
  open(id: number): number {
    return Atomics.load(this.#open, id)
  }

  read(id: number, counter: Counter): number {
    return this.#total(id, counter) - (this.#countedBefore.get(id)?.[counter] ?? 0)
  }

  #takeReleased(): number {
    const at = this.#released.findIndex((id) => this.open(id) === 0)
    if (at < 0) throw new Error(`There are more than ${this.#capacity} ${this.#what}; spread them over several edges`)
    const [id] = this.#released.splice(at, 1)
    this.#countedBefore.set(
      id,
      Array.from({ length: STRIDE }, (_, counter) => this.#total(id, counter)),
    )
    return id
  }

  #total(id: number, counter: Counter): number {
    return this.#counters.reduce((sum, values) => sum + values[id * STRIDE + counter], 0)
  }
}

function sharedInts(length: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(length * Int32Array.BYTES_PER_ELEMENT))
}
