import type { CheckedResource } from '../compute/resources.ts'
import { beginCompilation, type FoundProblem } from './compilation.ts'
import { resolve } from './resolve.ts'
import type { ResourceIn } from './resource-index.ts'
import type { TargetProxy } from './target-proxies.ts'

const INVOLVED = ['forwardingRules', 'targetTcpProxies', 'targetSslProxies', 'backendServices']

/** A forwarding rule, and what it leads to, whose schemes do not fit each other. */
type Chain = {
  readonly rule: ResourceIn<'forwardingRules'>
  /** Undefined: the rule is for UDP, and names the service itself. */
  readonly proxy: TargetProxy | undefined
  readonly service: ResourceIn<'backendServices'>
}

/**
 * Forwarding rules with the scheme EXTERNAL_MANAGED that lead to services with the scheme EXTERNAL, which Google refuses;
 * the other way about is the first step of its migration, and fine.
 *
 * It is said of the rule, or of what `changed` is of proxy and service; and only where somebody writes resources: a
 * configuration that has it already can be served.
 */
export function findMixedSchemes(resources: readonly CheckedResource[], changed?: CheckedResource): FoundProblem[] {
  // References that lead nowhere are for the compiler to report.
  const involved = resources.filter(({ collection }) => INVOLVED.includes(collection))
  const compilation = beginCompilation(involved, [], [])
  return compilation.resources.all('forwardingRules').flatMap((rule) => {
    if (rule.resource.loadBalancingScheme !== 'EXTERNAL_MANAGED') return []
    const { target, backendService } = rule.resource
    const collections = ['targetTcpProxies', 'targetSslProxies'] as const
    const proxy = target === undefined ? undefined : resolve(compilation, rule, { path: '', text: target, collections })
    const text = proxy?.resource.service ?? backendService
    const service = text && resolve(compilation, proxy ?? rule, { path: '', text, collections: ['backendServices'] })
    return service && service.resource.loadBalancingScheme === 'EXTERNAL'
      ? [findingOf({ rule, proxy, service }, changed)]
      : []
  })
}

function findingOf({ rule, proxy, service }: Chain, changed: CheckedResource | undefined): FoundProblem {
  const places = [
    { resource: service, path: 'loadBalancingScheme' },
    { resource: proxy, path: 'service' },
    { resource: rule, path: proxy === undefined ? 'backendService' : 'target' },
  ] as const
  const place = places.find(({ resource }) => resource !== undefined && resource === changed) ?? places[2]
  const { resource = rule, path } = place
  const { source, collection, name } = resource
  const problem = {
    source,
    resource: `${collection}/${name}`,
    path,
    code: 'conflict' as const,
    rule: 'Load balancing scheme EXTERNAL_MANAGED does not match the backend service load balancing scheme EXTERNAL',
    remedy: `give backendServices/${service.name} EXTERNAL_MANAGED, or forwardingRules/${rule.name} EXTERNAL`,
  }
  return { problem, resource }
}
