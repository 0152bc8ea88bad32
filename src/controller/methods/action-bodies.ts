import { instances } from '../../compute/instance.ts'
import { instanceGroups } from '../../compute/instance-group.ts'
import type { Schema } from '../../compute/json-schema.ts'
import { networkEndpointGroups } from '../../compute/network-endpoint-group.ts'
import { list, object, oneOf, optional, outputOnly, recorded, reference, text, texts } from '../../compute/schema.ts'
import { targetSslProxies } from '../../compute/target-ssl-proxy.ts'
import { targetTcpProxies } from '../../compute/target-tcp-proxy.ts'

const fingerprint = () => optional(text('The version on which the change is based; an outdated one is refused.'))

const members = object('Some instances.', {
  instances: list('The instances.', object('An instance.', { instance: reference('The instance.', ['instances']) }), {
    minItems: 1,
    maxItems: 1000,
  }),
})

const endpoints = object('Some endpoints.', {
  networkEndpoints: list('The endpoints.', networkEndpointGroups.schema.properties.networkEndpoints.items, {
    minItems: 1,
    maxItems: 500,
  }),
})

/** What an action takes that changes one resource, by `collection.action`. */
export const actionBodies: Readonly<Record<string, Schema>> = {
  'addresses.move': object('Where to move the address.', {
    destinationAddress: text('URL or path of the new address, in another project.'),
    description: optional(text('The new description; without it the old one stays.')),
  }),
  'addresses.setLabels': labels(),
  'forwardingRules.setLabels': labels(),
  'forwardingRules.setTarget': object('The new target.', {
    target: reference('The target proxy or, of a rule for UDP, the backend service.', [
      'targetTcpProxies',
      'targetSslProxies',
      'backendServices',
    ]),
  }),
  'targetTcpProxies.setBackendService': object('The new service.', {
    service: targetTcpProxies.schema.properties.service,
  }),
  'targetTcpProxies.setProxyHeader': object('The new header.', {
    proxyHeader: targetTcpProxies.schema.properties.proxyHeader,
  }),
  'targetSslProxies.setBackendService': object('The new service.', {
    service: targetSslProxies.schema.properties.service,
  }),
  'targetSslProxies.setProxyHeader': object('The new header.', {
    proxyHeader: targetSslProxies.schema.properties.proxyHeader,
  }),
  'targetSslProxies.setSslCertificates': object('The new certificates.', {
    sslCertificates: targetSslProxies.schema.properties.sslCertificates,
  }),
  'targetSslProxies.setSslPolicy': object('The new policy; without one, the policy is removed.', {
    sslPolicy: targetSslProxies.schema.properties.sslPolicy,
  }),
  'targetSslProxies.setCertificateMap': object('The new map of certificates; there are none here.', {
    certificateMap: targetSslProxies.schema.properties.certificateMap,
  }),
  'backendServices.getHealth': object('Which group.', {
    group: reference('The group.', ['instanceGroups', 'networkEndpointGroups']),
  }),
  'backendServices.setSecurityPolicy': object('The new security policy; there are none here.', {
    securityPolicy: optional(text('The policy.')),
  }),
  'instanceGroups.addInstances': members,
  'instanceGroups.removeInstances': members,
  'instanceGroups.listInstances': object('Which instances.', {
    instanceState: oneOf('In which state.', ['ALL', 'RUNNING'], { default: 'ALL' }),
  }),
  'instanceGroups.setNamedPorts': object('The new names.', {
    namedPorts: instanceGroups.schema.properties.namedPorts,
    fingerprint: fingerprint(),
  }),
  'networkEndpointGroups.attachNetworkEndpoints': endpoints,
  'networkEndpointGroups.detachNetworkEndpoints': endpoints,
  'networkEndpointGroups.listNetworkEndpoints': object('What to list.', {
    healthStatus: oneOf('Whether health is listed.', ['SKIP', 'SHOW'], { default: 'SKIP' }),
    endpointFilters: recorded('Which endpoints; not used.'),
  }),
  'instances.setTags': object('The new tags.', {
    items: instances.schema.properties.tags.properties.items,
    fingerprint: fingerprint(),
  }),
  'instances.setMetadata': metadata(),
  'instances.setLabels': labels(),
  'instances.setMachineType': object('The new kind of machine, of an instance that is stopped.', {
    machineType: text('URL or path of the machine type.', { examples: ['zones/us-central1-b/machineTypes/e2-medium'] }),
  }),
  'instances.addAccessConfig': object('An address for the internet.', {
    name: text('What it is called.', { default: 'External NAT', maxLength: 63 }),
    type: oneOf('What it is.', ['ONE_TO_ONE_NAT'], { default: 'ONE_TO_ONE_NAT', unsupported: ['DIRECT_IPV6'] }),
    natIP: optional(text('The address; without it that of the interface.', { format: 'ip' })),
    networkTier: recorded('Quality of the network.'),
    setPublicPtr: recorded('Whether the address has a name.'),
    publicPtrDomainName: recorded('The name of the address.'),
    externalIpv6: recorded('IPv6 address.'),
    externalIpv6PrefixLength: recorded('Length of the IPv6 range.'),
    securityPolicy: outputOnly('Security policy.'),
    kind: outputOnly('Kind of object.'),
  }),
  'projects.setCommonInstanceMetadata': metadata(),
}

function labels() {
  return object('The new labels.', { labels: optional(texts('Labels, by name.')), labelFingerprint: fingerprint() })
}

function metadata() {
  return object('The new metadata.', {
    items: instances.schema.properties.metadata.properties.items,
    fingerprint: fingerprint(),
    kind: outputOnly('Kind of object.'),
  })
}
