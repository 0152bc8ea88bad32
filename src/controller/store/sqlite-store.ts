import { statSync } from 'node:fs'
import type { Database, Statement } from 'libsql'
import { CommitFeed } from './commit-feed.ts'
import {
  closeDatabase,
  type DirectoryLock,
  databasePath,
  lockDirectory,
  openDatabase,
  storeError,
} from './data-directory.ts'
import { deepFreeze, ResourceTable } from './resource-table.ts'
import {
  type AuditRecord,
  type Change,
  type Commit,
  type Committed,
  checkRevision,
  type JsonObject,
  type JsonValue,
  type LastOperation,
  type Store,
  type StoredOperation,
  type StoredResource,
  type StoredToken,
  type StoreSize,
} from './store.ts'

/** Bytes of audit records that are read at once. */
const AUDIT_BYTES_MAX = 8 * 1024 * 1024
const DAY_MS = 86_400_000
/** As long as Compute Engine does. */
const OPERATION_DAYS = 14
const AUDIT_DAYS = 400
/** Greater than any time as text. */
const AFTER_ALL_TIMES = '~'
/** Old records are looked for at the start and then every so many commits. */
const COMMITS_PER_CLEANUP = 1_000
const SELECT_TOKENS = 'SELECT id, hash, user, role, created FROM tokens ORDER BY created, id'
const ADD_AUDIT = 'INSERT INTO audit (time, user, action, target, before, after) VALUES (?, ?, ?, ?, ?, ?)'
const SELECT_OPERATION = 'SELECT project, scope, name, id, is_done, inserted, request, resource FROM operations'

/**
 * A store in one file of SQLite. Resources are also kept in memory, as they are read far more often than changed; only
 * this process changes them. Tokens may be changed by the command line meanwhile.
 */
export class SqliteStore implements Store {
  readonly #path: string
  readonly #lock: DirectoryLock
  readonly #database: Database
  readonly #statements: Statements
  readonly #clock: () => number
  readonly #feed = new CommitFeed()
  #resources: ResourceTable
  #revision: number
  #commits = 0

  /**
   * Opens the store of a directory, and makes it where it is missing.
   *
   * @param clock milliseconds since 1970
   * @throws StoreError when another controller uses it, or it cannot be used
   */
  constructor(directory: string, clock: () => number = Date.now) {
    this.#path = databasePath(directory)
    this.#clock = clock
    this.#lock = lockDirectory(directory)
    try {
      this.#database = openDatabase(directory, true)
    } catch (error) {
      this.#lock.release()
      throw error
    }
    try {
      this.#statements = prepareStatements(this.#database)
      this.#resources = ResourceTable.of(
        this.#statements.resources.all().map((row) => readResource(row as ResourceRow)),
      )
      this.#revision = (this.#statements.revision.get() as { readonly number: number }).number
    } catch (error) {
      this.close()
      throw storeError(error, this.#path)
    }
  }

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

  /** All of it happens before the call returns; who calls must not rely on that. */
  async commit(commit: Commit): Promise<number> {
    const { changes, operation, removedOperation: removed, audit = [], meta = {} } = commit
    checkRevision(commit, this.#revision)
    const revision = this.#revision + (changes.length > 0 ? 1 : 0)
    const resources = this.#resources.with(changes, revision)
    this.#transact(() => {
      for (const change of changes) this.#write(change, revision)
      if (changes.length > 0) this.#statements.setRevision.run(revision)
      if (operation !== undefined) this.#writeOperation(operation)
      if (removed !== undefined) this.#statements.removeOperation.run(removed.project, removed.scope, removed.name)
      for (const record of audit) this.#statements.addAudit.run(...auditRow(record))
      for (const [name, value] of Object.entries(meta)) {
        if (value === undefined) this.#statements.removeMeta.run(name)
        else this.#statements.putMeta.run(name, value)
      }
      if (this.#commits++ % COMMITS_PER_CLEANUP === 0) this.#removeOld()
    })
    // Only now: had the transaction failed, nothing would have changed.
    this.#resources = resources
    this.#revision = revision
    this.#feed.tell({ revision, changes, operation })
    return revision
  }

  follow(follower: (committed: Committed) => void): () => void {
    return this.#feed.follow(follower)
  }

  operation(project: string, scope: string, nameOrId: string): StoredOperation | undefined {
    const row = this.#statements.operation.get(project, scope, nameOrId, project, scope, nameOrId)
    return row === undefined ? undefined : readOperation(row as OperationRow)
  }

  operationOfRequest(request: string): StoredOperation | undefined {
    const row = this.#statements.operationOfRequest.get(request)
    return row === undefined ? undefined : readOperation(row as OperationRow)
  }

  operations(
    project: string,
    scope: string | undefined,
    last: LastOperation | undefined,
    count: number,
  ): readonly StoredOperation[] {
    const { operations, operationsOfScope } = this.#statements
    const rows =
      scope === undefined
        ? operations.all(project, last?.scope ?? '', last?.name ?? '', count)
        : operationsOfScope.all(project, scope, last?.name ?? '', count)
    return rows.map((row) => readOperation(row as OperationRow))
  }

