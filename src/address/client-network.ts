import { type IpAddress, isMappedAddress } from './ip-address.ts'

// What is one client: an IPv4 address, or a network /64 of IPv6, since that much is everybody's own. Two words name it,
// so that nothing has to be made to tell clients apart.

/** The first word of the name of a client. */
export function clientHigh(address: IpAddress): number {
  return isIpv4(address) ? 4 : address.w0
}

/** The second word of the name of a client. */
export function clientLow(address: IpAddress): number {
  return isIpv4(address) ? address.w3 : address.w1
}

function isIpv4(address: IpAddress): boolean {
  return address.family === 4 || isMappedAddress(address)
}
