import { parseEndpoint } from '../../src/address/endpoint.ts'
import { formatIpAddress } from '../../src/address/ip-address.ts'

/** A forwarding rule of a test, with a target proxy of the same name. */
export type TestRule = {
  readonly name: string
  /** `ADDR:PORT` */
  readonly listen: string
  readonly service: string
  readonly proxyHeader?: 'NONE' | 'PROXY_V1' | 'PROXY_V2'
}

/** A backend service of a test, with one network endpoint group in zone `us-central1-b` and a health check. */
export type TestService = {
  readonly name: string
  /** `ADDR:PORT` each */
  readonly backends: readonly string[]
  readonly drainingTimeoutSec?: number
  readonly timeoutSec?: number
}

const ZONE = 'us-central1-b'

/** The text of a file of resources; the group of service `web` is `web-neg`, its health check `web-check`. */
export function edgeConfig(rules: readonly TestRule[], services: readonly TestService[]): string {
  return JSON.stringify([...rules.flatMap(ruleResources), ...services.flatMap(serviceResources)], undefined, 1)
}

function ruleResources({ name, listen, service, proxyHeader = 'NONE' }: TestRule): object[] {
  const { address, port } = parsed(listen)
  return [
    {
      kind: 'compute#forwardingRule',
      name,
      IPAddress: address,
      portRange: `${port}-${port}`,
      target: `global/targetTcpProxies/${name}`,
    },
    { kind: 'compute#targetTcpProxy', name, service: `global/backendServices/${service}`, proxyHeader },
  ]
}

function serviceResources({ name, backends, drainingTimeoutSec = 0, timeoutSec = 30 }: TestService): object[] {
  return [
    {
      kind: 'compute#backendService',
      name,
      protocol: 'TCP',
      timeoutSec,
      healthChecks: [`global/healthChecks/${name}-check`],
      connectionDraining: { drainingTimeoutSec },
      backends: [
        {
          group: `zones/${ZONE}/networkEndpointGroups/${name}-neg`,
          balancingMode: 'CONNECTION',
          maxConnectionsPerEndpoint: 1_000_000,
        },
      ],
    },
    {
      kind: 'compute#healthCheck',
      name: `${name}-check`,
      type: 'TCP',
      checkIntervalSec: 1,
      timeoutSec: 1,
      tcpHealthCheck: { portSpecification: 'USE_SERVING_PORT' },
    },
    {
      kind: 'compute#networkEndpointGroup',
      name: `${name}-neg`,
      zone: ZONE,
      networkEndpoints: backends.map((backend) => {
        const { address, port } = parsed(backend)
        return { ipAddress: address, port }
      }),
    },
  ]
}

function parsed(text: string): { readonly address: string; readonly port: number } {
  const endpoint = parseEndpoint(text)
  if (endpoint === undefined) throw new Error(`${text} is not ADDR:PORT`)
  return { address: formatIpAddress(endpoint.address), port: endpoint.port }
}