  latestOperations(
    project: string,
    scope: string,
    last: LastOperation | undefined,
    count: number,
  ): readonly StoredOperation[] {
    const { inserted, name } = last ?? { inserted: AFTER_ALL_TIMES, name: '' }
    const rows = this.#statements.latestOperations.all(project, scope, inserted, inserted, name, count)
    return rows.map((row) => readOperation(row as OperationRow))
  }

  unfinished(): readonly StoredOperation[] {
    return this.#statements.unfinished.all().map((row) => readOperation(row as OperationRow))
  }

  size(): StoreSize {
    const { total, running } = this.#statements.countOperations.get() as Readonly<Record<'total' | 'running', number>>
    const files = [this.#path, `${this.#path}-wal`].map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0)
    return { operations: { done: total - running, running }, bytes: files[0] + files[1] }
  }

  audit(count: number): readonly AuditRecord[] {
    // A record holds a resource as it was and as it is, and each may be large: first how many fit. Both statements run to
    // their end, as one that does not would keep its read transaction open, and the write-ahead log could not be emptied.
    const sizes = this.#statements.auditSizes.all(count) as readonly AuditSize[]
    if (sizes.length === 0) return []
    let fitting = 0
    let bytes = 0
    for (const size of sizes) {
      bytes += size.bytes
      if (fitting > 0 && bytes > AUDIT_BYTES_MAX) break
      fitting += 1
    }
    return this.#statements.audit.all(sizes[0].sequence, fitting).map((row) => readAudit(row as AuditRow))
  }

  meta(name: string): string | undefined {
    const row = this.#statements.meta.get(name) as { readonly value: string } | undefined
    return row?.value
  }

  token(id: string): StoredToken | undefined {
    const row = this.#statements.token.get(id)
    return row === undefined ? undefined : readToken(row as StoredToken)
  }

  tokens(): readonly StoredToken[] {
    return this.#statements.tokens.all().map((row) => readToken(row as StoredToken))
  }

  close(): void {
    closeDatabase(this.#database)
    this.#lock.release()
  }

  #write(change: Change, revision: number): void {
    if ('delete' in change) {
      const { project, collection, scope, name } = change.delete
      this.#statements.deleteResource.run(project, collection, scope, name)
      return
    }
    const { project, collection, scope, name, id, created, resource, secret } = change.put
    const texts = [JSON.stringify(resource), secret === undefined ? null : JSON.stringify(secret)]
    this.#statements.putResource.run(project, collection, scope, name, id, revision, created, ...texts)
  }

  #writeOperation({ project, scope, name, id, isDone, inserted, request, resource }: StoredOperation): void {
    const values = [id, isDone ? 1 : 0, inserted, request ?? null, JSON.stringify(resource)]
    this.#statements.putOperation.run(project, scope, name, ...values)
  }

  #removeOld(): void {
    const before = (days: number): string => new Date(this.#clock() - days * DAY_MS).toISOString()
    this.#statements.removeOldOperations.run(before(OPERATION_DAYS))
    this.#statements.removeOldAudit.run(before(AUDIT_DAYS))
  }

  #transact<Result>(write: () => Result): Result {
    return transact(this.#database, this.#path, write)
  }
}

/** Does all of it durably, or nothing. @throws StoreError */
export function transact<Result>(database: Database, path: string, write: () => Result): Result {
  try {
    database.exec('BEGIN IMMEDIATE')
    const result = write()
    database.exec('COMMIT')
    return result
  } catch (error) {
    // SQLite itself rolls back when the disk is full.
    if (database.inTransaction) database.exec('ROLLBACK')
    throw storeError(error, path)
  }
}

/** Adds a token to a database, which may be that of a running controller. */
export function addToken(database: Database, { id, hash, user, role, created }: StoredToken): void {
  database
    .prepare('INSERT INTO tokens (id, hash, user, role, created) VALUES (?, ?, ?, ?, ?)')
    .run(id, hash, user, role, created)
}

/** Removes a token from a database. */
export function removeToken(database: Database, id: string): void {
  database.prepare('DELETE FROM tokens WHERE id = ?').run(id)
}

/** Adds a record to the audit log of a database, which may be that of a running controller. */
export function addAudit(database: Database, record: AuditRecord): void {
  database.prepare(ADD_AUDIT).run(...auditRow(record))
}

function auditRow({ time, user, action, target, before, after }: AuditRecord): readonly string[] {
  return [time, user, action, target, JSON.stringify(before), JSON.stringify(after)]
}

/** The tokens of a database, the oldest first. */
export function readTokens(database: Database): readonly StoredToken[] {
  const rows = database.prepare(SELECT_TOKENS).all()
  return rows.map((row) => readToken(row as StoredToken))
}

