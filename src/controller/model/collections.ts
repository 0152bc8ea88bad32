import { type CollectionName, definitions } from '../../compute/resources.ts'

/** What the API says about a collection besides what `src/compute` says about its resources. */
export type CollectionFacts = {
  /** Which of Google's APIs has it; what else is said here is about Compute Engine's. */
  readonly api: 'compute' | 'networkservices'
  /** As error messages call one: `health_check`. */
  readonly noun: string
  readonly listKind: string
  /** Undefined: there is no list over all scopes. */
  readonly aggregatedKind: string | undefined
  readonly verbs: readonly ('patch' | 'update')[]
  /** Resources carry `fingerprint`. */
  readonly hasFingerprint: boolean
  /** A patch or an update has to say on which version it was made, so that nobody's change is lost. */
  readonly needsFingerprint: boolean
  /** Fields of the stored form that are not shown. */
  readonly hidden: readonly string[]
  /** Links to what has no schema here: `networkInterfaces[].network`. */
  readonly otherLinks: readonly string[]
}

/** The facts of every collection of stored resources. */
export const collectionFacts: Readonly<Record<CollectionName, CollectionFacts>> = {
  addresses: facts('address', { aggregatedKind: 'compute#addressAggregatedList' }),
  forwardingRules: facts('forwarding_rule', {
    aggregatedKind: 'compute#forwardingRuleAggregatedList',
    verbs: ['patch'],
    hasFingerprint: true,
  }),
  targetTcpProxies: facts('target_tcp_proxy', {
    listKind: 'compute#targetTcpProxyList',
    aggregatedKind: 'compute#targetTcpProxyAggregatedList',
  }),
  // Compute Engine has no patch of them; it is the way to `alpnProtocols`, for which no action and no client has a word.
  targetSslProxies: facts('target_ssl_proxy', { listKind: 'compute#targetSslProxyList', verbs: ['patch'] }),
  sslCertificates: facts('ssl_certificate', {
    aggregatedKind: 'compute#sslCertificateAggregatedList',
    hidden: ['privateKey'],
  }),
  sslPolicies: facts('ssl_policy', {
    listKind: 'compute#sslPoliciesList',
    aggregatedKind: 'compute#sslPoliciesAggregatedList',
    verbs: ['patch'],
    hasFingerprint: true,
    needsFingerprint: true,
  }),
  backendServices: facts('backend_service', {
    aggregatedKind: 'compute#backendServiceAggregatedList',
    verbs: ['patch', 'update'],
    hasFingerprint: true,
    needsFingerprint: true,
  }),
  serviceLbPolicies: facts('service_lb_policy', { api: 'networkservices' }),
  healthChecks: facts('health_check', {
    aggregatedKind: 'compute#healthChecksAggregatedList',
    verbs: ['patch', 'update'],
  }),
  instanceGroups: facts('instance_group', {
    aggregatedKind: 'compute#instanceGroupAggregatedList',
    hasFingerprint: true,
    hidden: ['instances'],
    otherLinks: ['network', 'subnetwork'],
  }),
  instances: facts('instance', {
    aggregatedKind: 'compute#instanceAggregatedList',
    verbs: ['update'],
    hasFingerprint: true,
    otherLinks: ['machineType', 'networkInterfaces[].network', 'networkInterfaces[].subnetwork'],
  }),
  networkEndpointGroups: facts('network_endpoint_group', {
    aggregatedKind: 'compute#networkEndpointGroupAggregatedList',
    hidden: ['networkEndpoints'],
    otherLinks: ['network', 'subnetwork'],
  }),
  firewalls: facts('firewall', { verbs: ['patch', 'update'], otherLinks: ['network'] }),
}

/** The names of the collections of stored resources. */
export const collectionNames = Object.keys(definitions) as readonly CollectionName[]

/** Those of Compute Engine. */
export const computeCollections = collectionNames.filter((name) => collectionFacts[name].api === 'compute')

function facts(noun: string, given: Partial<CollectionFacts> = {}): CollectionFacts {
  const singular = noun.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  return {
    api: 'compute',
    noun,
    listKind: `compute#${singular}List`,
    aggregatedKind: undefined,
    verbs: [],
    hasFingerprint: false,
    needsFingerprint: false,
    hidden: [],
    otherLinks: [],
    ...given,
  }
}
