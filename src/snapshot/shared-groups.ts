import { formatReference } from '../compute/reference.ts'
import type { CheckedResource } from '../compute/resources.ts'
import { beginCompilation, type FoundProblem } from './compilation.ts'
import { resolve } from './resolve.ts'
import { type ResourceIn, scopedName } from './resource-index.ts'

const INVOLVED = ['backendServices', 'instanceGroups', 'networkEndpointGroups']

type Use = { readonly service: ResourceIn<'backendServices'>; readonly index: number }

/**
 * Instance groups that two services use in balancing modes that do not fit each other, which Google refuses.
 *
 * It is said of both, and only where somebody writes resources: a configuration that has it already can be served.
 */
export function findMixedModes(resources: readonly CheckedResource[]): readonly FoundProblem[] {
  const findings: FoundProblem[] = []
  // References that lead nowhere are for the compiler to report.
  const involved = resources.filter(({ collection }) => INVOLVED.includes(collection))
  const compilation = beginCompilation(involved, [], [])
  const uses = new Map<ResourceIn<'instanceGroups'>, Use>()
  for (const service of compilation.resources.all('backendServices')) {
    for (const [index, { group: text }] of service.resource.backends.entries()) {
      const field = { path: '', text, collections: ['instanceGroups', 'networkEndpointGroups'] as const }
      const group = resolve(compilation, service, field)
      if (group?.collection !== 'instanceGroups') continue
      const first = uses.get(group)
      if (first === undefined) uses.set(group, { service, index })
      else if (modeOf(first) !== modeOf({ service, index })) {
        const rule = ruleOf(group, first.service, service)
        findings.push(findingOf(first, rule), findingOf({ service, index }, rule))
      }
    }
  }
  return findings
}

function modeOf({ service, index }: Use): string {
  return service.resource.backends[index].balancingMode
}

function ruleOf(group: ResourceIn<'instanceGroups'>, ...services: readonly ResourceIn<'backendServices'>[]): string {
  const names = services.map((service) => `'${scopedName(service)}'`).join(' and ')
  const place = formatReference(group.scope, group.collection, group.name)
  return `Validation failed for instance group '${place}': backend services ${names} point to the same instance group but the backends have incompatible balancing_mode. Values should be the same`
}

function findingOf({ service, index }: Use, rule: string): FoundProblem {
  const { source, collection, name } = service
  const remedy = 'give both the same balancingMode'
  const path = `backends[${index}].balancingMode`
  const problem = { source, resource: `${collection}/${name}`, path, code: 'conflict' as const, rule, remedy }
  return { problem, resource: service }
}
