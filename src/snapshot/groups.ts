import { formatEndpoint } from '../address/endpoint.ts'
import { formatIpAddress } from '../address/ip-address.ts'
import { quoted } from '../compute/problem.ts'
import { formatScope, regionOfZone } from '../compute/reference.ts'
import type { Compilation } from './compilation.ts'
import { compileInstances, isRunning } from './instances.ts'
import { resolve } from './resolve.ts'
import { placeOf, type ResourceIn, scopedName } from './resource-index.ts'
import type { Backend, BackendGroup } from './snapshot.ts'
import { readBackendAddress } from './usable-address.ts'

/** A group before a service uses it, which says on which ports instances serve. Members are in no order yet. */
export type Group = Pick<BackendGroup, 'name' | 'region' | 'zone'> & {
  /** Where the group is, for messages. */
  readonly place: string
  readonly members:
    | {
        readonly kind: 'instances'
        readonly instances: readonly Pick<Backend, 'name' | 'address'>[]
        readonly namedPorts: ReadonlyMap<string, ReadonlySet<number>>
      }
    | { readonly kind: 'endpoints'; readonly backends: readonly Backend[] }
}

/** What a backend of a service refers to. */
export type GroupResource = ResourceIn<'instanceGroups' | 'networkEndpointGroups'>

/** Compiles every instance group and network endpoint group, with their members. */
export function compileGroups(compilation: Compilation): ReadonlyMap<GroupResource, Group> {
  const addresses = compileInstances(compilation)
  const groups = new Map<GroupResource, Group>()
  for (const group of compilation.resources.all('instanceGroups')) {
    groups.set(group, { ...locate(group), members: compileInstanceGroup(compilation, group, addresses) })
  }
  for (const group of compilation.resources.all('networkEndpointGroups')) {
    groups.set(group, { ...locate(group), members: compileEndpoints(compilation, group) })
  }
  return groups
}

/** A regional group is in no single zone: its zone is empty. */
function locate(group: GroupResource): Omit<Group, 'members'> {
  const { scope } = group
  const names = { name: scopedName(group), place: placeOf(group) }
  if (scope.kind === 'zone') return { ...names, region: regionOfZone(scope.zone), zone: scope.zone }
  return { ...names, region: scope.kind === 'region' ? scope.region : '', zone: '' }
}

function compileInstanceGroup(
  compilation: Compilation,
  group: ResourceIn<'instanceGroups'>,
  addresses: ReadonlyMap<ResourceIn<'instances'>, string>,
): Group['members'] {
  const namedPorts = new Map<string, Set<number>>()
  for (const { name, port } of group.resource.namedPorts) {
    namedPorts.set(name, (namedPorts.get(name) ?? new Set()).add(port))
  }
  const instances: Pick<Backend, 'name' | 'address'>[] = []
  for (const instance of resolveInstances(compilation, group)) {
    const address = addresses.get(instance)
    if (address !== undefined && isRunning(instance)) instances.push({ name: memberName(group, instance), address })
  }
  return { kind: 'instances', instances, namedPorts }
}

/** The instances of a group that are there, each once, and not outside of the group's zone or region. */
function resolveInstances(compilation: Compilation, group: ResourceIn<'instanceGroups'>): ResourceIn<'instances'>[] {
  const paths = new Map<ResourceIn<'instances'>, string>()
  for (const [index, reference] of group.resource.instances.entries()) {
    const path = `instances[${index}]`
    const instance = resolve(compilation, group, { path, text: reference, collections: ['instances'] })
    if (instance === undefined) continue
    const first = paths.get(instance)
    const problem = placeProblem(group, instance)
    if (first !== undefined) {
      compilation.report(group, path, 'conflict', `it is the instance of ${first}`, 'remove one of them')
    } else if (problem !== undefined) {
      compilation.report(group, path, 'invalid', problem, 'remove it, or put it into a group of its zone')
    } else paths.set(instance, path)
  }
  return [...paths.keys()]
}

function placeProblem({ scope }: ResourceIn<'instanceGroups'>, instance: ResourceIn<'instances'>): string | undefined {
  const zone = instance.scope.kind === 'zone' ? instance.scope.zone : ''
  const isInside =
    scope.kind === 'zone' ? zone === scope.zone : scope.kind === 'region' && regionOfZone(zone) === scope.region
  if (isInside) return undefined
  return `the instance ${quoted(instance.name)} is in ${formatScope(instance.scope)}, the group in ${formatScope(scope)}`
}

/** Two zones of a region may each have an instance of one name. */
function memberName(group: ResourceIn<'instanceGroups'>, instance: ResourceIn<'instances'>): string {
  return group.scope.kind === 'zone' ? instance.name : scopedName(instance)
}

function compileEndpoints({ report }: Compilation, group: ResourceIn<'networkEndpointGroups'>): Group['members'] {
  const { networkEndpoints, defaultPort } = group.resource
  const paths = new Map<string, string>()
  const backends: Backend[] = []
  for (const [index, { ipAddress, port = defaultPort }] of networkEndpoints.entries()) {
    const path = `networkEndpoints[${index}]`
    if (port === undefined) {
      report(group, `${path}.port`, 'required', 'the port is missing', 'give it, or defaultPort')
      continue
    }
    const read = readBackendAddress(ipAddress)
    if (read.kind === 'unusable') {
      const rule = `${quoted(ipAddress)} is ${read.why}`
      report(group, `${path}.ipAddress`, 'invalid', rule, 'give the address that edges connect to')
      continue
    }
    const name = formatEndpoint({ address: read.address, port })
    const first = paths.get(name)
    if (first === undefined) backends.push({ name, address: formatIpAddress(read.address), port })
    else report(group, path, 'conflict', `it is the endpoint ${first}`, 'remove one of them')
    paths.set(name, first ?? path)
  }
  return { kind: 'endpoints', backends }
}
