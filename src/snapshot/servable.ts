import type { Problem } from '../compute/problem.ts'
import type { CheckedResource } from '../compute/resources.ts'
import type { FoundProblem } from './compilation.ts'
import { compileOrFind } from './compile.ts'
import { scopedName } from './resource-index.ts'
import { EMPTY_SNAPSHOT, type Snapshot } from './snapshot.ts'

/** What can be served of some resources, and why the others cannot. */
export type Servable = {
  readonly snapshot: Snapshot
  /** What was left out, in the order in which it was. */
  readonly leftOut: readonly Problem[]
}

/**
 * Says what would be refused of a snapshot that compiles; `resource` of each problem is the collection and the name that
 * the snapshot has: `backendServices/us-central1/my-regional-lb`.
 */
export type RefusedIn = (snapshot: Snapshot) => readonly Problem[]

/**
 * Compiles what can be served: what has a problem is left out, then what refers to it, and so on. Pure, where `refusedIn`
 * is; the order of the resources makes no difference.
 *
 * A backend service goes on without a group that has no port of its name.
 */
export function compileServable(given: readonly CheckedResource[], refusedIn: RefusedIn): Servable {
  const leftOut: Problem[] = []
  let resources = given
  for (;;) {
    const compiled = compileOrFind(resources)
    if ('findings' in compiled) {
      leftOut.push(...compiled.findings.map(({ problem }) => problem))
      resources = withoutFound(resources, compiled.findings)
      continue
    }
    // An edge takes all of a snapshot or nothing: one certificate must not keep back what is right.
    const refused = refusedIn(compiled.snapshot)
    if (refused.length === 0) return { snapshot: compiled.snapshot, leftOut }
    leftOut.push(...refused)
    const rest = withoutRefused(resources, refused)
    // What is refused is none of the resources: then there is nothing that edges would take.
    if (rest.length === resources.length) return { snapshot: EMPTY_SNAPSHOT, leftOut }
    resources = rest
  }
}

/** Every finding takes a resource, or an entry of one, away: that is why {@link compileServable} comes to an end. */
function withoutFound(
  resources: readonly CheckedResource[],
  findings: readonly FoundProblem[],
): readonly CheckedResource[] {
  const whole = new Set<CheckedResource>()
  const entries = new Map<CheckedResource, Set<number>>()
  for (const { resource, backendIndex } of findings) {
    if (backendIndex === undefined) whole.add(resource)
    else entries.set(resource, (entries.get(resource) ?? new Set()).add(backendIndex))
  }
  return resources
    .filter((resource) => !whole.has(resource))
    .map((checked) => {
      const faulty = entries.get(checked)
      if (faulty === undefined || checked.collection !== 'backendServices') return checked
      const backends = checked.resource.backends.filter((_, index) => !faulty.has(index))
      return { ...checked, resource: { ...checked.resource, backends } }
    })
}

function withoutRefused(
  resources: readonly CheckedResource[],
  refused: readonly Problem[],
): readonly CheckedResource[] {
  const names = new Set(refused.map(({ resource }) => resource))
  return resources.filter((checked) => !names.has(`${checked.collection}/${scopedName(checked)}`))
}
