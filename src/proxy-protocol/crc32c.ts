/** CRC-32C (Castagnoli): the polynomial 0x1EDC6F41 with its bits reflected (RFC 4960 Appendix B). */
const REFLECTED_POLYNOMIAL = 0x82f63b78

const TABLE = new Int32Array(256)
for (let byte = 0; byte < 256; byte++) {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) {
    remainder = (remainder & 1) === 0 ? remainder >>> 1 : (remainder >>> 1) ^ REFLECTED_POLYNOMIAL
  }
  TABLE[byte] = remainder
}

/**
 * Returns the CRC-32C of bytes[start..end), as a signed 32-bit integer, with the four bytes at `zeroedAt` taken as 0.
 *
 * That is the checksum of a PROXY header whose CRC32C field is at `zeroedAt` (proxy-protocol.txt §2.2.3). Without
 * `zeroedAt` every byte counts as it is.
 */
export function crc32c(bytes: Uint8Array, start: number, end: number, zeroedAt: number = end): number {
  let crc = -1
  for (let i = start; i < end; i++) {
    const byte = i >= zeroedAt && i < zeroedAt + 4 ? 0 : bytes[i]
    crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8)
  }
  return ~crc
}

/** The CRC-32C of what `crc` is that of (0: of nothing) and of `bytes` behind it, as a signed 32-bit integer. */
export function continueCrc32c(crc: number, bytes: Uint8Array): number {
  let remainder = ~crc
  for (let i = 0; i < bytes.length; i++) remainder = TABLE[(remainder ^ bytes[i]) & 0xff] ^ (remainder >>> 8)
  return ~remainder
}
