import { loadBalancingScheme } from './load-balancing-scheme.ts'
import { optionsProblem, proxyHeaderFields } from './proxy-header.ts'
import { defineResource } from './resource.ts'
import { optional, reference, unsupported } from './schema.ts'

/** Target TCP proxies (`compute#targetTcpProxy`). */
export const targetTcpProxies = defineResource(
  {
    kind: 'compute#targetTcpProxy',
    scopes: ['global', 'region'],
    description: 'Passes the connections of forwarding rules to a backend service, unchanged.',
  },
  {
    service: reference('The backend service.', ['backendServices']),
    ...proxyHeaderFields,
    loadBalancingScheme: optional(loadBalancingScheme()),
    proxyBind: unsupported('Interception of traffic by a sidecar.'),
  },
  {
    rules: (rule) => [
      rule(['proxyHeader', 'proxyHeaderOptions'], ({ proxyHeader, proxyHeaderOptions }, report) => {
        const problem = optionsProblem(proxyHeader, proxyHeaderOptions)
        if (problem !== undefined) report('proxyHeaderOptions', ...problem)
      }),
    ],
  },
)
