import { TLV_START_LENGTH, type Tlv } from './tlv.ts'

/** Returns how many bytes TLVs take up when written. */
export function tlvsLength(tlvs: readonly Tlv[]): number {
  let length = 0
  for (const tlv of tlvs) length += TLV_START_LENGTH + tlv.value.length
  return length
}

/** Writes TLVs into `target` from `offset` on and returns the number of bytes written; no value has more than 65535. */
export function writeTlvs(target: Uint8Array, offset: number, tlvs: readonly Tlv[]): number {
  let at = offset
  for (const { type, value } of tlvs) {
    target[at] = type
    target[at + 1] = value.length >>> 8
    target[at + 2] = value.length
    target.set(value, at + TLV_START_LENGTH)
    at += TLV_START_LENGTH + value.length
  }
  return at - offset
}

/** Returns new bytes: `start`, then the TLVs; a value of more than 65535 bytes is a RangeError. */
export function concatTlvs(start: Uint8Array, tlvs: readonly Tlv[]): Uint8Array {
  for (const { value } of tlvs) {
    if (value.length > 0xffff) throw new RangeError(`A TLV value has ${value.length} of 65535 bytes at most`)
  }
  const bytes = new Uint8Array(start.length + tlvsLength(tlvs))
  bytes.set(start)
  writeTlvs(bytes, start.length, tlvs)
  return bytes
}
