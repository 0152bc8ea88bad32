import type { Mapping } from '../compute/json-value.ts'
import type { NamedRequest } from './request-id.ts'
import { locationLinks, pathOf, urlOf } from './resource-paths.ts'
import type { JsonObject, ResourceKey, StoredOperation } from './store.ts'
import type { Warning } from './world.ts'

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

const LINKS = ['targetLink', 'selfLink', 'zone', 'region'] as const

/** A uint64 that is not 0, as a decimal text. */
export function randomId(random: (count: number) => Uint8Array): string {
  return BigInt(`0x${hex(random(8))}`)
    .toString()
    .replace(/^0$/, '1')
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
  return isDone ? finishOperation(operation, now, facts.warnings) : withWarnings(operation, facts.warnings)
}

/** The operation as it is when its change has arrived everywhere. */
export function finishOperation(
  operation: StoredOperation,
  now: number,
  warnings: readonly Warning[],
): StoredOperation {
  const { resource, ...rest } = withWarnings(operation, warnings)
  const done = { status: 'DONE', progress: 100, endTime: new Date(now).toISOString() }
  return { ...rest, isDone: true, resource: { ...resource, ...done } }
}

/** The operation as clients see it. */
export function shownOperation({ resource }: StoredOperation, baseUrl: string): Mapping {
  const links = LINKS.flatMap((field) => {
    const link = resource[field]
    return typeof link === 'string' ? [[field, urlOf(baseUrl, link)] as const] : []
  })
  return { ...resource, ...Object.fromEntries(links) }
}

function withWarnings(operation: StoredOperation, warnings: readonly Warning[]): StoredOperation {
  if (warnings.length === 0) return operation
  const before = (operation.resource.warnings ?? []) as readonly JsonObject[]
  const all = [...before, ...warnings.map(({ code, message }) => ({ code, message, data: [] }))]
  return { ...operation, resource: { ...operation.resource, warnings: all } }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
