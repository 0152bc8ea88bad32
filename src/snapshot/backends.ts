import { quoted } from '../compute/problem.ts'
import type { ResourceOf } from '../compute/resources.ts'
import { compareTexts } from '../text/compare-texts.ts'
import type { Compilation } from './compilation.ts'
import type { Group, GroupResource } from './groups.ts'
import { resolve } from './resolve.ts'
import type { ResourceIn } from './resource-index.ts'
import type { Backend, BackendGroup, Balancing } from './snapshot.ts'

/** Google's limit of instance groups and network endpoint groups in one backend service. */
const GROUPS_MAX = 50
/** Names of ports that a message lists. */
const NAMES_MAX = 5

type BackendEntry = ResourceOf<'backendServices'>['backends'][number]

/** Compiles the groups of a service, by name. */
export function compileBackends(
  compilation: Compilation,
  service: ResourceIn<'backendServices'>,
  groups: ReadonlyMap<GroupResource, Group>,
): readonly BackendGroup[] {
  const { backends } = service.resource
  if (backends.length > GROUPS_MAX) {
    const rule = `${backends.length} groups are more than ${GROUPS_MAX}`
    compilation.report(service, 'backends', 'invalid', rule, 'put their members into fewer groups')
  }
  const compiled: BackendGroup[] = []
  for (const { index, entry, path, group } of findGroups(compilation, service, groups)) {
    const { name, region, zone, members } = group
    const balancing = compileBalancing(compilation, service, path, entry, members)
    const backends = servingBackends(compilation, { service, index }, path, group)
    compiled.push({
      name,
      region,
      zone,
      isPreferred: entry.preference === 'PREFERRED',
      balancing,
      backends: backends.toSorted((a, b) => compareTexts(a.name, b.name)),
    })
  }
  return compiled.toSorted((a, b) => compareTexts(a.name, b.name))
}

type UsedGroup = { readonly index: number; readonly entry: BackendEntry; readonly path: string; readonly group: Group }

/** The groups that are there, each once. */
function findGroups(
  compilation: Compilation,
  service: ResourceIn<'backendServices'>,
  groups: ReadonlyMap<GroupResource, Group>,
): readonly UsedGroup[] {
  const used = new Map<string, UsedGroup>()
  for (const [index, entry] of service.resource.backends.entries()) {
    const path = `backends[${index}]`
    const collections = ['instanceGroups', 'networkEndpointGroups'] as const
    const resource = resolve(compilation, service, { path: `${path}.group`, text: entry.group, collections })
    const group = resource && groups.get(resource)
    if (group === undefined) continue
    const first = used.get(group.name)
    if (first === undefined) used.set(group.name, { index, entry, path, group })
    else if (first.group === group) {
      compilation.report(service, `${path}.group`, 'conflict', `it is the group of ${first.path}`, 'remove one of them')
    } else {
      const rule = `the group of ${first.path} has the same zone and name, but is of another kind`
      compilation.report(service, `${path}.group`, 'conflict', rule, 'rename one of the two groups')
    }
  }
  return [...used.values()]
}

function compileBalancing(
  { report }: Compilation,
  service: ResourceIn<'backendServices'>,
  path: string,
  entry: BackendEntry,
  members: Group['members'],
): Balancing {
  const { balancingMode: mode, maxUtilization, maxConnectionsPerInstance, maxConnectionsPerEndpoint } = entry
  const isOfInstances = members.kind === 'instances'
  if (mode === 'UTILIZATION' && !isOfInstances) {
    const rule = 'UTILIZATION is only for instance groups'
    report(service, `${path}.balancingMode`, 'invalid', rule, 'give CONNECTION and maxConnectionsPerEndpoint')
  }
  if (isOfInstances && maxConnectionsPerEndpoint !== undefined) {
    const field = 'maxConnectionsPerEndpoint'
    report(service, `${path}.${field}`, 'invalid', 'the group is an instance group', 'give maxConnectionsPerInstance')
  }
  if (!isOfInstances && maxConnectionsPerInstance !== undefined) {
    const field = 'maxConnectionsPerInstance'
    report(
      service,
      `${path}.${field}`,
      'invalid',
      'the group is a network endpoint group',
      'give maxConnectionsPerEndpoint',
    )
  }
  const perMember = isOfInstances ? maxConnectionsPerInstance : maxConnectionsPerEndpoint
  const memberCount = isOfInstances ? members.instances.length : members.backends.length
  const maxConnections = perMember === undefined ? entry.maxConnections : perMember * memberCount
  // Google takes a utilization with CONNECTION, too, and does not look at it.
  const utilization = mode === 'UTILIZATION' ? maxUtilization : undefined
  return { mode, maxUtilization: utilization, maxConnections, capacityScaler: entry.capacityScaler }
}

/** The endpoints of a group; of an instance group those on the port that the service names. */
function servingBackends(
  { reportBackend }: Compilation,
  backend: { readonly service: ResourceIn<'backendServices'>; readonly index: number },
  path: string,
  { members, place }: Group,
): readonly Backend[] {
  if (members.kind === 'endpoints') return members.backends
  const { portName } = backend.service.resource
  if (portName === undefined) {
    const rule = `no portName is given, and ${path}.group, ${place}, has ${describeNames(members.namedPorts)}`
    reportBackend(backend, 'portName', 'required', rule, 'give the name of the port in each instance group')
    return []
  }
  const ports = members.namedPorts.get(portName)
  if (ports === undefined) {
    const rule = `${place} has no named port ${quoted(portName)}, but ${describeNames(members.namedPorts)}`
    reportBackend(
      backend,
      `${path}.group`,
      'notFound',
      rule,
      'add it to namedPorts of the group, or give another portName',
    )
    return []
  }
  return members.instances.flatMap(({ name, address }) =>
    [...ports].map((port) => ({ name: ports.size > 1 ? `${name}:${port}` : name, address, port })),
  )
}

function describeNames(namedPorts: ReadonlyMap<string, unknown>): string {
  const names = [...namedPorts.keys()].toSorted(compareTexts)
  if (names.length === 0) return 'no named ports'
  const more = names.length > NAMES_MAX ? ` and ${names.length - NAMES_MAX} more` : ''
  return `the named ports ${names.slice(0, NAMES_MAX).map(quoted).join(', ')}${more}`
}
