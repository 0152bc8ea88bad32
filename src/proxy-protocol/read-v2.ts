import { ipv4Address } from '../address/ip-address.ts'
import { crc32c } from './crc32c.ts'
import { readInt32, readIpv6, readUint16 } from './network-order.ts'
import {
  type IncompleteHeader,
  incomplete,
  type MalformedHeader,
  malformed,
  PROXY_V2_START_LENGTH,
  type ProxyHeader,
  type ProxyHeaderLimits,
} from './proxy-header.ts'
import { checkTlvs, copyBytes, findTlv, TLV_START_LENGTH, TLVS_SECOND_CHECKSUM, TLVS_SOUND, TlvType } from './tlv.ts'
import { addressBlockLength, Command, Family, PROXY_V2_SIGNATURE, Transport, UNIX_PATH_LENGTH } from './v2-format.ts'

const COMMAND_AT = 12
const FAMILY_AT = 13
const LENGTH_AT = 14

/** Returns the whole length of the version 2 header at `start`, of which the first 16 bytes have arrived. */
export function proxyV2Length(bytes: Uint8Array, start: number): number {
  return PROXY_V2_START_LENGTH + readUint16(bytes, start + LENGTH_AT)
}

/**
 * Judges the first 16 bytes of a version 2 header; undefined if all are there and sound.
 *
 * Each field is refused with its last byte: signature byte by byte, command at 13, family at 14, length at 16. The
 * family of LOCAL is not looked at (proxy-protocol.txt §2.2: "discard the protocol block including the family").
 */
export function readProxyV2Start(
  bytes: Uint8Array,
  start: number,
  end: number,
  limits: ProxyHeaderLimits,
): IncompleteHeader | MalformedHeader | undefined {
  const available = end - start
  const signatureLength = Math.min(available, COMMAND_AT)
  for (let i = 0; i < signatureLength; i++) {
    if (bytes[start + i] !== PROXY_V2_SIGNATURE[i]) return malformed('not-proxy')
  }
  if (available <= COMMAND_AT) return incomplete(available + 1)

  const versionAndCommand = bytes[start + COMMAND_AT]
  if (versionAndCommand >>> 4 !== 2) return malformed('v2-version')
  const command = versionAndCommand & 15
  if (command > Command.proxy) return malformed('v2-command')
  const isLocal = command === Command.local
  if (available === FAMILY_AT) return incomplete(isLocal ? PROXY_V2_START_LENGTH : FAMILY_AT + 1)

  const family = bytes[start + FAMILY_AT] >>> 4
  const transport = bytes[start + FAMILY_AT] & 15
  if (!isLocal && (family > Family.unix || transport > Transport.dgram)) return malformed('v2-family')
  if (available < PROXY_V2_START_LENGTH) return incomplete(PROXY_V2_START_LENGTH)

  const length = readUint16(bytes, start + LENGTH_AT)
  if (length > limits.v2LengthMax) return malformed('v2-too-long')
  if (!isLocal && transport !== Transport.unspec && length < addressBlockLength(family)) return malformed('v2-length')
  return undefined
}

/**
 * Reads a version 2 header from bytes[start..end) (proxy-protocol.txt §2.2).
 *
 * LOCAL, and PROXY with family or transport unspecified, skip their whole block without a look at it. Otherwise the
 * TLVs are checked as far as they have arrived, and a CRC32C over the whole header once it has.
 */
export function readProxyV2(bytes: Uint8Array, start: number, end: number, limits: ProxyHeaderLimits): ProxyHeader {
  const notStarted = readProxyV2Start(bytes, start, end, limits)
  if (notStarted !== undefined) return notStarted
  const bytesRead = proxyV2Length(bytes, start)
  const family = bytes[start + FAMILY_AT] >>> 4
  const transport = bytes[start + FAMILY_AT] & 15
  const isLocal = (bytes[start + COMMAND_AT] & 15) === Command.local
  if (isLocal || family === Family.unspec || transport === Transport.unspec) {
    if (end - start < bytesRead) return incomplete(bytesRead)
    return { kind: 'local', version: 2, command: isLocal ? 'local' : 'unspec', bytesRead }
  }

  const addressAt = start + PROXY_V2_START_LENGTH
  const tlvStart = addressAt + addressBlockLength(family)
  const tlvEnd = start + bytesRead
  if (tlvStart < tlvEnd) {
    const notYet = readTlvArea(bytes, start, tlvStart, tlvEnd, end)
    if (notYet !== undefined) return notYet
  }
  if (end < tlvEnd) return incomplete(bytesRead)
  return readAddressBlock(bytes, addressAt, family, transport === Transport.stream ? 'stream' : 'dgram', tlvEnd)
}

function readTlvArea(
  bytes: Uint8Array,
  start: number,
  tlvStart: number,
  tlvEnd: number,
  end: number,
): IncompleteHeader | MalformedHeader | undefined {
  const checked = checkTlvs(bytes, tlvStart, tlvEnd, end)
  if (checked > TLVS_SOUND) return incomplete(checked - start)
  if (checked < TLVS_SOUND) return malformed(checked === TLVS_SECOND_CHECKSUM ? 'v2-crc' : 'v2-tlv')
  if (end < tlvEnd) return undefined
  const checksumTlvAt = findTlv(bytes, tlvStart, tlvEnd, TlvType.crc32c)
  if (checksumTlvAt < 0) return undefined
  const checksumAt = checksumTlvAt + TLV_START_LENGTH
  const isRight = crc32c(bytes, start, tlvEnd, checksumAt) === readInt32(bytes, checksumAt)
  return isRight ? undefined : malformed('v2-crc')
}

function readAddressBlock(
  bytes: Uint8Array,
  at: number,
  family: number,
  transport: 'stream' | 'dgram',
  tlvEnd: number,
): ProxyHeader {
  const tlvStart = at + addressBlockLength(family)
  const bytesRead = tlvEnd - at + PROXY_V2_START_LENGTH
  if (family === Family.unix) {
    const source = copyBytes(bytes, at, at + UNIX_PATH_LENGTH)
    const destination = copyBytes(bytes, at + UNIX_PATH_LENGTH, tlvStart)
    return { kind: 'unix', version: 2, transport, source, destination, bytesRead, tlvStart, tlvEnd }
  }
  const isIpv4 = family === Family.inet
  return {
    kind: 'proxied',
    version: 2,
    transport,
    source: {
      address: isIpv4 ? ipv4Address(readInt32(bytes, at)) : readIpv6(bytes, at),
      port: readUint16(bytes, tlvStart - 4),
    },
    destination: {
      address: isIpv4 ? ipv4Address(readInt32(bytes, at + 4)) : readIpv6(bytes, at + 16),
      port: readUint16(bytes, tlvStart - 2),
    },
    bytesRead,
    tlvStart,
    tlvEnd,
  }
}
