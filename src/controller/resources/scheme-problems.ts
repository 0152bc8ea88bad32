import type { Problem } from '../../compute/problem.ts'
import type { CheckedResource } from '../../compute/resources.ts'
import { findMixedSchemes } from '../../snapshot/schemes.ts'
import { linksOf } from '../model/reference-index.ts'
import { keyOfPath, pathOf } from '../model/resource-paths.ts'
import type { World } from '../model/world.ts'
import type { ResourceKey } from '../store/store.ts'
import { checkedOf } from './problems-in-context.ts'

const BETWEEN = ['targetTcpProxies', 'targetSslProxies']

/** What forwarding rules that lead to a changed proxy or service have against its scheme; rules see it for themselves. */
export function schemeProblems(world: World, key: ResourceKey, candidate: CheckedResource): readonly Problem[] {
  const { store, references } = world
  const isProxy = BETWEEN.includes(candidate.collection)
  if (!isProxy && candidate.collection !== 'backendServices') return []
  const own = pathOf(key)
  const proxies = isProxy ? [own] : references.usersOf(own)
  const services = isProxy ? linksOf(candidate, candidate.resource as Readonly<Record<string, unknown>>) : []
  const paths = new Set([...services, ...proxies, ...proxies.flatMap((path) => references.usersOf(path))])
  paths.delete(own)
  const others = [...paths].flatMap((path) => {
    const { project = '', collection = '', scope = '', name = '' } = keyOfPath(path) ?? {}
    const stored = store.get(project, collection, scope, name)
    return (stored && checkedOf(stored)) ?? []
  })
  return findMixedSchemes([candidate, ...others], candidate).map(({ problem }) => problem)
}
