import type { CollectionName } from '../../compute/resources.ts'
import { enabledFeatures } from '../../compute/ssl-features.ts'
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
  sslPolicies: {
    complete: ({ fields }) => {
      fields.enabledFeatures = enabledFeatures(fields as Parameters<typeof enabledFeatures>[0])
    },
  },
  backendServices: {},
  healthChecks: {},
  instanceGroups,
  instances,
  networkEndpointGroups,
  firewalls: { complete: completeFirewall },
}

/** As with Google, a rule for everybody is one whose sources were left out. */
function completeFirewall({ key, fields }: Draft): void {
  fields.network ??= `projects/${key.project}/global/networks/default`
  const hasSource = ['sourceRanges', 'sourceTags'].some((name) => (fields[name] as readonly unknown[]).length > 0)
  if (fields.direction === 'INGRESS' && !hasSource) fields.sourceRanges = ['0.0.0.0/0']
  const destinations = fields.destinationRanges as readonly unknown[]
  if (fields.direction === 'EGRESS' && destinations.length === 0) fields.destinationRanges = ['0.0.0.0/0']
}
