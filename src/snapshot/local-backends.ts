import { type AddressClass, classifyAddress } from '../address/address-class.ts'
import { parseIpAddress } from '../address/ip-address.ts'
import type { Problem } from '../compute/problem.ts'
import type { Snapshot } from './snapshot.ts'

/** How an edge, and a controller, is told to take them. */
const REMEDY = 'give the address of another host, or start the edge, and its controller, with --allow-local-backends'

/** Addresses that lead to the edge's own host, as a connection to 0.0.0.0 or :: does, or to what only its own link reaches, such as a cloud's metadata server. */
export const LOCAL: ReadonlySet<AddressClass> = new Set(['unspecified', 'loopback', 'link-local'])
/** The same for an edge whose operator writes its file: what listens on loopback is his own. */
export const LINK_LOCAL: ReadonlySet<AddressClass> = new Set(['link-local'])

/**
 * Why clients must not be led to this address unless the operator of the edge allows it; undefined: they may be. Nothing
 * is said of a text that is not an address.
 */
export function localBackendRule(text: string, refused = LOCAL): { rule: string; remedy: string } | undefined {
  const address = parseIpAddress(text)
  const addressClass = address && classifyAddress(address)
  if (addressClass === undefined || !refused.has(addressClass)) return undefined
  const where = addressClass === 'link-local' ? "what only the edge's own link reaches" : "the edge's own host"
  return { rule: `of the class "${addressClass}", which leads to ${where}`, remedy: REMEDY }
}

/** The services of a snapshot with such backends; one problem for each address. */
export function localBackendProblems({ services }: Snapshot, refused = LOCAL): Problem[] {
  return services.flatMap(({ name, groups }) => {
    const addresses = new Set(groups.flatMap(({ backends }) => backends.map(({ address }) => address)))
    return [...addresses].flatMap((address) => {
      const found = localBackendRule(address, refused)
      if (found === undefined) return []
      const rule = `the backend "${address}" is ${found.rule}`
      return { source: '', resource: `backendServices/${name}`, path: '', code: 'invalid', rule, remedy: found.remedy }
    })
  })
}
