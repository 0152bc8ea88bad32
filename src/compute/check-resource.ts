import { checkValue } from './check-value.ts'
import type { Report } from './json-schema.ts'
import { isMapping, type Mapping } from './json-value.ts'
import { type Problem, ProblemList, quoted } from './problem.ts'
import { formatScope, isResourceName, parseReference, type Scope } from './reference.ts'
import { type CheckedResource, type CheckedResourceOf, type CollectionName, definitions } from './resources.ts'

const EXAMPLES = { zone: 'us-central1-b', region: 'us-central1' } as const

/** A sound resource, or all that is wrong with it. */
export type CheckResult<Collection extends CollectionName> =
  | { readonly checked: CheckedResourceOf<Collection> }
  | { readonly problems: readonly Problem[] }

/**
 * Checks one resource by itself; whether what it refers to is there is another question.
 *
 * `scope` is given where something else than the resource says where it lives, such as the URL of a request; otherwise
 * `selfLink`, `zone` and `region` say it, and global is the rest. Never throws, whatever `value` is.
 */
export function checkResource<Collection extends CollectionName>(
  collection: Collection,
  value: unknown,
  source: string,
  scope?: Scope,
): CheckResult<Collection> {
  const problems = new ProblemList()
  const checked = checkResourceInto(problems, collection, value, { source, fallback: collection, scope })
  if (checked === undefined) return { problems: problems.toArray() }
  return { checked: checked as CheckedResourceOf<Collection> }
}

/** Checks one resource; undefined: problems were added. `fallback` names it in problems while its name is not known. */
export function checkResourceInto(
  problems: ProblemList,
  collection: CollectionName,
  value: unknown,
  { source, fallback, scope: given }: { source: string; fallback: string; scope?: Scope | undefined },
): CheckedResource | undefined {
  const countBefore = problems.count
  const name = isMapping(value) ? value.name : undefined
  const resource = typeof name === 'string' && isResourceName(name) ? `${collection}/${name}` : fallback
  const report: Report = (path, rule, remedy, code = 'invalid') => {
    problems.add({ source, resource, path, code, rule, remedy })
  }
  const findings = {
    report,
    get count() {
      return problems.count
    },
  }
  const checked = checkValue(definitions[collection].schema, value, '', findings)
  const { scopes } = definitions[collection]
  const scope = given ? allowedScope(given, scopes, report) : isMapping(value) && readScope(value, scopes, report)
  if (problems.count > countBefore) return undefined
  return { collection, scope, name, source, resource: checked } as CheckedResource
}

/** Where a resource says that it lives; undefined: a problem was reported. */
function readScope(value: Mapping, allowed: readonly Scope['kind'][], report: Report): Scope | undefined {
  const selfLink = value.selfLink
  const linked = typeof selfLink === 'string' ? parseReference(selfLink)?.scope : undefined
  const kind = (['zone', 'region'] as const).find((name) => (value[name] ?? '') !== '')
  const stated = kind === undefined ? undefined : readLocation(kind, value[kind])
  if (kind !== undefined && stated === undefined) {
    report(kind, `${quoted(value[kind])} is not the name or the URL of a ${kind}`, `give ${EXAMPLES[kind]}`)
    return undefined
  }
  if (kind !== undefined && stated && linked && formatScope(stated) !== formatScope(linked)) {
    const rule = `${formatScope(stated)} is not where selfLink says: ${formatScope(linked)}`
    report(kind, rule, 'remove the one that is wrong', 'conflict')
    return undefined
  }
  return allowedScope(stated ?? linked ?? { kind: 'global' }, allowed, report)
}

function allowedScope(scope: Scope, allowed: readonly Scope['kind'][], report: Report): Scope | undefined {
  if (allowed.includes(scope.kind)) return scope
  const wanted = allowed[0]
  if (wanted !== 'global' && scope.kind === 'global') {
    report(wanted, 'it is missing', `add it, such as ${EXAMPLES[wanted]}`, 'required')
  } else {
    const rule = `${formatScope(scope)} cannot have resources of this kind`
    report('', rule, `move it to a scope of the kind ${allowed.join(' or ')}`, 'unsupported')
  }
  return undefined
}

function readLocation(kind: 'zone' | 'region', value: unknown): Scope | undefined {
  const { collection = `${kind}s`, name } = (typeof value === 'string' && parseReference(value)) || {}
  if (name === undefined || collection !== `${kind}s`) return undefined
  return kind === 'zone' ? { kind, zone: name } : { kind, region: name }
}
