import type { Endpoint } from '../address/endpoint.ts'
import { parseIpAddress } from '../address/ip-address.ts'
import type { Frontend } from './snapshot.ts'

/** Where a frontend listens. */
export function frontendEndpoint({ name, address, port }: Pick<Frontend, 'name' | 'address' | 'port'>): Endpoint {
  const parsed = parseIpAddress(address)
  // The snapshot's compiler has checked every address.
  if (parsed === undefined) throw new Error(`The address of frontend "${name}" is "${address}"`)
  return { address: parsed, port }
}
