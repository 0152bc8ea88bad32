// Numbers and addresses as they are on the wire: the highest byte first.

import { type IpAddress, ipv6Address } from '../address/ip-address.ts'

export function readUint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1]
}

export function readInt32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
}

export function readIpv6(bytes: Uint8Array, at: number): IpAddress {
  return ipv6Address(
    readInt32(bytes, at),
    readInt32(bytes, at + 4),
    readInt32(bytes, at + 8),
    readInt32(bytes, at + 12),
  )
}

export function writeUint16(target: Uint8Array, at: number, value: number): void {
  target[at] = value >>> 8
  target[at + 1] = value
}

export function writeInt32(target: Uint8Array, at: number, value: number): void {
  target[at] = value >>> 24
  target[at + 1] = value >>> 16
  target[at + 2] = value >>> 8
  target[at + 3] = value
}

/** Writes an address in 16 bytes: that of IPv4 in the form ::ffff:a.b.c.d. */
export function writeIpv6(target: Uint8Array, at: number, address: IpAddress): void {
  writeInt32(target, at, address.w0)
  writeInt32(target, at + 4, address.w1)
  writeInt32(target, at + 8, address.family === 4 ? 0xffff : address.w2)
  writeInt32(target, at + 12, address.w3)
}
