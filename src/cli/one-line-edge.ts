import type { Endpoint } from '../address/endpoint.ts'
import { formatIpAddress, type IpAddress } from '../address/ip-address.ts'
import type { Scope } from '../compute/reference.ts'
import type { CheckedResource, CollectionName, ResourceOf } from '../compute/resources.ts'

const NAME = 'edge'
const PORT_NAME = 'app'
/** A target that is never reached: the one-line form bounds connections only by what the process takes. */
const CONNECTIONS_UNBOUNDED = 2 ** 31 - 1
const GLOBAL: Scope = { kind: 'global' }

/** What the one-line form of `truepeer edge` says of its load balancer. */
export type OneLineEdge = {
  readonly listen: Endpoint
  readonly backends: readonly Endpoint[]
  readonly proxyHeader: ResourceOf<'targetTcpProxies'>['proxyHeader']
  /** 0: for ever. */
  readonly idleTimeoutMs: number
  readonly checkIntervalMs: number
  readonly checkTimeoutMs: number
  readonly healthyThreshold: number
  readonly unhealthyThreshold: number
  /** undefined: nobody is asked for its load. */
  readonly maxUtilization: number | undefined
  readonly zone: string
  /** Clients speak TLS; undefined: their bytes go on as they are. */
  readonly tls: OneLineTls | undefined
}

/** What the one-line form says of TLS; the certificates themselves are read from their files later, and again. */
export type OneLineTls = {
  readonly certificateFiles: readonly CertificateFiles[]
  readonly profile: ResourceOf<'sslPolicies'>['profile']
  readonly minTlsVersion: ResourceOf<'sslPolicies'>['minTlsVersion']
  readonly alpnProtocols: ResourceOf<'targetSslProxies'>['alpnProtocols']
}

/** A certificate as two files, and the name of the resource that they stand for. */
export type CertificateFiles = {
  readonly name: string
  readonly certificatePath: string
  readonly keyPath: string
}

/** The name of the resource that the pair of files in this place stands for. */
export function certificateName(index: number): string {
  return index === 0 ? NAME : `${NAME}-${index + 1}`
}

/**
 * The resources that the one-line form stands for, but for certificates, all of them called `edge`; only what has no name of its own in them
 * differs: groups for several ports are `edge-PORT`, instances are called after their address.
 *
 * Times can be parts of a second and, for the idle timeout, 0: a file cannot say that, because the fields of Compute
 * Engine are whole seconds from 1 on.
 */
export function oneLineResources(edge: OneLineEdge): readonly CheckedResource[] {
  const groups = edge.maxUtilization === undefined ? [endpointGroup(edge)] : instanceGroups(edge)
  const backend = edge.maxUtilization === undefined ? boundless() : bounded(edge.maxUtilization)
  const scheme = { loadBalancingScheme: 'EXTERNAL' } as const
  return [
    checked('forwardingRules', GLOBAL, {
      ...scheme,
      name: NAME,
      IPAddress: formatIpAddress(edge.listen.address),
      IPProtocol: 'TCP',
      portRange: `${edge.listen.port}-${edge.listen.port}`,
      target: NAME,
    }),
    ...targetProxy(edge),
    checked('backendServices', GLOBAL, {
      ...scheme,
      name: NAME,
      backends: groups.map(({ collection, name }) => ({
        ...backend,
        group: `zones/${edge.zone}/${collection}/${name}`,
        capacityScaler: 1,
      })),
      healthChecks: [NAME],
      portName: PORT_NAME,
      protocol: 'TCP',
      timeoutSec: edge.idleTimeoutMs / 1_000,
      connectionDraining: { drainingTimeoutSec: 0 },
      sessionAffinity: 'NONE',
    }),
    healthCheck(edge),
    ...groups,
    ...(edge.maxUtilization === undefined ? [] : instances(edge)),
  ]
}

function targetProxy({ proxyHeader, tls }: OneLineEdge): readonly CheckedResource[] {
  const proxy = { name: NAME, service: NAME, proxyHeader, proxyHeaderOptions: [] }
  if (tls === undefined) {
    return [checked('targetTcpProxies', GLOBAL, proxy)]
  }
  const { certificateFiles, profile, minTlsVersion, alpnProtocols } = tls
  return [
    checked('targetSslProxies', GLOBAL, {
      ...proxy,
      sslCertificates: certificateFiles.map(({ name }) => name),
      sslPolicy: NAME,
      alpnProtocols,
    }),
    checked('sslPolicies', GLOBAL, { name: NAME, profile, minTlsVersion, customFeatures: [] }),
  ]
}

function healthCheck(edge: OneLineEdge): CheckedResource {
  return checked('healthChecks', GLOBAL, {
    name: NAME,
    type: 'TCP',
    checkIntervalSec: edge.checkIntervalMs / 1_000,
    timeoutSec: edge.checkTimeoutMs / 1_000,
    healthyThreshold: edge.healthyThreshold,
    unhealthyThreshold: edge.unhealthyThreshold,
    tcpHealthCheck: { portSpecification: 'USE_SERVING_PORT', request: '', response: '', proxyHeader: 'NONE' },
  })
}

function boundless() {
  return { balancingMode: 'CONNECTION', maxConnectionsPerEndpoint: CONNECTIONS_UNBOUNDED } as const
}

function bounded(maxUtilization: number) {
  return { balancingMode: 'UTILIZATION', maxUtilization } as const
}

function endpointGroup({ zone, backends }: OneLineEdge): CheckedResource {
  return checked('networkEndpointGroups', zonal(zone), {
    name: NAME,
    networkEndpointType: 'NON_GCP_PRIVATE_IP_PORT',
    networkEndpoints: backends.map(({ address, port }) => ({ ipAddress: formatIpAddress(address), port })),
  })
}

/** A balancing mode by utilization takes instance groups, whose members all have one port. */
function instanceGroups({ zone, backends }: OneLineEdge): readonly CheckedResource[] {
  const ports = [...new Set(backends.map(({ port }) => port))]
  return ports.map((port) =>
    checked('instanceGroups', zonal(zone), {
      name: ports.length === 1 ? NAME : `${NAME}-${port}`,
      namedPorts: [{ name: PORT_NAME, port }],
      instances: backends.filter((backend) => backend.port === port).map(({ address }) => instanceName(address)),
    }),
  )
}

function instances({ zone, backends }: OneLineEdge): readonly CheckedResource[] {
  const byName = new Map(backends.map(({ address }) => [instanceName(address), address]))
  return [...byName].map(([name, address]) =>
    checked('instances', zonal(zone), {
      name,
      networkInterfaces: [{ networkIP: formatIpAddress(address) }],
      tags: { items: [] },
      metadata: { items: [] },
    }),
  )
}

/** `ip-10-128-0-2`; an IPv6 address with all its digits. */
function instanceName({ family, w0, w1, w2, w3 }: IpAddress): string {
  const words = family === 4 ? [w3] : [w0, w1, w2, w3]
  if (family === 4) return `ip-${[24, 16, 8, 0].map((shift) => (words[0] >>> shift) & 0xff).join('-')}`
  return `ip-${words.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('')}`
}

function zonal(zone: string): Scope {
  return { kind: 'zone', zone }
}

function checked<Collection extends CollectionName>(
  collection: Collection,
  scope: Scope,
  resource: ResourceOf<Collection>,
): CheckedResource {
  const { name } = resource as { readonly name: string }
  return { collection, scope, name, source: 'command line', resource } as CheckedResource
}
