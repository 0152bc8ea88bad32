import type { Snapshot } from '../../snapshot/snapshot.ts'
import { socketOf } from '../../snapshot/socket-of.ts'
import type { Assignment } from './assigned-addresses.ts'
import { addressesOf, type UnopenedFrontend } from './frontends.ts'

/** The frontends of a snapshot whose addresses are not put on this host. */
export function frontendsAt(refused: Assignment['refused'], { frontends }: Snapshot): readonly UnopenedFrontend[] {
  if (refused.size === 0) return []
  return frontends.flatMap((frontend) => {
    const [address] = addressesOf([frontend])
    const reason = refused.get(address)
    return reason === undefined ? [] : { frontend, problem: `Forwarding rule "${frontend.name}": ${reason}` }
  })
}

/** A snapshot without some of its frontends. */
export function without(snapshot: Snapshot, unopened: readonly UnopenedFrontend[]): Snapshot {
  if (unopened.length === 0) return snapshot
  const left = new Set(unopened.map(({ frontend }) => frontend))
  return { ...snapshot, frontends: snapshot.frontends.filter((frontend) => !left.has(frontend)) }
}

/** A snapshot with the frontends of another one, too, each protocol, address and port once. */
export function mergedFrontends(snapshot: Snapshot, other: Snapshot): Snapshot {
  const all = [...snapshot.frontends, ...other.frontends]
  const byKey = new Map(all.map((frontend) => [socketOf(frontend), frontend]))
  return { ...snapshot, frontends: [...byKey.values()] }
}
