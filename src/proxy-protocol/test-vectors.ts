import { formatIpAddress } from '../address/ip-address.ts'
import type { ProxyHeader } from './proxy-header.ts'
import { readTlvs } from './tlv.ts'

/** What a header says, in the words of the vectors; null where it says nothing. */
export type HeaderFields = {
  readonly version: number
  readonly command: 'PROXY' | 'LOCAL'
  readonly family: 'INET' | 'INET6' | 'UNIX' | 'UNSPEC'
  readonly transport: 'STREAM' | 'DGRAM' | 'UNSPEC'
  readonly src: string | null
  readonly sport: number | null
  readonly dst: string | null
  readonly dport: number | null
  readonly tlvs: readonly { readonly type: number; readonly value: string }[] | null
  readonly headerLength: number
}

/** One case of testdata/proxy-protocol.json. */
export type Vector = {
  readonly id: string
  readonly group: string
  readonly name: string
  readonly transport: 'stream' | 'dgram'
  readonly chunks: readonly string[]
  readonly options?: { readonly maxV2Length: number }
  readonly expect:
    | (HeaderFields & { readonly result: 'accept'; readonly rest: string })
    | { readonly result: 'reject'; readonly reason: string; readonly earliestReject?: number }
    | { readonly result: 'need-more' }
}

/** One header that a real program has sent, from testdata/captured-headers.json. */
export type CapturedHeader = { readonly sender: string; readonly hex: string; readonly parsed: HeaderFields }

/** Puts an accepted header into the words of the vectors. */
export function headerFields(header: ProxyHeader, bytes: Uint8Array): HeaderFields {
  if (header.kind === 'incomplete' || header.kind === 'malformed') throw new TypeError(JSON.stringify(header))
  const { version, bytesRead: headerLength } = header
  if (header.kind === 'local') {
    const command = header.command === 'local' ? 'LOCAL' : 'PROXY'
    const unspecified = {
      family: 'UNSPEC',
      transport: 'UNSPEC',
      src: null,
      sport: null,
      dst: null,
      dport: null,
    } as const
    return { version, command, ...unspecified, tlvs: header.version === 1 ? [] : null, headerLength }
  }
  const transport = header.transport === 'stream' ? 'STREAM' : 'DGRAM'
  const tlvs = readTlvs(bytes, header.tlvStart, header.tlvEnd).map(({ type, value }) => ({ type, value: hex(value) }))
  if (header.kind === 'unix') {
    const paths = { src: hex(header.source), sport: null, dst: hex(header.destination), dport: null }
    return { version, command: 'PROXY', family: 'UNIX', transport, ...paths, tlvs, headerLength }
  }
  const { source, destination } = header
  return {
    version,
    command: 'PROXY',
    family: source.address.family === 4 ? 'INET' : 'INET6',
    transport,
    src: formatIpAddress(source.address),
    sport: source.port,
    dst: formatIpAddress(destination.address),
    dport: destination.port,
    tlvs,
    headerLength,
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
