/** A value as JSON has it. What comes out of a store is frozen: whoever changes it makes a copy first. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject
/** An object as JSON has it. */
export type JsonObject = { readonly [name: string]: JsonValue }

/** Which resource: `scope` is `global`, `regions/NAME` or `zones/NAME`. */
export type ResourceKey = {
  readonly project: string
  readonly collection: string
  readonly scope: string
  readonly name: string
}

/** A resource as it is stored. */
export type StoredResource = ResourceKey & {
  /** uint64 as a decimal text. */
  readonly id: string
  /** Of the store when the resource was last put; set by {@link Store.commit}. */
  readonly revision: number
  /** RFC 3339. */
  readonly created: string
  /** As clients see it, without secrets. */
  readonly resource: JsonObject
  /** What no client, log or status ever sees, such as a private key. */
  readonly secret?: JsonObject | undefined
}

/** One change of a transaction; its `revision` is given by the store. */
export type Change = { readonly put: Omit<StoredResource, 'revision'> } | { readonly delete: ResourceKey }

/** An operation as it is stored. */
export type StoredOperation = {
  readonly project: string
  /** `global`, `regions/NAME` or `zones/NAME`. */
  readonly scope: string
  readonly name: string
  /** uint64 as a decimal text. */
  readonly id: string
  /** Whether it still has to be finished, also after a restart. */
  readonly isDone: boolean
  /** RFC 3339. */
  readonly inserted: string
  /** Tells the same request when it comes again; undefined: its client did not ask for that. No two have the same. */
  readonly request?: string | undefined
  /** As clients see it. */
  readonly resource: JsonObject
}

/** The last operation of a page, behind which the next one begins. */
export type LastOperation = Pick<StoredOperation, 'scope' | 'name' | 'inserted'>

/** How much there is besides resources. */
export type StoreSize = {
  readonly operations: { readonly done: number; readonly running: number }
  /** On disk. */
  readonly bytes: number
}

/** What the audit log says about one mutation, secrets left out. */
export type AuditRecord = {
  /** RFC 3339. */
  readonly time: string
  readonly user: string
  /** What was asked for, such as `backendServices.patch`. */
  readonly action: string
  /** The path of the resource: `projects/lab/global/backendServices/my-tcp-lb`. */
  readonly target: string
  readonly before: JsonValue
  readonly after: JsonValue
}

/** What becomes durable together, or not at all. */
export type Commit = {
  /**
   * The revision of the store that the changes were checked against: where it is another one by then, nothing is stored.
   * undefined: they are right whatever else is stored.
   */
  readonly checkedAt?: number | undefined
  readonly changes: readonly Change[]
  /** Put under its project and name: a new one, or one that goes on. */
  readonly operation?: StoredOperation | undefined
  /** Taken away. */
  readonly removedOperation?: StoredOperation | undefined
  readonly audit?: readonly AuditRecord[] | undefined
  /** Small facts of the controller itself, such as the number of a project; undefined takes one away. */
  readonly meta?: Readonly<Record<string, string | undefined>> | undefined
}

/** A commit as those hear of it who follow a store. */
export type Committed = {
  /** That of the store with this commit, and without those after it. */
  readonly revision: number
  readonly changes: readonly Change[]
  readonly operation: StoredOperation | undefined
}

/** What a bearer token allows. An `edge` and an `agent` may only follow the configuration and report about themselves. */
export type TokenRole = 'viewer' | 'operator' | 'admin' | 'edge' | 'agent'

/** A bearer token: only a hash of it is kept. */
export type StoredToken = {
  /** The part of the token that is no secret, by which it is found. */
  readonly id: string
  /** SHA-256 of the secret part, hexadecimal. */
  readonly hash: string
  /** Who uses it; for edges and agents their name. */
  readonly user: string
  readonly role: TokenRole
  /** RFC 3339. */
  readonly created: string
}

/**
 * Where the controller keeps everything. Reads are synchronous, and what they return is consistent until the caller lets
 * others run; they never fail, also while the disk is full. A commit may take its time, and others may come in between.
 */
export type Store = {
  /** Grows by one with every commit that changes resources; 0: nothing was ever stored. */
  revision(): number
  get(project: string, collection: string, scope: string, name: string): StoredResource | undefined
  /** In the order of scope and name, by code units; without `scope` those of all scopes. */
  list(project: string, collection: string, scope?: string | undefined): readonly StoredResource[]
  /** The resources of every collection and project, in the order of project, collection, scope and name. */
  all(): readonly StoredResource[]
  /**
   * Makes a transaction durable, tells those who follow, and resolves with its revision; reads show it by then.
   *
   * Rejects with a CommitRaceError when it was checked at another revision, which reads show by then; with a
   * StoreFullError when the disk is full, with a StoreError on any other failure. Nothing was changed then, and nobody
   * told. The deletion of a resource that is not there is our own mistake and rejects, too.
   */
  commit(commit: Commit): Promise<number>
  /**
   * Tells of every commit from now on, whoever has made it, in their order and each once, as soon as reads show it and
   * before anybody else runs. A follower must not throw.
   *
   * @returns what ends that
   */
  follow(follower: (committed: Committed) => void): () => void
  /** @param nameOrId the name, or the numeric id that clients may use in its place */
  operation(project: string, scope: string, nameOrId: string): StoredOperation | undefined
  /** The operation that a request has begun, by its {@link StoredOperation.request}. */
  operationOfRequest(request: string): StoredOperation | undefined
  /**
   * At most `count`, in the order of scope and name, behind `last`; without `scope` those of all scopes. Done ones are
   * kept for 14 days.
   */
  operations(
    project: string,
    scope: string | undefined,
    last: LastOperation | undefined,
    count: number,
  ): readonly StoredOperation[]
  /** As {@link Store.operations}, the latest first and then by name. */
  latestOperations(
    project: string,
    scope: string,
    last: LastOperation | undefined,
    count: number,
  ): readonly StoredOperation[]
  /** Operations that are not done, the oldest first. */
  unfinished(): readonly StoredOperation[]
  size(): StoreSize
  /** The latest `count` records, the latest first; fewer where they are large. */
  audit(count: number): readonly AuditRecord[]
  meta(name: string): string | undefined
  /** As it is at this moment: commands beside the controller make and revoke tokens; see `tokens.ts`. */
  token(id: string): StoredToken | undefined
  tokens(): readonly StoredToken[]
  close(): void
}

/** The store cannot be used or written; the message names the file and the remedy. */
export class StoreError extends Error {
  override readonly name: string = 'StoreError'
}

/** The disk is full: nothing was changed, reads go on, and writes work again once there is space. */
export class StoreFullError extends StoreError {
  override readonly name = 'StoreFullError'
}

/** Another commit came in between: nothing was changed, and what was to be stored has to be checked again. */
export class CommitRaceError extends StoreError {
  override readonly name = 'CommitRaceError'
}

/** @throws CommitRaceError when a commit was checked at another revision than the one that there is */
export function checkRevision({ checkedAt }: Commit, revision: number): void {
  if (checkedAt === undefined || checkedAt === revision) return
  throw new CommitRaceError('Other changes interfered repeatedly and nothing was changed; send the request again')
}
