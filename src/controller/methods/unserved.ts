import { isCollectionName } from '../../compute/resources.ts'

/** What Compute Engine has and this controller does not: a collection of which there is nothing, or actions of one that there is. */
type Unserved = {
  /** Where it can be listed; left out: the collection is served. */
  readonly lists?: readonly ('global' | 'region' | 'zone' | 'aggregated')[]
  /** The kinds of its lists that are not made of its name. */
  readonly kinds?: Readonly<Record<string, string>>
  /** Actions on it or on one of its resources, in one text. */
  readonly actions?: string
}

// From Google's discovery document of compute v1, as gcloud 528 has it. Actions that are served are here, too: what
// there is, is found first.
const unserved: Readonly<Record<string, Unserved>> = {
  acceleratorTypes: { lists: ['aggregated', 'zone'] },
  addresses: { actions: 'move setLabels' },
  autoscalers: { lists: ['aggregated', 'region', 'zone'], kinds: { region: 'compute#regionAutoscalerList' } },
  backendBuckets: {
    lists: ['global'],
    actions: 'addSignedUrlKey deleteSignedUrlKey getIamPolicy setEdgeSecurityPolicy setIamPolicy testIamPermissions',
  },
  backendServices: {
    actions:
      'addSignedUrlKey deleteSignedUrlKey getHealth getIamPolicy listUsable setEdgeSecurityPolicy setIamPolicy setSecurityPolicy testIamPermissions',
  },
  commitments: { lists: ['aggregated', 'region'] },
  disks: {
    actions:
      'delete insert update addResourcePolicies bulkInsert bulkSetLabels createSnapshot getIamPolicy removeResourcePolicies resize setIamPolicy setLabels startAsyncReplication stopAsyncReplication stopGroupAsyncReplication testIamPermissions',
  },
  externalVpnGateways: { lists: ['global'], actions: 'setLabels testIamPermissions' },
  firewallPolicies: {
    lists: ['aggregated', 'global', 'region'],
    kinds: { aggregated: 'compute#networkFirewallPolicyAggregatedList' },
    actions:
      'addAssociation addPacketMirroringRule addRule cloneRules getAssociation getEffectiveFirewalls getIamPolicy getPacketMirroringRule getRule patchPacketMirroringRule patchRule removeAssociation removePacketMirroringRule removeRule setIamPolicy testIamPermissions',
  },
  forwardingRules: { actions: 'setLabels setTarget' },
  healthCheckServices: { lists: ['region'], kinds: { region: 'compute#healthCheckServicesList' } },
  httpHealthChecks: { lists: ['global'] },
  httpsHealthChecks: { lists: ['global'] },
  images: { actions: 'delete insert patch deprecate getIamPolicy setIamPolicy setLabels testIamPermissions' },
  instanceGroupManagers: {
    actions:
      'delete insert patch abandonInstances applyUpdatesToInstances createInstances deleteInstances deletePerInstanceConfigs listErrors listManagedInstances listPerInstanceConfigs patchPerInstanceConfigs recreateInstances resize resizeRequests resumeInstances setInstanceTemplate setTargetPools startInstances stopInstances suspendInstances updatePerInstanceConfigs',
  },
  instanceGroups: { actions: 'addInstances listInstances removeInstances setNamedPorts' },
  instanceTemplates: {
    lists: ['aggregated', 'global', 'region'],
    actions: 'getIamPolicy setIamPolicy testIamPermissions',
  },
  instances: {
    actions:
      'addAccessConfig addResourcePolicies attachDisk bulkInsert deleteAccessConfig detachDisk getEffectiveFirewalls getGuestAttributes getIamPolicy getShieldedInstanceIdentity performMaintenance referrers removeResourcePolicies reportHostAsFaulty reset resume screenshot sendDiagnosticInterrupt serialPort setDeletionProtection setDiskAutoDelete setIamPolicy setLabels setMachineResources setMachineType setMetadata setMinCpuPlatform setName setScheduling setSecurityPolicy setServiceAccount setShieldedInstanceIntegrityPolicy setTags simulateMaintenanceEvent start startWithEncryptionKey stop suspend testIamPermissions updateAccessConfig updateDisplayDevice updateNetworkInterface updateShieldedInstanceConfig',
  },
  instantSnapshots: {
    lists: ['aggregated', 'region', 'zone'],
    actions: 'getIamPolicy setIamPolicy setLabels testIamPermissions',
  },
  interconnectAttachmentGroups: {
    lists: ['global'],
    actions: 'getIamPolicy getOperationalStatus setIamPolicy testIamPermissions',
  },
  interconnectAttachments: { lists: ['aggregated', 'region'], actions: 'setLabels' },
  interconnectGroups: {
    lists: ['global'],
    actions: 'createMembers getIamPolicy getOperationalStatus setIamPolicy testIamPermissions',
  },
  interconnectLocations: { lists: ['global'] },
  interconnectRemoteLocations: { lists: ['global'] },
  interconnects: { lists: ['global'], actions: 'getDiagnostics getMacsecConfig setLabels' },
  licenseCodes: { lists: [], actions: 'testIamPermissions' },
  licenses: {
    lists: ['global'],
    kinds: { global: 'compute#licensesListResponse' },
    actions: 'getIamPolicy setIamPolicy testIamPermissions',
  },
  machineImages: { lists: ['global'], actions: 'getIamPolicy setIamPolicy setLabels testIamPermissions' },
  networkAttachments: { lists: ['aggregated', 'region'], actions: 'getIamPolicy setIamPolicy testIamPermissions' },
  networkEdgeSecurityServices: { lists: ['aggregated'] },
  networkEndpointGroups: {
    // Only zonal ones are kept.
    lists: ['global', 'region'],
    actions: 'attachNetworkEndpoints detachNetworkEndpoints listNetworkEndpoints testIamPermissions',
  },
  networkProfiles: { lists: ['global'] },
  networks: {
    actions:
      'delete insert patch addPeering getEffectiveFirewalls listPeeringRoutes removePeering switchToCustomMode updatePeering',
  },
  nodeGroups: {
    lists: ['aggregated', 'zone'],
    actions:
      'addNodes deleteNodes getIamPolicy listNodes performMaintenance setIamPolicy setNodeTemplate simulateMaintenanceEvent testIamPermissions',
  },
  nodeTemplates: { lists: ['aggregated', 'region'], actions: 'getIamPolicy setIamPolicy testIamPermissions' },
  nodeTypes: { lists: ['aggregated', 'zone'] },
  notificationEndpoints: { lists: ['region'] },
  operations: { actions: 'wait' },
  packetMirrorings: { lists: ['aggregated', 'region'], actions: 'testIamPermissions' },
  publicAdvertisedPrefixes: { lists: ['global'], actions: 'announce withdraw' },
  publicDelegatedPrefixes: { lists: ['aggregated', 'global', 'region'], actions: 'announce withdraw' },
  reservations: {
    lists: ['aggregated', 'zone'],
    actions: 'getIamPolicy performMaintenance reservationBlocks resize setIamPolicy testIamPermissions',
  },
  resourcePolicies: { lists: ['aggregated', 'region'], actions: 'getIamPolicy setIamPolicy testIamPermissions' },
  routers: {
    lists: ['aggregated', 'region'],
    actions:
      'deleteRoutePolicy getNatIpInfo getNatMappingInfo getRoutePolicy getRouterStatus listBgpRoutes listRoutePolicies patchRoutePolicy preview updateRoutePolicy',
  },
  routes: { lists: ['global'] },
  securityPolicies: {
    lists: ['aggregated', 'global', 'region'],
    kinds: { aggregated: 'compute#securityPoliciesAggregatedList' },
    actions: 'addRule getRule listPreconfiguredExpressionSets patchRule removeRule setLabels',
  },
  serviceAttachments: { lists: ['aggregated', 'region'], actions: 'getIamPolicy setIamPolicy testIamPermissions' },
  snapshots: { lists: ['global'], actions: 'getIamPolicy setIamPolicy setLabels testIamPermissions' },
  sslPolicies: { actions: 'listAvailableFeatures' },
  storagePoolTypes: { lists: ['aggregated', 'zone'] },
  storagePools: { lists: ['aggregated', 'zone'], actions: 'getIamPolicy listDisks setIamPolicy testIamPermissions' },
  subnetworks: {
    lists: ['aggregated', 'region'],
    actions: 'expandIpCidrRange getIamPolicy listUsable setIamPolicy setPrivateIpGoogleAccess testIamPermissions',
  },
  targetGrpcProxies: { lists: ['global'] },
  targetHttpProxies: { lists: ['aggregated', 'global', 'region'], actions: 'setUrlMap' },
  targetHttpsProxies: {
    lists: ['aggregated', 'global', 'region'],
    actions: 'setCertificateMap setQuicOverride setSslCertificates setSslPolicy setUrlMap',
  },
  targetInstances: { lists: ['aggregated', 'zone'], actions: 'setSecurityPolicy' },
  targetPools: {
    lists: ['aggregated', 'region'],
    actions: 'addHealthCheck addInstance getHealth removeHealthCheck removeInstance setBackup setSecurityPolicy',
  },
  targetSslProxies: { actions: 'setBackendService setCertificateMap setProxyHeader setSslCertificates setSslPolicy' },
  targetTcpProxies: { actions: 'setBackendService setProxyHeader' },
  targetVpnGateways: { lists: ['aggregated', 'region'], actions: 'setLabels' },
  urlMaps: {
    lists: ['aggregated', 'global', 'region'],
    kinds: { aggregated: 'compute#urlMapsAggregatedList' },
    actions: 'invalidateCache validate',
  },
  vpnGateways: { lists: ['aggregated', 'region'], actions: 'getStatus setLabels testIamPermissions' },
  vpnTunnels: { lists: ['aggregated', 'region'], actions: 'setLabels' },
}

