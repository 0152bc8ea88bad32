import type { Problem, ProblemCode } from '../compute/problem.ts'
import type { CheckedResource } from '../compute/resources.ts'
import { placeOf, ResourceIndex } from './resource-index.ts'

/** Says what is wrong with a resource; the parts are those of a {@link Problem}. */
type ReportProblem = (resource: CheckedResource, path: string, code: ProblemCode, rule: string, remedy: string) => void

/**
 * What the parts of the compiler share: the resources, and where each says what is wrong.
 *
 * A part never stops at a problem: it goes on with what it has, and with `undefined` for what it cannot have. Whoever
 * gets `undefined` says nothing more about it. With any problem there is no snapshot, so nobody sees the rest.
 */
export type Compilation = {
  readonly resources: ResourceIndex
  readonly report: ReportProblem
  /** Says whether a resource of this collection and name was given, but is not sound by itself. */
  readonly isUnsound: (collection: string, name: string) => boolean
}

/** Begins a compilation; `problems` is where its problems will stand, `earlier` is what is known to be wrong before it. */
export function beginCompilation(
  resources: readonly CheckedResource[],
  problems: Problem[],
  earlier: readonly Problem[],
): Compilation {
  const report: ReportProblem = ({ source, collection, name }, path, code, rule, remedy) => {
    problems.push({ source, resource: `${collection}/${name}`, path, code, rule, remedy })
  }
  const reportRepeated = (resource: CheckedResource, first: CheckedResource) => {
    const where = first.source === resource.source ? 'twice' : `here and in ${first.source}`
    report(resource, '', 'alreadyExists', `${placeOf(resource)} stands ${where}`, 'remove one of them, or rename it')
  }
  const unsound = new Set(earlier.map((problem) => problem.resource))
  // Text that could not be read may have held anything.
  const isAnythingUnread = earlier.some(({ resource }) => !resource.includes('/'))
  return {
    resources: new ResourceIndex(resources, reportRepeated),
    report,
    isUnsound: (collection, name) => isAnythingUnread || unsound.has(`${collection}/${name}`),
  }
}
