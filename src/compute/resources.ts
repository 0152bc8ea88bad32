import { addresses } from './address.ts'
import { backendServices } from './backend-service.ts'
import { firewalls } from './firewall.ts'
import { forwardingRules } from './forwarding-rule.ts'
import { healthChecks } from './health-check.ts'
import { instances } from './instance.ts'
import { instanceGroups } from './instance-group.ts'
import type { ValueOf } from './json-schema.ts'
import { networkEndpointGroups } from './network-endpoint-group.ts'
import type { Scope } from './reference.ts'
import { serviceLbPolicies } from './service-lb-policy.ts'
import { sslCertificates } from './ssl-certificate.ts'
import { sslPolicies } from './ssl-policy.ts'
import { targetSslProxies } from './target-ssl-proxy.ts'
import { targetTcpProxies } from './target-tcp-proxy.ts'

/** All kinds of resources, by collection, in the order in which a connection meets them. */
export const definitions = {
  addresses,
  forwardingRules,
  targetTcpProxies,
  targetSslProxies,
  sslCertificates,
  sslPolicies,
  backendServices,
  serviceLbPolicies,
  healthChecks,
  instanceGroups,
  instances,
  networkEndpointGroups,
  firewalls,
} as const

/** The plural of a kind, as it is in URLs: `backendServices`. */
export type CollectionName = keyof typeof definitions

/** What a resource of a collection holds, defaults applied; fields that only a server sets are left out. */
export type ResourceOf<Collection extends CollectionName> = ValueOf<(typeof definitions)[Collection]['schema']>

/** A sound resource of one collection. */
export type CheckedResourceOf<Collection extends CollectionName> = {
  readonly collection: Collection
  readonly scope: Scope
  readonly name: string
  /** As in {@link Problem}. */
  readonly source: string
  readonly resource: ResourceOf<Collection>
}

/** A sound resource: `collection` says of which type `resource` is. */
export type CheckedResource = { [Collection in CollectionName]: CheckedResourceOf<Collection> }[CollectionName]

/** Says whether a text is the name of a collection. */
export function isCollectionName(text: string): text is CollectionName {
  return Object.hasOwn(definitions, text)
}
