import type { Log } from '../../telemetry/log.ts'
import { messageOf } from '../../text/error-message.ts'
import { pathOf, storedAt } from '../model/resource-paths.ts'
import type {
  GuestAttributes,
  InstanceProvider,
  MachineFailure,
  MachineSource,
  MachineState,
  MakeProvider,
  SerialOutput,
  WantedMachines,
} from '../model/world.ts'
import type { Change, Store } from '../store/store.ts'

/** A provider that has not ended by then is told to, and counts as failed. */
const RECONCILE_MS_MAX = 300_000
const RETRY_MS_MIN = 1_000
const RETRY_MS_MAX = 60_000
const FAILURES_LOGGED_MAX = 20

/** What {@link Machines} work with. */
export type MachinesOptions = {
  readonly store: Pick<Store, 'all' | 'get' | 'revision'>
  readonly makeProvider: MakeProvider
  readonly log: Log
}

/** What came of one try; a failure without a path concerns everything. */
type Failure = Omit<MachineFailure, 'path'> & { readonly path: string | undefined }

/** Whoever wants to know what came of a revision for one resource. */
type Waiter = {
  readonly revision: number
  readonly path: string
  readonly resolve: (problem: string | undefined) => void
}

/**
 * The machines of instances: has a provider bring them to what is stored, again where it fails, and keeps what it reports
 * of them. One try at a time, and each is about the latest revision.
 */
export class Machines implements MachineSource {
  readonly #store: MachinesOptions['store']
  readonly #log: Log
  readonly #provider: InstanceProvider
  readonly #states = new Map<string, MachineState>()
  #waiters: readonly Waiter[] = []
  #timer: NodeJS.Timeout | undefined
  /** Ends the try that goes on. */
  #trying: AbortController | undefined
  #isClosed = false
  /** A change has come while the provider was busy with those before it. */
  #isBehind = false
  #retryMs = RETRY_MS_MIN

  constructor({ store, makeProvider, log }: MachinesOptions) {
    this.#store = store
    this.#log = log
    this.#provider = makeProvider((path, state) => this.#take(path, state))
    this.#trySoon()
  }

  get zones(): MachineSource['zones'] {
    return this.#provider.zones
  }

  stateOf(path: string): MachineState | undefined {
    return this.#states.get(path)
  }

  serialOutput(path: string, start: number): SerialOutput | undefined {
    return this.#provider.serialOutput(path, start)
  }

  guestAttributes(path: string): GuestAttributes {
    return this.#provider.guestAttributes?.(path) ?? new Map()
  }

  /** Follows a commit. */
  committed(changes: readonly Change[]): void {
    for (const change of changes) if ('delete' in change) this.#states.delete(pathOf(change.delete))
    const isOurs = changes.some((change) => makesMachines('put' in change ? change.put : change.delete))
    if (isOurs) this.#trySoon()
  }

  /**
   * Resolves once the provider has had its try at this revision or a later one, and what of it went on has ended: with
   * why it could not do what the resource asks for, or with undefined. Never rejects.
   */
  tried(revision: number, path: string): Promise<string | undefined> {
    return new Promise((resolve) => {
      this.#waiters = [...this.#waiters, { revision, path, resolve }]
      this.#trySoon()
    })
  }

  /** Tells the provider to end what it does, and asks it for nothing more. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#trying?.abort(new Error('The controller ends'))
  }

  /** Changes that come together are one try; those that come during one are the next. */
  #trySoon(afterMs = 0): void {
    this.#isBehind = true
    if (this.#trying !== undefined || this.#isClosed) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#try(), afterMs)
  }

  async #try(): Promise<void> {
    this.#trying = new AbortController()
    this.#isBehind = false
    const revision = this.#store.revision()
    const failures = await this.#reconcile(revision, this.#trying)
    this.#trying = undefined
    if (this.#isClosed) return
    this.#tell(revision, failures)
    if (failures.length === 0) this.#retryMs = RETRY_MS_MIN
    else {
      const shown = failures.slice(0, FAILURES_LOGGED_MAX)
      this.#log('error', 'The machines differ from what is configured', {
        revision,
        failures: shown,
        retryMs: this.#retryMs,
      })
    }
    if (this.#isBehind) this.#trySoon()
    else if (failures.length > 0) {
      this.#trySoon(this.#retryMs)
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX)
    }
  }

  async #reconcile(revision: number, trying: AbortController): Promise<readonly Failure[]> {
    const all = this.#store.all()
    const wanted: WantedMachines = {
      revision,
      instances: all.filter(({ collection }) => collection === 'instances'),
      firewalls: all.filter(({ collection }) => collection === 'firewalls'),
      projects: all.filter(({ collection }) => collection === 'projects'),
    }
    const late = new Error(`The machines did not become what is configured within ${RECONCILE_MS_MAX / 1000} s`)
    const timer = setTimeout(() => trying.abort(late), RECONCILE_MS_MAX)
    try {
      return await Promise.race([this.#provider.reconcile(wanted, trying.signal), rejectionOf(trying.signal)])
    } catch (error) {
      return [{ path: undefined, message: messageOf(error) }]
    } finally {
      clearTimeout(timer)
    }
  }

  #tell(revision: number, failures: readonly Failure[]): void {
    const told = this.#waiters.filter((waiter) => waiter.revision <= revision)
    this.#waiters = this.#waiters.filter((waiter) => waiter.revision > revision)
    for (const { path, resolve } of told) {
      const failure = failures.find((one) => one.path === undefined || one.path === path)
      const settled = failure === undefined ? this.#provider.settled?.(path) : undefined
      if (settled === undefined) resolve(failure?.message)
      else void settled.then((problem) => this.#settle(problem, resolve))
    }
  }

  #settle(problem: string | undefined, resolve: Waiter['resolve']): void {
    resolve(problem)
    if (problem !== undefined) this.#trySoon(RETRY_MS_MIN)
  }

  /** What is said of an instance that is gone by now is no news. */
  #take(path: string, state: MachineState): void {
    if (storedAt(this.#store, path) !== undefined) this.#states.set(path, state)
  }
}

/** Says whether machines are made from resources of this collection. */
export function makesMachines({ collection }: { readonly collection: string }): boolean {
  return collection === 'instances' || collection === 'firewalls' || collection === 'projects'
}

function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}
