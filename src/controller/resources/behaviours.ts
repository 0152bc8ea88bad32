import type { CollectionName } from '../../compute/resources.ts'
import { serverDefaults } from '../../compute/server-defaults.ts'
import { enabledFeatures } from '../../compute/ssl-features.ts'
import { affinityWarning } from '../../snapshot/service-warnings.ts'
import { compileChoice } from '../../snapshot/spreading.ts'
import type { Call } from '../methods/call.ts'
import { addresses } from './addresses.ts'
import type { Behaviour, Draft } from './behaviour.ts'
import { forwardingRules } from './forwarding-rules.ts'
import { instanceGroups, networkEndpointGroups } from './groups.ts'
import { instances } from './instances.ts'
import { sslCertificates } from './ssl-certificates.ts'

/** What each collection does beyond what its schema says. */
export const behaviours: Readonly<Record<CollectionName, Behaviour>> = {
  addresses,
  forwardingRules,
  targetTcpProxies: {},
  targetSslProxies: {},
  sslCertificates,
  sslPolicies: { complete: completePolicy },
  backendServices: {
    // gcloud's edit puts a service without its scheme, which never changes by being left out.
    keep: (body, { resource }) => ({ loadBalancingScheme: resource.loadBalancingScheme, ...body }),
    complete: completeService,
  },
  serviceLbPolicies: { complete: completeServiceLbPolicy },
  healthChecks: {},
  instanceGroups,
  instances,
  networkEndpointGroups,
  firewalls: { complete: completeFirewall },
}

/** What has no effect is accepted, as with Google, and the operation says so. */
function completeService({ fields, warnings }: Draft): void {
  const service = fields as Parameters<typeof compileChoice>[0]
  const isIdle = service.backends.some((one) => one.balancingMode === 'CONNECTION' && one.maxUtilization !== undefined)
  const messages = [
    affinityWarning(compileChoice(service)),
    isIdle ? 'maxUtilization has no effect with CONNECTION; give UTILIZATION as balancingMode' : undefined,
  ]
  for (const message of messages) if (message !== undefined) warnings.push({ code: 'NOT_CRITICAL_ERROR', message })
}

function completeServiceLbPolicy({ fields }: Draft, { now }: Call): void {
  fields.updateTime = new Date(now).toISOString()
}

/** As with Google, a rule for everybody is one whose sources were left out. */
function completeFirewall({ key, fields }: Draft): void {
  fields.network ??= `projects/${key.project}/global/networks/default`
  const hasSource = ['sourceRanges', 'sourceTags', 'sourceServiceAccounts'].some(
    (name) => (fields[name] as readonly unknown[]).length > 0,
  )
  if (fields.direction === 'INGRESS' && !hasSource) fields.sourceRanges = serverDefaults.firewalls.sourceRanges
  const destinations = fields.destinationRanges as readonly unknown[]
  if (fields.direction === 'EGRESS' && destinations.length === 0)
    fields.destinationRanges = serverDefaults.firewalls.destinationRanges
}

/** What edges cannot offer of a policy is said by its operation: clients know no warnings of a resource. */
function completePolicy({ fields, warnings }: Draft, { world }: Call): void {
  const features = enabledFeatures(fields as Parameters<typeof enabledFeatures>[0])
  fields.enabledFeatures = features
  const missing = world.edgeTls.unavailableFeatures.filter((name) => features.includes(name))
  if (missing.length === 0) return
  const message = `The OpenSSL of edges does not support ${missing.join(', ')}; clients are offered the other cipher suites`
  warnings.push({ code: 'EXTERNAL_API_WARNING', message })
}
