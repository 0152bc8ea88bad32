import type { Endpoint, Protocol } from '../address/endpoint.ts'
import { formatIpAddress, type IpAddress } from '../address/ip-address.ts'
import type { Scope } from '../compute/reference.ts'
import type { CheckedResource, CollectionName, ResourceOf } from '../compute/resources.ts'

const NAME = 'edge'
const PORT_NAME = 'app'
/** A target that is never reached: the one-line form bounds connections only by what the process takes. */
const CONNECTIONS_UNBOUNDED = 2 ** 31 - 1
const GLOBAL: Scope = { kind: 'global' }
const SCHEME = { loadBalancingScheme: 'EXTERNAL' } as const

/** What the one-line form of `truepeer edge` says of its load balancer. */
export type OneLineEdge = {
  readonly listen: Endpoint
  /** One, or both. */
  readonly protocols: readonly Protocol[]
  readonly backends: readonly Endpoint[]
  /** Of TCP; that of UDP is PROXY_V2 unless it is NONE. */
  readonly proxyHeader: ResourceOf<'targetTcpProxies'>['proxyHeader']
  /** 0: for ever. */
  readonly idleTimeoutMs: number
  /** Of flows of UDP; undefined: the default. */
  readonly flowIdleTimeoutMs: number | undefined
  /** The TCP port of backends that is probed; undefined: their own, if they have TCP. */
  readonly checkPort: number | undefined
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
  return [
    ...(edge.protocols.includes('tcp') ? tcpFrontend(edge, groups) : []),
    ...(edge.protocols.includes('udp') ? udpFrontend(edge, groups) : []),
    ...(isProbed(edge) ? [healthCheck(edge)] : []),
    ...groups,
    ...(edge.maxUtilization === undefined ? [] : instances(edge)),
  ]
}

function tcpFrontend(edge: OneLineEdge, groups: readonly CheckedResource[]): readonly CheckedResource[] {
  return [
    checked('forwardingRules', GLOBAL, { ...ruleFields(edge), name: NAME, IPProtocol: 'TCP', target: NAME }),
    ...targetProxy(edge),
    checked('backendServices', GLOBAL, { ...serviceFields(edge, groups), name: NAME, protocol: 'TCP' }),
  ]
}

/** There is no target proxy for UDP. */
function udpFrontend(edge: OneLineEdge, groups: readonly CheckedResource[]): readonly CheckedResource[] {
  const name = edge.protocols.includes('tcp') ? `${NAME}-udp` : NAME
  const { flowIdleTimeoutMs: idleMs } = edge
  const connectionTrackingPolicy = idleMs === undefined ? undefined : { idleTimeoutSec: idleMs / 1_000 }
  return [
    checked('forwardingRules', GLOBAL, {
      ...ruleFields(edge),
      name,
      IPProtocol: 'UDP',
      backendService: name,
      proxyHeader: edge.proxyHeader === 'NONE' ? 'NONE' : 'PROXY_V2',
    }),
    checked('backendServices', GLOBAL, {
      ...serviceFields(edge, groups),
      name,
      protocol: 'UDP',
      ...(connectionTrackingPolicy && { connectionTrackingPolicy }),
    }),
  ]
}

function ruleFields({ listen: { address, port } }: OneLineEdge) {
  return { ...SCHEME, IPAddress: formatIpAddress(address), portRange: `${port}-${port}` }
}

function serviceFields(edge: OneLineEdge, groups: readonly CheckedResource[]) {
  const backend = edge.maxUtilization === undefined ? boundless() : bounded(edge.maxUtilization)
  return {
    ...SCHEME,
    backends: groups.map(({ collection, name }) => ({
      ...backend,
      group: `zones/${edge.zone}/${collection}/${name}`,
      capacityScaler: 1,
    })),
    healthChecks: isProbed(edge) ? [NAME] : [],
    portName: PORT_NAME,
    timeoutSec: edge.idleTimeoutMs / 1_000,
    connectionDraining: { drainingTimeoutSec: 0 },
    sessionAffinity: 'NONE',
  } as const
}

/** A probe goes over TCP, which backends of UDP alone need not have on their port. */
function isProbed({ protocols, checkPort }: OneLineEdge): boolean {
  return checkPort !== undefined || protocols.includes('tcp')
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
    tcpHealthCheck: {
      ...(edge.checkPort === undefined
        ? { portSpecification: 'USE_SERVING_PORT' as const }
        : { portSpecification: 'USE_FIXED_PORT' as const, port: edge.checkPort }),
      request: '',
      response: '',
      proxyHeader: 'NONE',
    },
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
