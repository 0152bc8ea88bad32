import type { Problem } from '../../compute/problem.ts'
import type { CheckedResource } from '../../compute/resources.ts'
import { keyOfPath, pathOf } from '../model/resource-paths.ts'
import type { World } from '../model/world.ts'
import type { ResourceKey } from '../store/store.ts'

/** What the users of a backend service have against its protocol: UDP is for forwarding rules, the others for target proxies. */
export function protocolProblems(world: World, key: ResourceKey, candidate: CheckedResource): readonly Problem[] {
  if (candidate.collection !== 'backendServices') return []
  const { source, collection, name, resource } = candidate
  const { protocol } = resource
  const user = world.references.usersOf(pathOf(key)).find((path) => isRule(path) !== (protocol === 'UDP'))
  if (user === undefined) return []
  const rule = `${protocol} is not a protocol of '${user}', which uses the service`
  const remedy = 'make another backend service'
  return [{ source, resource: `${collection}/${name}`, path: 'protocol', code: 'conflict', rule, remedy }]
}

function isRule(path: string): boolean {
  return keyOfPath(path)?.collection === 'forwardingRules'
}
