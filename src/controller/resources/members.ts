import type { Mapping } from '../../compute/json-value.ts'
import { backendKey } from '../../snapshot/backend-key.ts'
import type { Call } from '../methods/call.ts'
import { notFound } from '../model/api-error.ts'
import { keyOfPath, pathOf, storedAt, urlOf } from '../model/resource-paths.ts'
import type { StoredResource } from '../store/store.ts'
import { resolveResource } from './resolve-link.ts'
import { statusOf } from './resource-view.ts'

/** One address and port behind a group. */
type Member = {
  /** As the snapshot calls it within its group. */
  readonly name: string
  readonly ipAddress: string
  readonly port: number
  /** The path of the instance; undefined: an endpoint that names none. */
  readonly instance: string | undefined
}

/** Answers `backendServices.getHealth`: the health of every member of one group of a service. */
export function groupHealth(call: Call, service: StoredResource, body: Mapping): Mapping {
  const { world, request } = call
  const collections = ['instanceGroups', 'networkEndpointGroups'] as const
  const group = resolveResource(call, service, String(body.group), { path: 'group', collections })
  const backends = service.resource.backends as readonly Mapping[]
  if (!backends.some((backend) => backend.group === pathOf(group))) throw notFound(pathOf(group))
  const [rule] = rulesOf(call, service)
  const portName = String(service.resource.portName ?? '')
  const healthStatus = membersOf(call, group, portName).map(({ name, ipAddress, port, instance }) => ({
    healthState: world.health.stateOf(backendKey(shortName(service), shortName(group), name)) ?? 'UNKNOWN',
    ipAddress,
    port,
    ...(instance === undefined ? {} : { instance: urlOf(request.baseUrl, instance) }),
    ...(rule === undefined
      ? {}
      : { forwardingRule: urlOf(request.baseUrl, rule), forwardingRuleIp: ruleIp(call, rule) }),
  }))
  return { kind: 'compute#backendServiceGroupHealth', ...(healthStatus.length > 0 ? { healthStatus } : {}) }
}

/** The entries of `instanceGroups.listInstances`. */
export function listedInstances(call: Call, group: StoredResource, { instanceState }: Mapping): readonly Mapping[] {
  return instancesOf(call, group)
    .map((instance) => ({ instance, status: statusOf(call.world, instance) }))
    .filter(({ status }) => instanceState !== 'RUNNING' || status === 'RUNNING')
    .map(({ instance, status }) => ({
      instance: urlOf(call.request.baseUrl, pathOf(instance)),
      status,
      namedPorts: group.resource.namedPorts,
    }))
}

/** The entries of `networkEndpointGroups.listNetworkEndpoints`. */
export function listedEndpoints(call: Call, group: StoredResource, { healthStatus }: Mapping): readonly Mapping[] {
  const { world, request } = call
  const services = world.references.usersOf(pathOf(group))
  return endpointsOf(group).map((endpoint) => {
    const { instance } = endpoint
    const shown = typeof instance === 'string' ? { ...endpoint, instance: urlOf(request.baseUrl, instance) } : endpoint
    if (healthStatus !== 'SHOW') return { networkEndpoint: shown }
    const healths = services.flatMap((path) => {
      const key = keyOfPath(path)
      const name = endpointName(group, endpoint)
      const state = key && world.health.stateOf(backendKey(shortName(key), shortName(group), name))
      return [{ backendService: { backendService: urlOf(request.baseUrl, path) }, healthState: state ?? 'UNKNOWN' }]
    })
    return { networkEndpoint: shown, healths }
  })
}

function membersOf(call: Call, group: StoredResource, portName: string): readonly Member[] {
  if (group.collection === 'networkEndpointGroups') {
    return endpointsOf(group).map((endpoint) => {
      const port = Number(endpoint.port ?? group.resource.defaultPort)
      const instance = typeof endpoint.instance === 'string' ? endpoint.instance : undefined
      return { name: endpointName(group, endpoint), ipAddress: String(endpoint.ipAddress), port, instance }
    })
  }
  const named = group.resource.namedPorts as readonly Mapping[]
  const ports = [...new Set(named.filter(({ name }) => name === portName).map(({ port }) => Number(port)))]
  return instancesOf(call, group)
    .filter(({ resource }) => resource.status === 'RUNNING')
    .flatMap((instance) => {
      const name = group.scope.startsWith('zones/') ? instance.name : shortName(instance)
      const [first] = instance.resource.networkInterfaces as readonly Mapping[]
      const ipAddress = String(first?.networkIP)
      return ports.map((port) => {
        return { name: ports.length > 1 ? `${name}:${port}` : name, ipAddress, port, instance: pathOf(instance) }
      })
    })
}

function instancesOf({ world }: Call, group: StoredResource): readonly StoredResource[] {
  return (group.resource.instances as readonly string[]).flatMap((path) => storedAt(world.store, path) ?? [])
}

function endpointsOf({ resource }: StoredResource): readonly Mapping[] {
  return resource.networkEndpoints as readonly Mapping[]
}

/** `ADDRESS:PORT`, as the snapshot calls an endpoint. */
function endpointName({ resource: { defaultPort } }: StoredResource, { ipAddress, port }: Mapping): string {
  const address = String(ipAddress)
  return `${address.includes(':') ? `[${address}]` : address}:${port ?? defaultPort}`
}

/** As the snapshot calls a resource among all scopes: `my-tcp-lb`, `us-central1-b/my-instance-group`. */
function shortName({ scope, name }: Pick<StoredResource, 'scope' | 'name'>): string {
  return scope === 'global' ? name : `${scope.split('/')[1]}/${name}`
}

/** The paths of the forwarding rules that lead to a service. */
function rulesOf({ world }: Call, service: StoredResource): readonly string[] {
  return world.references.usersOf(pathOf(service)).flatMap((proxy) => world.references.usersOf(proxy))
}

function ruleIp({ world }: Call, path: string): unknown {
  return storedAt(world.store, path)?.resource.IPAddress
}
