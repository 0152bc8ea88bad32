import type { IpAddress } from '../address/ip-address.ts'

/** What the network interfaces of Google's machines have; larger packets are split. */
export const INTERFACE_MTU = 1_460

/**
 * As Google makes it of an interface's internal IPv4 address: `42:01:` and its four bytes. Google's guest agent knows
 * interfaces by that.
 */
export function macOf({ w3 }: IpAddress): string {
  const bytes = [24, 16, 8, 0].map((shift) => ((w3 >>> shift) & 0xff).toString(16).padStart(2, '0'))
  return ['42', '01', ...bytes].join(':')
}