/** Methods of a project itself, which are not served either. */
const PROJECT_ACTIONS: readonly string[] = [
  'disableXpnHost',
  'disableXpnResource',
  'enableXpnHost',
  'enableXpnResource',
  'getXpnHost',
  'getXpnResources',
  'listXpnHosts',
  'moveDisk',
  'moveInstance',
  'setCloudArmorTier',
  'setDefaultNetworkTier',
  'setUsageExportBucket',
]

/** A collection that is not served: its lists are empty. */
export type EmptyCollection = { readonly name: string; readonly lists: NonNullable<Unserved['lists']> }

/** The collections of Compute Engine of which there is nothing here. */
export const emptyCollections: readonly EmptyCollection[] = Object.entries(unserved).flatMap(([name, { lists }]) => {
  return lists === undefined || isCollectionName(name) ? [] : [{ name, lists }]
})

const emptyNames = new Set(emptyCollections.map(({ name }) => name))

/** Says whether Compute Engine has a collection in a scope, which holds nothing of it here. */
export function isEmptyScope(collection: string, scope: 'global' | 'region' | 'zone'): boolean {
  return Object.hasOwn(unserved, collection) && (unserved[collection].lists?.includes(scope) ?? false)
}

/** The kind of a list of a collection of which there is nothing. */
export function emptyListKind(collection: string, place: 'global' | 'region' | 'zone' | 'aggregated'): string {
  const singular = collection.replace(/ies$/, 'y').replace(/s$/, '')
  return (
    unserved[collection]?.kinds?.[place] ?? `compute#${singular}${place === 'aggregated' ? 'AggregatedList' : 'List'}`
  )
}

/** Says whether there is nothing of a collection that Compute Engine has. */
export function isEmptyCollection(collection: string): boolean {
  return emptyNames.has(collection)
}

/** Says whether Compute Engine has an action on a collection or on a resource of it, or on the project. */
export function isUnservedAction(collection: string, action: string): boolean {
  if (collection === 'projects') return PROJECT_ACTIONS.includes(action)
  const actions = Object.hasOwn(unserved, collection) ? unserved[collection].actions : undefined
  return actions?.split(' ').includes(action) ?? false
}
