import { isSame } from './same.ts'
import type { Snapshot } from './snapshot.ts'

/**
 * A snapshot as it is, with the objects of the one before for all that is the same: what was made of those is good for
 * these. Pure.
 */
export function reuseParts(before: Snapshot, after: Snapshot): Snapshot {
  return {
    frontends: reuseNamed(before.frontends, after.frontends),
    services: reuseNamed(before.services, after.services),
    healthChecks: reuseNamed(before.healthChecks, after.healthChecks),
  }
}

function reuseNamed<Part extends { readonly name: string }>(
  before: readonly Part[],
  after: readonly Part[],
): readonly Part[] {
  const known = new Map(before.map((part) => [part.name, part]))
  return after.map((part) => {
    const old = known.get(part.name)
    return old !== undefined && isSame(old, part) ? old : part
  })
}
