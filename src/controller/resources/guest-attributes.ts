import type { Mapping } from '../../compute/json-value.ts'
import type { Call } from '../methods/call.ts'
import { notFound } from '../model/api-error.ts'
import { pathOf, urlOf } from '../model/resource-paths.ts'
import type { StoredResource } from '../store/store.ts'

/**
 * Answers `instances.getGuestAttributes`: what the machine of an instance has written, at `NAMESPACE/KEY`, in `NAMESPACE/`,
 * or all of it. Existing hosts write nothing here.
 */
export function guestAttributes({ world, request }: Call, instance: StoredResource): Mapping {
  const path = pathOf(instance)
  const written = world.machines?.guestAttributes(path) ?? new Map<string, ReadonlyMap<string, string>>()
  const variableKey = request.query.get('variableKey') ?? ''
  const queryPath = variableKey === '' ? (request.query.get('queryPath') ?? '') : variableKey
  const [namespace = '', key = ''] = queryPath.split('/')
  const items = [...written].flatMap(([name, values]) => {
    if (namespace !== '' && name !== namespace) return []
    const found = [...values].filter(([one]) => key === '' || one === key)
    return found.map(([one, value]) => ({ namespace: name, key: one, value }))
  })
  const [first] = items
  if (first === undefined) throw notFound(`${path}/guestAttributes/${queryPath}`)
  const selfLink = urlOf(request.baseUrl, `${path}/guestAttributes/${queryPath}`)
  const answer = { kind: 'compute#guestAttributes', selfLink }
  if (variableKey !== '') return { ...answer, variableKey, variableValue: first.value }
  return { ...answer, queryPath, queryValue: { items } }
}
