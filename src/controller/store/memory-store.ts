import { compareTexts } from '../../text/compare-texts.ts'
import { CommitFeed } from './commit-feed.ts'
import { deepFreeze, ResourceTable } from './resource-table.ts'
import {
  type AuditRecord,
  type Commit,
  type Committed,
  checkRevision,
  type LastOperation,
  type Store,
  type StoredOperation,
  type StoredResource,
  type StoredToken,
  type StoreSize,
} from './store.ts'

/** A store that ends with the process: for tests of what uses a store, and as the simplest one there is. */
export class MemoryStore implements Store {
  #revision = 0
  #resources = ResourceTable.of([])
  /** By project and name, the oldest first. */
  readonly #operations = new Map<string, StoredOperation>()
  readonly #audit: AuditRecord[] = []
  readonly #meta = new Map<string, string>()
  readonly #tokens = new Map<string, StoredToken>()
  readonly #feed = new CommitFeed()

  revision(): number {
    return this.#revision
  }

  get(project: string, collection: string, scope: string, name: string): StoredResource | undefined {
    return this.#resources.get({ project, collection, scope, name })
  }

  list(project: string, collection: string, scope?: string): readonly StoredResource[] {
    return this.#resources.list(project, collection, scope)
  }

  all(): readonly StoredResource[] {
    return this.#resources.all()
  }

  async commit(commit: Commit): Promise<number> {
    const { changes, operation, removedOperation: removed, audit = [], meta = {} } = commit
    checkRevision(commit, this.#revision)
    const revision = this.#revision + (changes.length > 0 ? 1 : 0)
    this.#resources = this.#resources.with(changes, revision)
    this.#revision = revision
    if (operation !== undefined) this.#operations.set(`${operation.project} ${operation.name}`, frozenCopy(operation))
    if (removed !== undefined) this.#operations.delete(`${removed.project} ${removed.name}`)
    this.#audit.push(...audit.map(frozenCopy))
    for (const [name, value] of Object.entries(meta)) {
      if (value === undefined) this.#meta.delete(name)
      else this.#meta.set(name, value)
    }
    this.#feed.tell({ revision, changes, operation })
    return revision
  }

  follow(follower: (committed: Committed) => void): () => void {
    return this.#feed.follow(follower)
  }

  operation(project: string, scope: string, nameOrId: string): StoredOperation | undefined {
    return this.#operationsOf(project, scope).find(({ name, id }) => name === nameOrId || id === nameOrId)
  }

  operationOfRequest(request: string): StoredOperation | undefined {
    return [...this.#operations.values()].find((operation) => operation.request === request)
  }

  operations(
    project: string,
    scope: string | undefined,
    last: LastOperation | undefined,
    count: number,
  ): readonly StoredOperation[] {
    const sorted = this.#operationsOf(project, scope).sort(compareByPlace)
    return sorted.filter((one) => last === undefined || compareByPlace(one, last) > 0).slice(0, count)
  }

  latestOperations(
    project: string,
    scope: string,
    last: LastOperation | undefined,
    count: number,
  ): readonly StoredOperation[] {
    const sorted = this.#operationsOf(project, scope).sort(compareByTime)
    return sorted.filter((one) => last === undefined || compareByTime(one, last) > 0).slice(0, count)
  }

  #operationsOf(project: string, scope: string | undefined): StoredOperation[] {
    return [...this.#operations.values()].filter(
      (operation) => operation.project === project && (scope === undefined || operation.scope === scope),
    )
  }

  unfinished(): readonly StoredOperation[] {
    return [...this.#operations.values()].filter(({ isDone }) => !isDone)
  }

  size(): StoreSize {
    const running = this.unfinished().length
    return { operations: { done: this.#operations.size - running, running }, bytes: 0 }
  }

  audit(count: number): readonly AuditRecord[] {
    return this.#audit.toReversed().slice(0, count)
  }

  meta(name: string): string | undefined {
    return this.#meta.get(name)
  }

  token(id: string): StoredToken | undefined {
    return this.#tokens.get(id)
  }

  tokens(): readonly StoredToken[] {
    return [...this.#tokens.values()]
  }

  /** What a command beside a controller does. */
  addToken(token: StoredToken): void {
    this.#tokens.set(token.id, frozenCopy(token))
  }

  removeToken(id: string): void {
    this.#tokens.delete(id)
  }

  close(): void {}
}

function compareByPlace(a: LastOperation, b: LastOperation): number {
  return compareTexts(a.scope, b.scope) || compareTexts(a.name, b.name)
}

/** The latest first. */
function compareByTime(a: LastOperation, b: LastOperation): number {
  return compareTexts(b.inserted, a.inserted) || compareTexts(a.name, b.name)
}

/** As a store that writes JSON gives it back. */
function frozenCopy<Value>(value: Value): Value {
  return deepFreeze(JSON.parse(JSON.stringify(value)) as Value)
}