type Statements = Readonly<Record<keyof ReturnType<typeof statementTexts>, Statement>>

function statementTexts() {
  return {
    resources: 'SELECT project, collection, scope, name, id, revision, created, resource, secret FROM resources',
    revision: 'SELECT number FROM revision',
    setRevision: 'UPDATE revision SET number = ?',
    putResource: `INSERT OR REPLACE INTO resources
      (project, collection, scope, name, id, revision, created, resource, secret) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    deleteResource: 'DELETE FROM resources WHERE project = ? AND collection = ? AND scope = ? AND name = ?',
    putOperation: `INSERT INTO operations (project, scope, name, id, is_done, inserted, request, resource)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (project, name) DO UPDATE
      SET scope = excluded.scope, id = excluded.id, is_done = excluded.is_done, resource = excluded.resource`,
    // With OR in place of UNION, SQLite would go through the whole scope.
    operation: `${SELECT_OPERATION} WHERE project = ? AND scope = ? AND name = ?
      UNION ALL ${SELECT_OPERATION} WHERE project = ? AND +scope = ? AND id = ?`,
    operationOfRequest: `${SELECT_OPERATION} WHERE request = ?`,
    operations: `${SELECT_OPERATION} WHERE project = ? AND (scope, name) > (?, ?) ORDER BY scope, name LIMIT ?`,
    operationsOfScope: `${SELECT_OPERATION} WHERE project = ? AND scope = ? AND name > ? ORDER BY name LIMIT ?`,
    // The first comparison alone tells SQLite where to begin in the index.
    latestOperations: `${SELECT_OPERATION} WHERE project = ? AND scope = ? AND inserted <= ?
      AND (inserted < ? OR name > ?) ORDER BY inserted DESC, name LIMIT ?`,
    countOperations: `SELECT (SELECT count(*) FROM operations) AS total,
      (SELECT count(*) FROM operations WHERE is_done = 0) AS running`,
    unfinished: `${SELECT_OPERATION} WHERE is_done = 0 ORDER BY sequence`,
    removeOperation: 'DELETE FROM operations WHERE project = ? AND scope = ? AND name = ?',
    removeOldOperations: 'DELETE FROM operations WHERE is_done = 1 AND inserted < ?',
    addAudit: ADD_AUDIT,
    // SQLite takes octet_length out of the head of a row, without reading the text.
    auditSizes: `SELECT sequence, octet_length(before) + octet_length(after) AS bytes FROM audit
      ORDER BY sequence DESC LIMIT ?`,
    audit: `SELECT time, user, action, target, before, after FROM audit WHERE sequence <= ?
      ORDER BY sequence DESC LIMIT ?`,
    removeOldAudit: 'DELETE FROM audit WHERE time < ?',
    meta: 'SELECT value FROM meta WHERE name = ?',
    putMeta: 'INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)',
    removeMeta: 'DELETE FROM meta WHERE name = ?',
    token: 'SELECT id, hash, user, role, created FROM tokens WHERE id = ?',
    tokens: SELECT_TOKENS,
  } as const
}

function prepareStatements(database: Database): Statements {
  const entries = Object.entries(statementTexts()).map(([name, text]) => [name, database.prepare(text)])
  return Object.fromEntries(entries) as Statements
}

// Rows as libsql gives them, which adds fields of its own; JSON is text in them.
type ResourceRow = Omit<StoredResource, 'resource' | 'secret'> & {
  readonly resource: string
  readonly secret: string | null
}
type OperationRow = Omit<StoredOperation, 'isDone' | 'request' | 'resource'> & {
  readonly is_done: number
  readonly request: string | null
  readonly resource: string
}
type AuditSize = { readonly sequence: number; readonly bytes: number }
type AuditRow = Omit<AuditRecord, 'before' | 'after'> & { readonly before: string; readonly after: string }

function readResource(row: ResourceRow): StoredResource {
  const { project, collection, scope, name, id, revision, created, resource, secret } = row
  const place = {
    project,
    collection,
    scope,
    name,
    id,
    revision,
    created,
    resource: JSON.parse(resource) as JsonObject,
  }
  return secret === null ? place : { ...place, secret: JSON.parse(secret) as JsonObject }
}

function readOperation(row: OperationRow): StoredOperation {
  const { project, scope, name, id, is_done, inserted, request, resource } = row
  const isDone = is_done === 1
  const operation = { project, scope, name, id, isDone, inserted, resource: JSON.parse(resource) as JsonObject }
  return deepFreeze(request === null ? operation : { ...operation, request })
}

function readAudit({ time, user, action, target, before, after }: AuditRow): AuditRecord {
  const values = { before: JSON.parse(before) as JsonValue, after: JSON.parse(after) as JsonValue }
  return deepFreeze({ time, user, action, target, ...values })
}

function readToken({ id, hash, user, role, created }: StoredToken): StoredToken {
  return { id, hash, user, role, created }
}
