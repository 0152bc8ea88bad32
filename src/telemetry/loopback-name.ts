import { classifyAddress } from '../address/address-class.ts'
import { parseIpAddress } from '../address/ip-address.ts'

/**
 * Says whether the Host of a request names this very host. A page of another site can make a browser ask a server on
 * loopback by a name of its own that was made to lead there (DNS rebinding).
 */
export function isLoopbackName(host: string): boolean {
  const name = host.replace(/:\d+$/, '').toLowerCase()
  // RFC 6761 §6.3
  if (name === 'localhost' || name.endsWith('.localhost')) return true
  const address = parseIpAddress(name.replace(/^\[(.*)\]$/, '$1'))
  return address !== undefined && classifyAddress(address) === 'loopback'
}
