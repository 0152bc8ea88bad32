/** The registered TLV types (proxy-protocol.txt §2.2) and those of the vendors whose content is known. */
export const TlvType = {
  alpn: 0x01,
  authority: 0x02,
  crc32c: 0x03,
  noop: 0x04,
  uniqueId: 0x05,
  ssl: 0x20,
  networkNamespace: 0x30,
  /** Google Cloud Private Service Connect. */
  gcp: 0xe0,
  /** Amazon Web Services. */
  aws: 0xea,
  /** Microsoft Azure Private Link. */
  azure: 0xee,
} as const

/** The length of a TLV's type and length fields. */
export const TLV_START_LENGTH = 3
/** The length of a CRC32C value. */
export const CRC32C_LENGTH = 4
/** The longest UNIQUE_ID (§2.2.5). */
export const UNIQUE_ID_LENGTH_MAX = 128
/** The length of the fields of an SSL value before its own TLVs: client u8, verify u32 (§2.2.6). */
export const SSL_START_LENGTH = 5

/** One type-length-value vector: a type from 0 to 255 and up to 65535 bytes. */
export type Tlv = { readonly type: number; readonly value: Uint8Array }

/** `checkTlvs`: every TLV is well formed. */
export const TLVS_SOUND = 0
/** `checkTlvs`: a TLV does not fit, or its value has a length that its type cannot have. */
export const TLVS_WRONG = -1
/** `checkTlvs`: there is a second CRC32C, which the specification gives no meaning. */
export const TLVS_SECOND_CHECKSUM = -2

/**
 * Checks the TLV area bytes[from..to), of which the bytes before `availableEnd` have arrived.
 *
 * Returns TLVS_SOUND, TLVS_WRONG, TLVS_SECOND_CHECKSUM, or the index up to which bytes are needed to go on, which is
 * positive. Looks at type and length once both are there, steps over values that are not, and looks inside SSL.
 */
export function checkTlvs(bytes: Uint8Array, from: number, to: number, availableEnd: number): number {
  let hasChecksum = false
  for (let at = from; at < to; ) {
    const valueAt = at + TLV_START_LENGTH
    if (valueAt > to) return TLVS_WRONG
    if (valueAt > availableEnd) return valueAt
    const type = bytes[at]
    const valueEnd = tlvEndAt(bytes, at)
    const length = valueEnd - valueAt
    if (valueEnd > to) return TLVS_WRONG
    if (type === TlvType.crc32c) {
      if (length !== CRC32C_LENGTH) return TLVS_WRONG
      if (hasChecksum) return TLVS_SECOND_CHECKSUM
      hasChecksum = true
    }
    if (type === TlvType.uniqueId && length > UNIQUE_ID_LENGTH_MAX) return TLVS_WRONG
    if (type === TlvType.ssl) {
      if (length < SSL_START_LENGTH) return TLVS_WRONG
      const inner = checkSslTlvs(bytes, valueAt + SSL_START_LENGTH, valueEnd, availableEnd)
      if (inner !== TLVS_SOUND) return inner
    }
    at = valueEnd
  }
  return TLVS_SOUND
}

/** As `checkTlvs`, for the TLVs inside an SSL value: none of them has a length of its own to keep. */
function checkSslTlvs(bytes: Uint8Array, from: number, to: number, availableEnd: number): number {
  for (let at = from; at < to; at = tlvEndAt(bytes, at)) {
    if (at + TLV_START_LENGTH > to) return TLVS_WRONG
    if (at + TLV_START_LENGTH > availableEnd) return at + TLV_START_LENGTH
    if (tlvEndAt(bytes, at) > to) return TLVS_WRONG
  }
  return TLVS_SOUND
}

/** Returns the index of the first TLV of `type` in the TLV area bytes[from..to), or -1. */
export function findTlv(bytes: Uint8Array, from: number, to: number, type: number): number {
  for (let at = from; at + TLV_START_LENGTH <= to; at = tlvEndAt(bytes, at)) if (bytes[at] === type) return at
  return -1
}

/**
 * Reads the TLVs of bytes[tlvStart..tlvEnd), in order, duplicates included; each value is a copy.
 *
 * For the area of a 'proxied' or 'unix' header that is all of them. For bytes that nobody has checked, such as the block
 * of a LOCAL header, it ends before the first TLV that does not fit; it never throws.
 */
export function readTlvs(bytes: Uint8Array, tlvStart: number, tlvEnd: number): Tlv[] {
  const tlvs: Tlv[] = []
  for (let at = tlvStart; at + TLV_START_LENGTH <= tlvEnd; ) {
    const valueEnd = tlvEndAt(bytes, at)
    if (valueEnd > tlvEnd) break
    tlvs.push({ type: bytes[at], value: copyBytes(bytes, at + TLV_START_LENGTH, valueEnd) })
    at = valueEnd
  }
  return tlvs
}

/** Returns the value of the first TLV of `type`: where a type is there twice, the first one counts. */
export function firstTlvValue(tlvs: readonly Tlv[], type: number): Uint8Array | undefined {
  for (const tlv of tlvs) if (tlv.type === type) return tlv.value
  return undefined
}

/** Returns the checksum that the header carries, as an unsigned 32-bit number; the header's reader has verified it. */
export function readChecksum(tlvs: readonly Tlv[]): number | undefined {
  const value = firstTlvValue(tlvs, TlvType.crc32c)
  if (value?.length !== CRC32C_LENGTH) return undefined
  return ((value[0] << 24) | (value[1] << 16) | (value[2] << 8) | value[3]) >>> 0
}

/** Returns the sender's identifier of the connection, up to 128 bytes of any kind: escape it before it is shown. */
export function readUniqueId(tlvs: readonly Tlv[]): Uint8Array | undefined {
  const value = firstTlvValue(tlvs, TlvType.uniqueId)
  return value === undefined || value.length > UNIQUE_ID_LENGTH_MAX ? undefined : value
}

/** Makes a UNIQUE_ID TLV; more than 128 bytes is a RangeError. */
export function uniqueIdTlv(value: Uint8Array): Tlv {
  if (value.length > UNIQUE_ID_LENGTH_MAX) throw new RangeError(`A unique id has ${value.length} of 128 bytes at most`)
  return { type: TlvType.uniqueId, value }
}

/** Returns how many bytes of the header are padding: the NOOP TLVs, their type and length fields included. */
export function countPaddingBytes(tlvs: readonly Tlv[]): number {
  let byteCount = 0
  for (const tlv of tlvs) if (tlv.type === TlvType.noop) byteCount += TLV_START_LENGTH + tlv.value.length
  return byteCount
}

/** Makes a NOOP TLV that takes up `byteCount` bytes in all; fewer than 3 is a RangeError. */
export function noopTlv(byteCount: number): Tlv {
  return { type: TlvType.noop, value: new Uint8Array(byteCount - TLV_START_LENGTH) }
}

/** Copies bytes[from..to); Buffer's own slice() does not copy. */
export function copyBytes(bytes: Uint8Array, from: number, to: number): Uint8Array {
  const copy = new Uint8Array(to - from)
  copy.set(bytes.subarray(from, to))
  return copy
}

/** The index after the TLV at `at`, as its length field says. */
function tlvEndAt(bytes: Uint8Array, at: number): number {
  return at + TLV_START_LENGTH + ((bytes[at + 1] << 8) | bytes[at + 2])
}
