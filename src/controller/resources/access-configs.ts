import { type Mapping, mappingsOf } from '../../compute/json-value.ts'
import type { Call, ResourceChange } from '../methods/call.ts'
import { ApiError, invalidField, shown } from '../model/api-error.ts'
import { pathOf } from '../model/resource-paths.ts'
import type { StoredResource } from '../store/store.ts'
import { replaceResource } from './write-resource.ts'

/** Makes the change of `instances.addAccessConfig`: as with Google, an interface has one at most. */
export function addAccessConfig(call: Call, stored: StoredResource, body: Mapping): ResourceChange {
  const index = interfaceIndex(call, stored)
  const [present] = configsOf(stored, index)
  if (present === undefined) return withConfigs(call, stored, index, [body])
  const message = `At most one access config is supported for each network interface; delete '${shown(String(present.name))}' first`
  throw new ApiError(400, { message, reason: 'invalid' })
}

/** Makes the change of `instances.deleteAccessConfig`. */
export function deleteAccessConfig(call: Call, stored: StoredResource): ResourceChange {
  const index = interfaceIndex(call, stored)
  const name = parameter(call, 'accessConfig')
  const configs = configsOf(stored, index)
  const others = configs.filter((config) => config.name !== name)
  if (others.length < configs.length) return withConfigs(call, stored, index, others)
  const names = configs.map((config) => String(config.name)).join(', ')
  throw invalidField('accessConfig', name, `There is ${names === '' ? 'none' : `only ${shown(names)}`}`)
}

function interfaceIndex(call: Call, stored: StoredResource): number {
  const name = parameter(call, 'networkInterface')
  const index = interfacesOf(stored).findIndex((one) => one.name === name)
  if (index < 0) throw invalidField('networkInterface', name, `'${pathOf(stored)}' has none of this name; give nic0`)
  return index
}

function parameter({ request }: Call, name: string): string {
  const value = request.query.get(name) ?? ''
  if (value !== '') return value
  throw new ApiError(400, { message: `Required field '${name}' not specified`, reason: 'required' })
}

function interfacesOf({ resource }: StoredResource): readonly Mapping[] {
  return resource.networkInterfaces as readonly Mapping[]
}

/** Whatever an instance was made with is kept as it was given. */
function configsOf(stored: StoredResource, index: number): readonly Mapping[] {
  const { accessConfigs } = interfacesOf(stored)[index]
  return mappingsOf(accessConfigs)
}

function withConfigs(
  call: Call,
  stored: StoredResource,
  index: number,
  accessConfigs: readonly Mapping[],
): ResourceChange {
  const networkInterfaces = interfacesOf(stored).map((one, at) => {
    if (at !== index) return one
    const { accessConfigs: _, ...rest } = one
    return accessConfigs.length === 0 ? rest : { ...rest, accessConfigs }
  })
  return replaceResource(call, stored, { ...stored.resource, networkInterfaces })
}
