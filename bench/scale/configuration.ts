// The load balancer that is measured, as resources of the Compute API.
import type { Scale } from './options.ts'

/** Where all endpoints of all backends listen: one socket takes every address of 127.0.0.0/8. */
export const BACKEND_PORT = 9_000
/** The frontends listen on this address, on ports from the first one on. */
export const FRONTEND_ADDRESS = '127.0.0.1'
export const FIRST_FRONTEND_PORT = 20_000

const ZONE = 'us-central1-b'
/** As seldom as the API allows: what is measured is not the probing. */
const SECONDS_MAX = 300
/** A client's silence; the change that is measured sets another. */
export const IDLE_SECONDS = 600

type Endpoint = { readonly ipAddress: string; readonly port: number }

/** A resource to insert: its collection with its scope, and its body. */
export type Resource = {
  readonly path: string
  readonly body: { readonly name: string; readonly [key: string]: unknown }
}

/** Where a group is, as part of a path. */
export const GROUPS_PATH = `zones/${ZONE}/networkEndpointGroups`
export const SERVICES_PATH = 'global/backendServices'

/** The endpoints of each group, in the order of the groups. */
export function groupEndpoints({ backends, groups }: Scale): readonly (readonly Endpoint[])[] {
  const all = Array.from({ length: backends }, (_, index) => ({ ipAddress: addressOf(index), port: BACKEND_PORT }))
  return Array.from({ length: groups }, (_, group) =>
    all.slice(Math.floor((group * backends) / groups), Math.floor(((group + 1) * backends) / groups)),
  )
}

/** What an operator calls the backend of an endpoint. */
export function backendName({ ipAddress, port }: Endpoint): string {
  return `${ipAddress}:${port}`
}

export function groupName(index: number): string {
  return `group-${index}`
}

export function serviceName(index: number): string {
  return `service-${index}`
}

/** All resources, in an order in which each can be inserted; groups without their endpoints. */
export function resources(scale: Scale): readonly Resource[] {
  const groups = Array.from({ length: scale.groups }, (_, index) => index)
  const check = {
    name: 'check',
    type: 'TCP',
    checkIntervalSec: SECONDS_MAX,
    timeoutSec: 5,
    tcpHealthCheck: { portSpecification: 'USE_SERVING_PORT' },
  }
  return [
    { path: 'global/healthChecks', body: check },
    ...groups.map((index) => ({ path: GROUPS_PATH, body: { name: groupName(index) } })),
    ...Array.from({ length: scale.services }, (_, index) => ({
      path: SERVICES_PATH,
      body: {
        name: serviceName(index),
        protocol: 'TCP',
        timeoutSec: IDLE_SECONDS,
        healthChecks: ['global/healthChecks/check'],
        backends: groups.filter((group) => group % scale.services === index).map(backendOf),
      },
    })),
    ...Array.from({ length: scale.frontends }, (_, index) => frontendResources(index, scale)).flat(),
  ]
}

function backendOf(group: number): object {
  // Room for everybody: no group is ever full.
  const balancing = { balancingMode: 'CONNECTION', maxConnectionsPerEndpoint: 1_000_000 }
  return { group: `${GROUPS_PATH}/${groupName(group)}`, ...balancing }
}

function frontendResources(index: number, { services }: Scale): readonly Resource[] {
  const service = `${SERVICES_PATH}/${serviceName(index % services)}`
  const port = FIRST_FRONTEND_PORT + index
  const rule = { name: `rule-${index}`, IPAddress: FRONTEND_ADDRESS, IPProtocol: 'TCP', portRange: `${port}-${port}` }
  return [
    { path: 'global/targetTcpProxies', body: { name: `proxy-${index}`, service, proxyHeader: 'NONE' } },
    { path: 'global/forwardingRules', body: { ...rule, target: `global/targetTcpProxies/proxy-${index}` } },
  ]
}

/** What a file differs in from {@link resources}. */
export type Variant = { readonly idleSeconds: number; readonly lacksLastBackend: boolean }

/** All resources with their endpoints, as the text of a file. The first service gets the idle time. */
export function fileText(scale: Scale, { idleSeconds, lacksLastBackend }: Variant): string {
  const endpoints = new Map(groupEndpoints(scale).map((group, index) => [groupName(index), group]))
  const last = groupName(scale.groups - 1)
  const values = resources(scale).map(({ path, body }) => {
    const kind = `compute#${path.split('/').at(-1)?.replace(/ies$/, 'y').replace(/s$/, '')}`.replace('Proxie', 'Proxy')
    const zone = path.startsWith('zones/') ? { zone: ZONE } : {}
    const members = endpoints.get(body.name)
    const networkEndpoints = body.name === last && lacksLastBackend ? members?.slice(0, -1) : members
    const timeout = body.name === serviceName(0) ? { timeoutSec: idleSeconds } : {}
    return { kind, ...zone, ...body, ...(networkEndpoints === undefined ? {} : { networkEndpoints }), ...timeout }
  })
  return JSON.stringify(values)
}

function addressOf(index: number): string {
  return `127.${1 + Math.floor(index / 62_500)}.${Math.floor(index / 250) % 250}.${1 + (index % 250)}`
}
