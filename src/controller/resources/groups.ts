import type { Mapping } from '../../compute/json-value.ts'
import { parseReference } from '../../compute/reference.ts'
import { localBackendRule } from '../../snapshot/local-backends.ts'
import type { Call } from '../methods/call.ts'
import { invalidField } from '../model/api-error.ts'
import { pathOf, storedAt } from '../model/resource-paths.ts'
import type { World } from '../model/world.ts'
import type { Change, StoredResource } from '../store/store.ts'
import type { Behaviour, Draft } from './behaviour.ts'
import { putFields } from './stored-form.ts'

/** Instance groups: members of the network that the first of them is in. */
export const instanceGroups: Behaviour = { complete: completeInstanceGroup }

/** Network endpoint groups: an endpoint may be given by its instance alone. */
export const networkEndpointGroups: Behaviour = {
  prepare: (body, call, key) => ({ ...body, ...withInstanceAddresses(body, call, key.scope) }),
  complete: ({ key, fields }, { world }, stored) => {
    refuseLocalEndpoints(world, fields, stored)
    fields.network ??= defaultNetwork(key.project)
    fields.size = (fields.networkEndpoints as readonly unknown[]).length
  },
}

/** `networkEndpoints` of a body, with the addresses of their instances where none are given. */
export function withInstanceAddresses(body: Mapping, { world, route }: Call, scope: string): Mapping {
  const { networkEndpoints } = body
  if (!Array.isArray(networkEndpoints)) return {}
  const completed = networkEndpoints.map((endpoint: unknown) => {
    const { ipAddress, instance } = (endpoint ?? {}) as Mapping
    const name = typeof instance === 'string' ? parseReference(instance)?.name : undefined
    if (name === undefined || (typeof ipAddress === 'string' && ipAddress !== '')) return endpoint
    const stored = world.store.get(route.project, 'instances', scope, name)
    const [first] = (stored?.resource.networkInterfaces ?? []) as readonly Mapping[]
    return { ...(endpoint as Mapping), ipAddress: first?.networkIP }
  })
  return { networkEndpoints: completed }
}

/** The changes of the groups that an instance is taken out of before it is deleted. */
export function membersWithout({ world }: Call, instance: StoredResource, users: readonly string[]): readonly Change[] {
  const path = pathOf(instance)
  return users.flatMap((user) => {
    const group = storedAt(world.store, user)
    if (group === undefined) return []
    const { instances, networkEndpoints } = group.resource as Mapping
    const isOfInstances = Array.isArray(instances)
    const list = (isOfInstances ? instances : networkEndpoints) as readonly unknown[]
    const rest = list.filter((item) => (isOfInstances ? item : (item as Mapping).instance) !== path)
    const field = isOfInstances ? 'instances' : 'networkEndpoints'
    return [putFields(group, { ...group.resource, [field]: rest, size: rest.length })]
  })
}

/** @throws ApiError where clients would be led to the edges' own hosts, unless the operator of the controller allows it */
export function refuseLocalBackend({ allowsLocalBackends = false }: World, field: string, address: string): void {
  const found = allowsLocalBackends ? undefined : localBackendRule(address)
  if (found !== undefined) throw invalidField(field, address, `It is ${found.rule}; ${found.remedy}`)
}

/** Those that are stored stay: an older controller took them. */
function refuseLocalEndpoints(world: World, fields: Draft['fields'], stored: StoredResource | undefined): void {
  const known = new Set(addressesIn(stored?.resource.networkEndpoints))
  for (const [index, address] of addressesIn(fields.networkEndpoints).entries()) {
    if (!known.has(address)) refuseLocalBackend(world, `resource.networkEndpoints[${index}].ipAddress`, address)
  }
}

function addressesIn(endpoints: unknown): readonly string[] {
  return ((endpoints ?? []) as readonly Mapping[]).map(({ ipAddress }) => String(ipAddress))
}

function completeInstanceGroup({ key, fields }: Draft): void {
  const members = fields.instances as readonly unknown[]
  if (members.length > 0) fields.network ??= defaultNetwork(key.project)
  fields.size = members.length
}

function defaultNetwork(project: string): string {
  return `projects/${project}/global/networks/default`
}
