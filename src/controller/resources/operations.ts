import { hex, randomId } from '../model/random-id.ts'
import { locationLinks, pathOf } from '../model/resource-paths.ts'
import type { Warning } from '../model/world.ts'
import type { JsonObject, ResourceKey, StoredOperation } from '../store/store.ts'

/** A request that its client gave a name, so that sending it twice does not carry it out twice. */
export type NamedRequest = {
  /** As the client wrote it. */
  readonly requestId: string
  /** The same for the same name, method and resource, and for nothing else. */
  readonly key: string
}

/** What an operation is about. */
export type OperationFacts = {
  readonly target: ResourceKey & { readonly id: string }
  /** `insert`, `patch`, `delete`, `setTarget`, … */
  readonly type: string
  readonly user: string
  /** Milliseconds since 1970. */
  readonly now: number
  /** What the client called it; undefined: nothing. */
  readonly named: NamedRequest | undefined
  readonly isDone: boolean
  readonly warnings: readonly Warning[]
  readonly random: (count: number) => Uint8Array
}

/** How an operation has ended. */
export type Outcome = {
  readonly warnings: readonly Warning[]
  /** Why its change has not become what was asked for; undefined: it has. */
  readonly error: string | undefined
}

/** Makes the operation of a change. */
export function makeOperation(facts: OperationFacts): StoredOperation {
  const { target, type, user, now, named, isDone, random } = facts
  const { project, scope } = target
  const id = randomId(random)
  const name = `operation-${now}-${hex(random(7)).slice(1)}-${hex(random(4))}-${hex(random(4))}`
  const time = new Date(now).toISOString()
  const resource = {
    kind: 'compute#operation',
    id,
    name,
    operationType: type,
    targetLink: target.collection === 'projects' ? `projects/${project}` : pathOf(target),
    targetId: target.id,
    status: 'RUNNING',
    progress: 0,
    user,
    insertTime: time,
    startTime: time,
    selfLink: pathOf({ project, scope, collection: 'operations', name }),
    ...(named === undefined ? {} : { clientOperationId: named.requestId }),
    ...locationLinks(project, scope),
  }
  const operation = { project, scope, name, id, isDone: false, inserted: time, request: named?.key, resource }
  const warned = withWarnings(operation, facts.warnings)
  return isDone ? finishOperation(warned, now, { warnings: [], error: undefined }) : warned
}

/** The operation as it is when its change has arrived everywhere, or has failed to. */
export function finishOperation(operation: StoredOperation, now: number, outcome: Outcome): StoredOperation {
  const { resource, ...rest } = withWarnings(operation, outcome.warnings)
  const done = { status: 'DONE', progress: 100, endTime: new Date(now).toISOString() }
  return { ...rest, isDone: true, resource: { ...resource, ...done, ...errorFields(outcome.error) } }
}

/** As Google's operations say it; what failed is somebody behind the API, and the request was right. */
function errorFields(error: string | undefined): JsonObject {
  if (error === undefined) return {}
  return {
    error: { errors: [{ code: 'BACKEND_ERROR', message: error }] },
    httpErrorStatusCode: 503,
    httpErrorMessage: 'SERVICE UNAVAILABLE',
  }
}

function withWarnings(operation: StoredOperation, warnings: readonly Warning[]): StoredOperation {
  if (warnings.length === 0) return operation
  const before = (operation.resource.warnings ?? []) as readonly JsonObject[]
  const all = [...before, ...warnings.map(({ code, message }) => ({ code, message, data: [] }))]
  return { ...operation, resource: { ...operation.resource, warnings: all } }
}
