import type { ApiRequest } from '../methods/api-request.ts'
import { keyOfPath } from '../model/resource-paths.ts'
import type { Hub } from '../model/world.ts'
import { type Machines, makesMachines } from '../publish/machines.ts'
import { finishOperation, type Outcome } from '../resources/operations.ts'
import { type Store, type StoredOperation, StoreError } from '../store/store.ts'

/** As long as Compute Engine holds a `wait`. */
const WAIT_MS_MAX = 120_000

/** What {@link RunningOperations} work with. */
export type RunningOperationsOptions = {
  readonly store: Store
  readonly hub: Hub
  readonly machines?: Pick<Machines, 'tried'> | undefined
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** Told about mistakes of our own. */
  readonly onError?: (error: unknown, about: Pick<ApiRequest, 'method' | 'path'>) => void
}

/** Operations that go on when their change is stored: until edges have applied it, or until somebody has made machines of it. */
export class RunningOperations {
  readonly #options: RunningOperationsOptions
  /** Done ones that could not be stored as such, by project and name. */
  readonly #unstored = new Map<string, StoredOperation>()
  readonly #waiting = new Set<() => void>()
  #isClosed = false

  constructor(options: RunningOperationsOptions) {
    this.#options = options
  }

  /** Says whether a change is more than stored, and somebody has to make it true. */
  goesOn(collection: string, changesListeners: boolean): boolean {
    return changesListeners || this.#options.hub.isHeldUp() || this.#isForMachines(collection)
  }

  /**
   * Ends an operation once its change has arrived, and resolves with what is stored of it then. Where it takes others
   * longer than a client should wait for an answer, it resolves at once, with the operation still running. Never rejects.
   */
  async end(operation: StoredOperation, revision: number): Promise<StoredOperation> {
    const path = String(operation.resource.targetLink)
    // The one link that has no collection is that of a project.
    if (!this.#isForMachines(keyOfPath(path)?.collection ?? 'projects')) {
      const late = await this.#options.hub.applied(revision)
      return this.#finish(operation, this.#options.hub.hasEdges() ? lateEdges(late) : NO_EDGES)
    }
    void this.#options.machines?.tried(revision, path).then((error) => this.#finish(operation, { warnings: [], error }))
    return operation
  }

  /** Resolves when an operation is done, whoever ends it, or after two minutes: with what is stored of it then. */
  async wait(operation: StoredOperation): Promise<StoredOperation> {
    const done = this.#unstored.get(keyOf(operation))
    if (done !== undefined) return this.#store(operation, done)
    if (this.#isClosed) return operation
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        unfollow()
        this.#waiting.delete(end)
        resolve(this.#options.store.operation(operation.project, operation.scope, operation.name) ?? operation)
      }
      const unfollow = this.#options.store.follow(({ operation: next }) => {
        if (next?.isDone === true && keyOf(next) === keyOf(operation)) end()
      })
      const timer = setTimeout(end, WAIT_MS_MAX)
      this.#waiting.add(end)
    })
  }

  /** Nobody waits any longer, or begins to. */
  close(): void {
    this.#isClosed = true
    for (const end of this.#waiting) end()
  }

  #isForMachines(collection: string): boolean {
    return this.#options.machines !== undefined && makesMachines({ collection })
  }

  #finish(operation: StoredOperation, outcome: Outcome): Promise<StoredOperation> {
    return this.#store(operation, finishOperation(operation, this.#options.clock(), outcome))
  }

  /** Where the disk is full it stays as it is, and is stored when somebody asks for it. */
  async #store(operation: StoredOperation, done: StoredOperation): Promise<StoredOperation> {
    this.#unstored.set(keyOf(done), done)
    try {
      await this.#options.store.commit({ changes: [], operation: done })
    } catch (error) {
      if (error instanceof StoreError) return operation
      this.#options.onError?.(error, { method: 'finish', path: String(operation.resource.selfLink) })
      return operation
    }
    this.#unstored.delete(keyOf(done))
    return done
  }
}

const NO_EDGES: Outcome = {
  warnings: [
    {
      code: 'UNREACHABLE',
      message:
        'No edge follows this controller, so nobody serves the change yet; start one with "truepeer edge --controller"',
    },
  ],
  error: undefined,
}

function keyOf({ project, name }: StoredOperation): string {
  return `${project} ${name}`
}

function lateEdges(names: readonly string[]): Outcome {
  if (names.length === 0) return { warnings: [], error: undefined }
  const message = `These edges have not applied the whole configuration yet: ${names.slice(0, 20).join(', ')}`
  return { warnings: [{ code: 'UNREACHABLE', message }], error: undefined }
}
