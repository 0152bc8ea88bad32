import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Endpoint, formatEndpoint, parseEndpoint } from '../../src/address/endpoint.ts'
import type { ProxyHeader } from '../../src/proxy-protocol/proxy-header.ts'
import { readProxyHeader } from '../../src/proxy-protocol/read-proxy-header.ts'
import type { CapturedHeader } from '../../src/proxy-protocol/test-vectors.ts'
import { readChecksum, readTlvs, type Tlv, TlvType } from '../../src/proxy-protocol/tlv.ts'
import { writeProxyV1, writeProxyV1Unknown } from '../../src/proxy-protocol/write-v1.ts'
import { writeProxyV2, writeProxyV2Local } from '../../src/proxy-protocol/write-v2.ts'

const CAPTURED = fileURLToPath(new URL('../../../src/proxy-protocol/testdata/captured-headers.json', import.meta.url))
const LIMITS = { v2LengthMax: 4_096 }

/** The ends that a header names, as "192.0.2.1:80" or "[2001:db8::1]:80". */
export type NamedEnds = { readonly source: string; readonly destination: string }

type Ends = { readonly source: Endpoint; readonly destination: Endpoint }

/** Returns the header at the front of `bytes`, or undefined when it is not complete. */
export function headerAtFront(bytes: Buffer): Buffer | undefined {
  const header = readProxyHeader(bytes, 0, bytes.length, LIMITS)
  assert.notEqual(header.kind, 'malformed', bytes.toString('latin1'))
  return 'bytesRead' in header ? bytes.subarray(0, header.bytesRead) : undefined
}

/** The ends that a header names; undefined when it names none. */
export function namedEnds(bytes: Buffer): NamedEnds | undefined {
  const header = readProxyHeader(bytes, 0, bytes.length, LIMITS)
  if (header.kind !== 'proxied') return undefined
  return { source: formatEndpoint(header.source), destination: formatEndpoint(header.destination) }
}

/**
 * Checks that `received`, a header from the wire, is byte for byte what our own writers make of its contents, and that
 * it is the one captured from `sender` but for what differs from connection to connection: addresses and ports, the
 * numbers in the unique ID, and the checksum over them.
 */
export function assertIsAsCaptured(received: Buffer, sender: string): void {
  const all = JSON.parse(readFileSync(CAPTURED, 'utf8')) as readonly CapturedHeader[]
  const sample = all.find((captured) => captured.sender === sender)
  assert.ok(sample, `no header was captured from "${sender}"`)
  const captured = Buffer.from(sample.hex, 'hex')
  assert.equal(rewritten(received).toString('hex'), received.toString('hex'), 'our writer makes the same bytes')
  assert.equal(rewritten(captured).toString('hex'), sample.hex, 'our writer makes the captured bytes')
  assert.equal(normalized(received).toString('hex'), normalized(captured).toString('hex'), `as captured from ${sender}`)
}

function rewritten(bytes: Buffer): Buffer {
  return write(bytes, readProxyHeader(bytes, 0, bytes.length, LIMITS), undefined, (tlv) => tlv)
}

function normalized(bytes: Buffer): Buffer {
  const header = readProxyHeader(bytes, 0, bytes.length, LIMITS)
  const isIpv4 = header.kind === 'proxied' && header.source.address.family === 4
  const texts = isIpv4 ? ['192.0.2.1:1001', '192.0.2.2:1002'] : ['[2001:db8::1]:1001', '[2001:db8::2]:1002']
  const [source, destination] = texts.map(parseEndpoint)
  assert.ok(source && destination)
  return write(bytes, header, { source, destination }, (tlv) => {
    if (tlv.type !== TlvType.uniqueId) return tlv
    return {
      type: tlv.type,
      value: Buffer.from(
        Buffer.from(tlv.value)
          .toString()
          .replace(/[0-9]+/g, 'N'),
      ),
    }
  })
}

function write(bytes: Buffer, header: ProxyHeader, ends: Ends | undefined, change: (tlv: Tlv) => Tlv): Buffer {
  const target = Buffer.alloc(1_024)
  if (header.kind === 'local') {
    const length = header.version === 1 ? writeProxyV1Unknown(target, 0) : writeProxyV2Local(target, 0)
    return target.subarray(0, length)
  }
  assert.equal(header.kind, 'proxied')
  assert.ok(header.kind === 'proxied')
  const { source, destination } = ends ?? header
  if (header.version === 1) return target.subarray(0, writeProxyV1(target, 0, source, destination))
  const tlvs = readTlvs(bytes, header.tlvStart, header.tlvEnd)
  const hasChecksum = readChecksum(tlvs) !== undefined
  return target.subarray(0, writeProxyV2(target, 0, source, destination, { tlvs: tlvs.map(change), hasChecksum }))
}
