import type { Endpoint } from '../address/endpoint.ts'
import type { IpAddress } from '../address/ip-address.ts'
import { crc32c } from './crc32c.ts'
import { writeInt32, writeIpv6, writeUint16 } from './network-order.ts'
import { PROXY_V2_START_LENGTH } from './proxy-header.ts'
import { CRC32C_LENGTH, TLV_START_LENGTH, type Tlv, TlvType } from './tlv.ts'
import { addressBlockLength, Command, Family, PROXY_V2_SIGNATURE, Transport, UNIX_PATH_LENGTH } from './v2-format.ts'
import { tlvsLength, writeTlvs } from './write-tlvs.ts'

const CHECKSUM_TLV_LENGTH = TLV_START_LENGTH + CRC32C_LENGTH

/**
 * What a version 2 header carries besides addresses.
 *
 * `tlvs` are written in order; a CRC32C among them is left out, since only the writer can know it. `hasChecksum` puts
 * one first. `transport` is 'stream' unless said otherwise.
 */
export type ProxyV2Options = {
  readonly transport?: 'stream' | 'dgram'
  readonly tlvs?: readonly Tlv[]
  readonly hasChecksum?: boolean
}

const PLAIN: ProxyV2Options = {}
const NO_TLVS: readonly Tlv[] = []

/**
 * Writes a version 2 header for two IP endpoints into `target` from `offset` on and returns its length (§2.2).
 *
 * IPv4 if both addresses are, IPv6 otherwise, with an IPv4 address beside an IPv6 one written as ::ffff:a.b.c.d. A
 * header that does not fit into `target`, or is longer than the format allows, is a RangeError and nothing is written.
 * That holds for all writers of this file.
 */
export function writeProxyV2(
  target: Uint8Array,
  offset: number,
  source: Endpoint,
  destination: Endpoint,
  options: ProxyV2Options = PLAIN,
): number {
  const isIpv4 = source.address.family === 4 && destination.address.family === 4
  const family = isIpv4 ? Family.inet : Family.inet6
  const length = writeStart(target, offset, Command.proxy, family, options)
  const at = offset + PROXY_V2_START_LENGTH
  const addressLength = isIpv4 ? 4 : 16
  const writeAddress = isIpv4 ? writeIpv4 : writeIpv6
  writeAddress(target, at, source.address)
  writeAddress(target, at + addressLength, destination.address)
  writeUint16(target, at + 2 * addressLength, source.port)
  writeUint16(target, at + 2 * addressLength + 2, destination.port)
  writeTlvArea(target, offset, family, length, options)
  return length
}

/**
 * Writes a version 2 header for two UNIX sockets and returns its length.
 *
 * A path has at most 108 bytes and is filled up with zeros; a longer one is a RangeError.
 */
export function writeProxyV2Unix(
  target: Uint8Array,
  offset: number,
  source: Uint8Array,
  destination: Uint8Array,
  options: ProxyV2Options = PLAIN,
): number {
  if (source.length > UNIX_PATH_LENGTH || destination.length > UNIX_PATH_LENGTH) {
    throw new RangeError(`A UNIX path has more than ${UNIX_PATH_LENGTH} bytes`)
  }
  const length = writeStart(target, offset, Command.proxy, Family.unix, options)
  const at = offset + PROXY_V2_START_LENGTH
  target.fill(0, at, at + 2 * UNIX_PATH_LENGTH)
  target.set(source, at)
  target.set(destination, at + UNIX_PATH_LENGTH)
  writeTlvArea(target, offset, Family.unix, length, options)
  return length
}

/** Writes a version 2 LOCAL header and returns its length: the connection is the sender's own. */
export function writeProxyV2Local(target: Uint8Array, offset: number, options: ProxyV2Options = PLAIN): number {
  const length = writeStart(target, offset, Command.local, Family.unspec, options)
  writeTlvArea(target, offset, Family.unspec, length, options)
  return length
}

/** Writes a version 2 PROXY header without addresses and returns its length: the sender cannot say who the client is. */
export function writeProxyV2Unspec(target: Uint8Array, offset: number, options: ProxyV2Options = PLAIN): number {
  const length = writeStart(target, offset, Command.proxy, Family.unspec, options)
  writeTlvArea(target, offset, Family.unspec, length, options)
  return length
}

/** Writes the first 16 bytes and returns the length of the whole header, for which there is room. */
function writeStart(
  target: Uint8Array,
  offset: number,
  command: number,
  family: number,
  options: ProxyV2Options,
): number {
  const checksumLength = options.hasChecksum === true ? CHECKSUM_TLV_LENGTH : 0
  const lengthField = addressBlockLength(family) + checksumLength + tlvsLength(tlvsToWrite(options))
  const length = PROXY_V2_START_LENGTH + lengthField
  if (lengthField > 0xffff) throw new RangeError(`A version 2 header of ${length} bytes is too long`)
  if (offset + length > target.length) {
    throw new RangeError(`A version 2 header of ${length} bytes does not fit into ${target.length - offset}`)
  }
  for (let i = 0; i < PROXY_V2_SIGNATURE.length; i++) target[offset + i] = PROXY_V2_SIGNATURE[i]
  const transport = options.transport === 'dgram' ? Transport.dgram : Transport.stream
  target[offset + 12] = (2 << 4) | command
  target[offset + 13] = family === Family.unspec ? 0 : (family << 4) | transport
  writeUint16(target, offset + 14, lengthField)
  return length
}

function writeTlvArea(
  target: Uint8Array,
  offset: number,
  family: number,
  length: number,
  options: ProxyV2Options,
): void {
  const at = offset + PROXY_V2_START_LENGTH + addressBlockLength(family)
  if (options.hasChecksum !== true) {
    writeTlvs(target, at, tlvsToWrite(options))
    return
  }
  target[at] = TlvType.crc32c
  writeUint16(target, at + 1, CRC32C_LENGTH)
  writeTlvs(target, at + CHECKSUM_TLV_LENGTH, tlvsToWrite(options))
  const checksumAt = at + TLV_START_LENGTH
  writeInt32(target, checksumAt, crc32c(target, offset, offset + length, checksumAt))
}

function tlvsToWrite(options: ProxyV2Options): readonly Tlv[] {
  const tlvs = options.tlvs ?? NO_TLVS
  return tlvs.some((tlv) => tlv.type === TlvType.crc32c) ? tlvs.filter((tlv) => tlv.type !== TlvType.crc32c) : tlvs
}

function writeIpv4(target: Uint8Array, at: number, address: IpAddress): void {
  writeInt32(target, at, address.w3)
}
