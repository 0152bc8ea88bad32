import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { ProxyHeader } from './proxy-header.ts'
import { readProxyDatagram, readProxyHeader } from './read-proxy-header.ts'
import { type CapturedHeader, headerFields, type Vector } from './test-vectors.ts'
import { readTlvs } from './tlv.ts'
import { writeProxyV1, writeProxyV1Unknown } from './write-v1.ts'
import { writeProxyV2, writeProxyV2Local } from './write-v2.ts'

const V2_LENGTH_MAX = 65535

/** Returns the parsed content of a file in testdata/, from the sources, wherever this module runs. */
function loadTestdata(fileName: string): unknown {
  let root = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(root, 'package.json'))) root = dirname(root)
  return JSON.parse(readFileSync(join(root, 'src/proxy-protocol/testdata', fileName), 'utf8'))
}

const vectors = (loadTestdata('proxy-protocol.json') as { vectors: Vector[] }).vectors
const capturedHeaders = loadTestdata('captured-headers.json') as CapturedHeader[]

/** Asserts that a look at bytes[start..end) touches nothing outside it, nor outside the header, and returns it. */
function readWatched(
  read: typeof readProxyHeader,
  bytes: Uint8Array,
  start: number,
  end: number,
  v2LengthMax: number,
): ProxyHeader {
  const touched = { first: start, last: start }
  const touch = (index: number): void => {
    touched.first = Math.min(touched.first, index)
    touched.last = Math.max(touched.last, index)
  }
  const watched = new Proxy(bytes, {
    get(target, key) {
      if (key === 'subarray') {
        return (from: number, to: number) => {
          touch(from)
          if (to > from) touch(to - 1)
          return target.subarray(from, to)
        }
      }
      const index = Number(key)
      touch(index)
      return target[index]
    },
  })
  const header = read(watched, start, end, { v2LengthMax })
  const readable = 'bytesRead' in header ? start + header.bytesRead : end
  assert.ok(
    touched.first >= start && touched.last < Math.max(readable, start + 1),
    `touched ${JSON.stringify(touched)}`,
  )
  return header
}

function assertExpected(vector: Vector, header: ProxyHeader, bytes: Buffer): void {
  const { expect } = vector
  if (expect.result === 'need-more') {
    assert.equal(header.kind, 'incomplete')
  } else if (expect.result === 'reject') {
    assert.deepEqual(header, { kind: 'malformed', reason: expect.reason })
  } else {
    const { result, rest, ...fields } = expect
    assert.deepEqual(headerFields(header, bytes), fields)
    assert.equal(bytes.toString('hex', fields.headerLength), rest)
  }
}

/** Gives a stream vector's bytes in pieces, cumulatively, as a receiver would; returns the last answer. */
function readInPieces(bytes: Buffer, pieceEnds: readonly number[], v2LengthMax: number): [ProxyHeader, number] {
  let header: ProxyHeader = { kind: 'incomplete', bytesNeeded: 1 }
  let end = 0
  for (const pieceEnd of pieceEnds) {
    if (header.kind !== 'incomplete') break
    end = pieceEnd
    // What arrives later is not there yet: in its place stands something that no header may depend on.
    const received = Buffer.concat([bytes.subarray(0, end), Buffer.alloc(300, end % 251)])
    header = readProxyHeader(received, 0, end, { v2LengthMax })
    if (header.kind === 'incomplete') assert.ok(header.bytesNeeded > end)
  }
  return [header, end]
}

for (const vector of vectors.filter(({ transport }) => transport === 'stream')) {
  test(`${vector.id} ${vector.expect.result}: ${vector.name}`, () => {
    const v2LengthMax = vector.options?.maxV2Length ?? V2_LENGTH_MAX
    const bytes = Buffer.from(vector.chunks.join(''), 'hex')
    let byteCount = 0
    const chunkEnds = vector.chunks.map((chunk) => {
      byteCount += chunk.length / 2
      return byteCount
    })
    assertExpected(vector, readInPieces(bytes, chunkEnds, v2LengthMax)[0], bytes)
    assertExpected(vector, readWatched(readProxyHeader, bytes, 0, bytes.length, v2LengthMax), bytes)

    const byteEnds = bytes.length > 5000 ? [...chunkEnds, 16, 107, 5000] : Array.from(bytes, (_, index) => index + 1)
    const [header, end] = readInPieces(
      bytes,
      byteEnds.sort((a, b) => a - b),
      v2LengthMax,
    )
    assertExpected(vector, header, bytes)
    if (vector.expect.result === 'reject') {
      const { earliestReject } = vector.expect
      assert.ok(earliestReject !== undefined && end <= earliestReject, `refused after ${end} bytes`)
    }
  })
}

for (const vector of vectors.filter(({ transport }) => transport === 'dgram')) {
  test(`${vector.id} ${vector.expect.result}: ${vector.name}`, () => {
    const bytes = Buffer.from(vector.chunks.join(''), 'hex')
    const padded = Buffer.concat([Buffer.alloc(3, 0x0d), bytes, Buffer.alloc(300, 0x41)])
    const header = readProxyDatagram(bytes, 0, bytes.length, { v2LengthMax: V2_LENGTH_MAX })
    assertExpected(vector, header, bytes)
    assert.equal(readWatched(readProxyDatagram, padded, 3, 3 + bytes.length, V2_LENGTH_MAX).kind, header.kind)
  })
}

for (const { sender, hex, parsed } of capturedHeaders) {
  test(`what ${sender} has sent is read as meant and written again byte for byte`, () => {
    const bytes = Buffer.from(hex, 'hex')
    const header = readProxyHeader(bytes, 0, bytes.length, { v2LengthMax: 4096 })
    const { result, ...expected } = parsed as typeof parsed & { result: string }
    assert.equal(result, 'accept')
    assert.deepEqual(headerFields(header, bytes), expected)
    assert.equal(writeAgain(header, bytes).toString('hex'), hex)
  })
}

function writeAgain(header: ProxyHeader, bytes: Uint8Array): Buffer {
  const target = Buffer.alloc(600)
  if (header.kind === 'local') {
    const write = header.version === 1 ? writeProxyV1Unknown : writeProxyV2Local
    return target.subarray(0, write(target, 0))
  }
  assert.equal(header.kind, 'proxied')
  if (header.kind !== 'proxied') return target
  const { source, destination } = header
  if (header.version === 1) return target.subarray(0, writeProxyV1(target, 0, source, destination))
  const tlvs = readTlvs(bytes, header.tlvStart, header.tlvEnd)
  const hasChecksum = tlvs.some(({ type }) => type === 3)
  return target.subarray(0, writeProxyV2(target, 0, source, destination, { tlvs, hasChecksum }))
}
