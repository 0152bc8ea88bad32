// Resources of the Compute API as tests need them, made from a short description.
import { parseEndpoint } from '../../src/address/endpoint.ts'
import { formatIpAddress } from '../../src/address/ip-address.ts'

/** The zone of groups that name none. */
export const ZONE = 'us-central1-b'

/** A group: endpoints, as "192.0.2.1:80", make a network endpoint group, instances an instance group. */
export type GroupDescription = {
  readonly zone?: string
  /** Fields of the entry in `backends` of the backend service; default: CONNECTION with room for everybody. */
  readonly balancing?: object
} & (
  | { readonly endpoints: readonly string[] }
  | { readonly instances: Readonly<Record<string, string>>; readonly port: number }
)

export type ServiceDescription = {
  readonly groups: Readonly<Record<string, GroupDescription>>
  /** Fields of a health check by TCP of the serving port, over those of {@link QUICK_CHECK}; default: no health check. */
  readonly healthCheck?: object
  /** Further fields of the backend service. */
  readonly fields?: object
}

export type FrontendDescription = {
  /** As "203.0.113.10:110". */
  readonly listen: string
  readonly service: string
  /** Fields of the target proxy; default: no header. With `sslCertificates` it is a target SSL proxy. */
  readonly proxy?: object
  /** Fields of the forwarding rule of a frontend for UDP, which has no proxy. */
  readonly udp?: object
}

export type Description = {
  readonly frontends: Readonly<Record<string, FrontendDescription>>
  readonly services: Readonly<Record<string, ServiceDescription>>
}

/** As quick as the API allows. */
export const QUICK_CHECK = { checkIntervalSec: 1, timeoutSec: 1 }

/** Every connection is in the log. */
export const LOG_ALL = { logConfig: { enable: true, sampleRate: 1 } }

/** The resources of a description. */
export function resources({ frontends, services }: Description): object[] {
  return [
    ...Object.entries(frontends).flatMap(([name, frontend]) => frontendResources(name, frontend)),
    ...Object.entries(services).flatMap(([name, service]) => serviceResources(name, service)),
  ]
}

/** One service `app` with one group `group` of these endpoints, and one frontend `rule`. */
export function simple(
  listen: string,
  endpoints: readonly string[],
  service: Omit<ServiceDescription, 'groups'> = {},
  proxy: object = {},
): object[] {
  return resources({
    frontends: { rule: { listen, service: 'app', proxy } },
    services: { app: { ...service, groups: { group: { endpoints } } } },
  })
}

function frontendResources(name: string, { listen, service, proxy = {}, udp }: FrontendDescription): object[] {
  const { ipAddress, port } = split(listen)
  if (udp !== undefined) {
    const rule = { kind: 'compute#forwardingRule', name, IPAddress: ipAddress, portRange: `${port}-${port}` }
    return [{ ...rule, IPProtocol: 'UDP', backendService: `global/backendServices/${service}`, ...udp }]
  }
  const isSsl = 'sslCertificates' in proxy
  return [
    {
      kind: 'compute#forwardingRule',
      name,
      IPAddress: ipAddress,
      IPProtocol: 'TCP',
      portRange: `${port}-${port}`,
      target: `global/${isSsl ? 'targetSslProxies' : 'targetTcpProxies'}/${name}-proxy`,
    },
    {
      kind: isSsl ? 'compute#targetSslProxy' : 'compute#targetTcpProxy',
      name: `${name}-proxy`,
      service: `global/backendServices/${service}`,
      ...proxy,
    },
  ]
}

function serviceResources(name: string, { groups, healthCheck, fields }: ServiceDescription): object[] {
  const check = `${name}-check`
  return [
    {
      kind: 'compute#backendService',
      name,
      protocol: 'TCP',
      portName: 'serving',
      timeoutSec: 300,
      ...(healthCheck === undefined ? {} : { healthChecks: [`global/healthChecks/${check}`] }),
      backends: Object.entries(groups).map(([group, description]) => ({
        group: referenceOf(group, description),
        ...(description.balancing ?? { balancingMode: 'CONNECTION', maxConnections: 100_000 }),
      })),
      ...fields,
    },
    ...(healthCheck === undefined
      ? []
      : [
          {
            kind: 'compute#healthCheck',
            name: check,
            type: 'TCP',
            tcpHealthCheck: { portSpecification: 'USE_SERVING_PORT' },
            ...QUICK_CHECK,
            ...healthCheck,
          },
        ]),
    ...Object.entries(groups).flatMap(([group, description]) => groupResources(group, description)),
  ]
}

function referenceOf(group: string, description: GroupDescription): string {
  const collection = 'endpoints' in description ? 'networkEndpointGroups' : 'instanceGroups'
  return `zones/${description.zone ?? ZONE}/${collection}/${group}`
}

function groupResources(name: string, description: GroupDescription): object[] {
  const zone = description.zone ?? ZONE
  if ('endpoints' in description) {
    return [{ kind: 'compute#networkEndpointGroup', name, zone, networkEndpoints: description.endpoints.map(split) }]
  }
  const names = Object.keys(description.instances)
  return [
    {
      kind: 'compute#instanceGroup',
      name,
      zone,
      namedPorts: [{ name: 'serving', port: description.port }],
      instances: names.map((instance) => `zones/${zone}/instances/${instance}`),
    },
    ...names.map((instance) => ({
      kind: 'compute#instance',
      name: instance,
      zone,
      networkInterfaces: [{ networkIP: description.instances[instance] }],
    })),
  ]
}

function split(text: string): { ipAddress: string; port: number } {
  const endpoint = parseEndpoint(text)
  if (endpoint === undefined) throw new TypeError(`"${text}" is not of the form ADDRESS:PORT`)
  return { ipAddress: formatIpAddress(endpoint.address), port: endpoint.port }
}
