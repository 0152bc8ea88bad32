import { formatIpAddress } from '../address/ip-address.ts'
import type { ProxyHeader } from './proxy-header.ts'

/** Says whether text is an IPv4 address (4), an IPv6 address (6) or neither (0). */
type IsIp = (text: string) => number

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

/**
 * Reads a header the slow and obvious way, from strings and patterns, all at once; sharing no code with the reader.
 *
 * Returns what it says in one line, undefined unless a whole and valid header is there. `isIp` is that of node:net.
 */
export function readLikeTheSpecification(bytes: Buffer, v2LengthMax: number, isIp: IsIp): string | undefined {
  return bytes[0] === 0x50 ? readVersion1(bytes, isIp) : readVersion2(bytes, v2LengthMax)
}

/** Puts an answer of the reader into the form of `readLikeTheSpecification`. */
export function summarize(header: ProxyHeader): string | undefined {
  if (header.kind === 'incomplete' || header.kind === 'malformed') return undefined
  if (header.kind === 'local') return `v${header.version} ${header.command} ${header.bytesRead}`
  const { version, transport, bytesRead } = header
  if (header.kind === 'unix') {
    const paths = [header.source, header.destination].map((path) => Buffer.from(path).toString('hex'))
    return `v2 unix ${transport} ${paths.join(' ')} ${bytesRead}`
  }
  const { source, destination } = header
  const [from, to] = [source, destination].map(({ address, port }) => `${canonical(formatIpAddress(address))} ${port}`)
  return `v${version} ${transport} ${from} ${to} ${bytesRead}`
}

/** One spelling for every spelling of an address, by someone else's reader. */
function canonical(address: string): string {
  return address.includes(':') ? new URL(`http://[${address}]/`).hostname : address
}

function readVersion1(bytes: Buffer, isIp: IsIp): string | undefined {
  const text = bytes.toString('latin1', 0, 107)
  const end = text.indexOf('\r\n')
  const line = text.slice(0, end)
  if (end < 0 || /[\r\n]/.test(line)) return undefined
  if (/^PROXY UNKNOWN( .*)?$/s.test(line)) return `v1 unknown ${end + 2}`
  const fields = /^PROXY TCP([46]) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+) (0|[1-9][0-9]*) (0|[1-9][0-9]*)$/.exec(line)
  if (fields === null) return undefined
  const [, family, source, destination, sourcePort, port] = fields
  if (isIp(source) !== Number(family) || isIp(destination) !== Number(family)) return undefined
  if (Number(sourcePort) > 65535 || Number(port) > 65535) return undefined
  return `v1 stream ${canonical(source)} ${sourcePort} ${canonical(destination)} ${port} ${end + 2}`
}

function readVersion2(bytes: Buffer, v2LengthMax: number): string | undefined {
  if (bytes.length < 16 || !bytes.subarray(0, 12).equals(SIGNATURE)) return undefined
  const length = bytes.readUInt16BE(14)
  if (length > v2LengthMax || bytes.length < 16 + length) return undefined
  if (bytes[12] === 0x20) return `v2 local ${16 + length}`
  if (bytes[12] !== 0x21) return undefined
  const [family, transport] = [bytes[13] >> 4, bytes[13] & 15]
  if (family > 3 || transport > 2) return undefined
  if (family === 0 || transport === 0) return `v2 unspec ${16 + length}`
  const addressLength = [0, 12, 36, 216][family]
  if (length < addressLength || !hasValidTlvs(bytes.subarray(0, 16 + length), 16 + addressLength)) return undefined
  const name = transport === 1 ? 'stream' : 'dgram'
  if (family === 3) {
    return `v2 unix ${name} ${bytes.toString('hex', 16, 124)} ${bytes.toString('hex', 124, 232)} ${16 + length}`
  }
  const size = family === 1 ? 4 : 16
  const [source, destination] = [16, 16 + size].map((at) => {
    const address = bytes.subarray(at, at + size)
    if (family === 1) return [...address].join('.')
    return canonical(address.toString('hex').replace(/.{4}(?!$)/g, '$&:'))
  })
  const [sourcePort, port] = [bytes.readUInt16BE(16 + 2 * size), bytes.readUInt16BE(18 + 2 * size)]
  return `v2 ${name} ${source} ${sourcePort} ${destination} ${port} ${16 + length}`
}

function hasValidTlvs(header: Buffer, tlvStart: number): boolean {
  const tlvs = splitTlvs(header.subarray(tlvStart))
  if (tlvs === undefined) return false
  const checksums = tlvs.filter(({ type }) => type === 3)
  if (checksums.length > 1 || checksums.some(({ value }) => value.length !== 4)) return false
  for (const { type, value } of tlvs) {
    if (type === 5 && value.length > 128) return false
    if (type === 0x20 && (value.length < 5 || splitTlvs(value.subarray(5)) === undefined)) return false
  }
  if (checksums.length === 0) return true
  const sent = checksums[0].value.readUInt32BE(0)
  const zeroed = Buffer.from(header)
  zeroed.fill(
    0,
    checksums[0].value.byteOffset - header.byteOffset,
    checksums[0].value.byteOffset - header.byteOffset + 4,
  )
  return bitwiseCrc32c(zeroed) === sent
}

function splitTlvs(area: Buffer): { type: number; value: Buffer }[] | undefined {
  if (area.length === 0) return []
  if (area.length < 3) return undefined
  const end = 3 + area.readUInt16BE(1)
  const rest = end <= area.length ? splitTlvs(area.subarray(end)) : undefined
  return rest && [{ type: area[0], value: area.subarray(3, end) }, ...rest]
}

function bitwiseCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}
