import type { Problem, ProblemCode } from '../compute/problem.ts'
import type { CheckedResource } from '../compute/resources.ts'
import { placeOf, type ResourceIn, ResourceIndex } from './resource-index.ts'

/** Says what is wrong with a resource; the parts are those of a {@link Problem}. */
type ReportProblem<Subject> = (subject: Subject, path: string, code: ProblemCode, rule: string, remedy: string) => void

/** An entry of a service's `backends`. */
type BackendPlace = { readonly service: ResourceIn<'backendServices'>; readonly index: number }

/** A problem, and what would have to go for the rest to be served. */
export type FoundProblem = {
  readonly problem: Problem
  /** The resource itself: others may have its collection and name, in another scope. */
  readonly resource: CheckedResource
  /** Only this entry of the `backends` of a service, which can be served without it. */
  readonly backendIndex?: number
}

/**
 * What the parts of the compiler share: the resources, and where each says what is wrong.
 *
 * A part never stops at a problem: it goes on with what it has, and with `undefined` for what it cannot have. Whoever
 * gets `undefined` says nothing more about it. With any problem there is no snapshot, so nobody sees the rest.
 */
export type Compilation = {
  readonly resources: ResourceIndex
  readonly report: ReportProblem<CheckedResource>
  /** Says what keeps one backend of a service, and not the service, from being served. */
  readonly reportBackend: ReportProblem<BackendPlace>
  /** Says whether a resource of this collection and name was given, but is not sound by itself. */
  readonly isUnsound: (collection: string, name: string) => boolean
}

/** Begins a compilation; `findings` is where its problems will be, `earlier` is what is known to be wrong before it. */
export function beginCompilation(
  resources: readonly CheckedResource[],
  findings: FoundProblem[],
  earlier: readonly Problem[],
): Compilation {
  const report: Compilation['report'] = (resource, path, code, rule, remedy) => {
    findings.push({ problem: problemOf(resource, path, code, rule, remedy), resource })
  }
  const reportBackend: Compilation['reportBackend'] = ({ service, index }, path, code, rule, remedy) => {
    findings.push({ problem: problemOf(service, path, code, rule, remedy), resource: service, backendIndex: index })
  }
  const reportRepeated = (resource: CheckedResource, first: CheckedResource) => {
    const where = first.source === resource.source ? 'twice' : `here and in ${first.source}`
    report(
      resource,
      '',
      'alreadyExists',
      `${placeOf(resource)} is defined ${where}`,
      'remove one of them, or rename it',
    )
  }
  const unsound = new Set(earlier.map((problem) => problem.resource))
  // Text that could not be read may have held anything.
  const isAnythingUnread = earlier.some(({ resource }) => !resource.includes('/'))
  return {
    resources: new ResourceIndex(resources, reportRepeated),
    report,
    reportBackend,
    isUnsound: (collection, name) => isAnythingUnread || unsound.has(`${collection}/${name}`),
  }
}

function problemOf(...[resource, path, code, rule, remedy]: Parameters<Compilation['report']>): Problem {
  const { source, collection, name } = resource
  return { source, resource: `${collection}/${name}`, path, code, rule, remedy }
}
