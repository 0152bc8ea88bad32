import type { Problem } from '../compute/problem.ts'
import type { CheckedResource } from '../compute/resources.ts'
import { compareTexts } from '../text/compare-texts.ts'
import { beginCompilation, type FoundProblem } from './compilation.ts'
import { compileFrontends } from './frontends.ts'
import { findMixedSchemes } from './schemes.ts'
import { findMixedModes } from './shared-groups.ts'
import type { Snapshot } from './snapshot.ts'

/** A snapshot, or everything that is wrong with the resources. */
export type CompileResult = { readonly snapshot: Snapshot } | { readonly problems: readonly Problem[] }

/**
 * Compiles resources into what a data plane reads. Pure; the order of the resources makes no difference.
 *
 * Every resource is checked against the others; those that no forwarding rule leads to are not part of the snapshot.
 * `earlier` are problems of resources that are missing here for that reason: they come first in the result, and a
 * reference to such a resource is not a problem of its own.
 */
export function compile(resources: readonly CheckedResource[], earlier: readonly Problem[] = []): CompileResult {
  const compiled = compileOrFind(resources, earlier)
  const mixed = [...findMixedModes(resources), ...findMixedSchemes(resources)]
  if ('snapshot' in compiled && earlier.length === 0 && mixed.length === 0) return compiled
  const findings = ('findings' in compiled ? [...compiled.findings, ...mixed] : mixed).sort(compareFindings)
  return { problems: [...earlier, ...findings.map(({ problem }) => problem)] }
}

/** As {@link compile}; what is wrong with the resources here comes with what it is about, and without what was earlier. */
export function compileOrFind(
  resources: readonly CheckedResource[],
  earlier: readonly Problem[] = [],
): { readonly snapshot: Snapshot } | { readonly findings: readonly FoundProblem[] } {
  const findings: FoundProblem[] = []
  const compiled = compileFrontends(beginCompilation(resources, findings, earlier))
  if (findings.length > 0) return { findings: findings.toSorted(compareFindings) }
  const backends = compiled.map(({ backend }) => backend)
  const healthChecks = backends.flatMap(({ healthCheck }) => healthCheck ?? [])
  return {
    snapshot: {
      frontends: eachOnce(compiled.map(({ frontend }) => frontend)),
      services: eachOnce(backends.map(({ service }) => service)),
      healthChecks: eachOnce(healthChecks),
    },
  }
}

/** Each object once, in the order of names. */
function eachOnce<Named extends { readonly name: string }>(items: readonly Named[]): readonly Named[] {
  return [...new Set(items)].toSorted((a, b) => compareTexts(a.name, b.name))
}

function compareFindings({ problem: a }: FoundProblem, { problem: b }: FoundProblem): number {
  return (
    compareTexts(a.source, b.source) ||
    compareTexts(a.resource, b.resource) ||
    compareTexts(a.path, b.path) ||
    compareTexts(a.rule, b.rule)
  )
}
