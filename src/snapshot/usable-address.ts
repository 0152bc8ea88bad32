import { type AddressClass, classifyAddress } from '../address/address-class.ts'
import { type IpAddress, parseIpAddress, unmapAddress } from '../address/ip-address.ts'

/** An address that a connection can go to, IPv4-mapped ones as IPv4; or why it is none. */
export type UsableAddress =
  | { readonly kind: 'usable'; readonly address: IpAddress }
  | { readonly kind: 'unusable'; readonly why: string }

/** Reads an address of a backend: a socket has to be able to connect to it. */
export function readBackendAddress(text: string): UsableAddress {
  return readAddress(text, ['unspecified', 'multicast', 'broadcast'])
}

/** Reads an address of a frontend: a socket has to be able to listen on it, also on every address of the host. */
export function readFrontendAddress(text: string): UsableAddress {
  return readAddress(text, ['multicast', 'broadcast'])
}

function readAddress(text: string, refused: readonly AddressClass[]): UsableAddress {
  const parsed = parseIpAddress(text)
  if (parsed === undefined) return { kind: 'unusable', why: 'neither an IPv4 nor an IPv6 address' }
  const addressClass = classifyAddress(parsed)
  if (refused.includes(addressClass)) return { kind: 'unusable', why: `of the class "${addressClass}"` }
  return { kind: 'usable', address: unmapAddress(parsed) }
}
