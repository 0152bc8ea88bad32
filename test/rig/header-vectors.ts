import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseEndpoint } from '../../src/address/endpoint.ts'
import type { Vector } from '../../src/proxy-protocol/test-vectors.ts'
import { writeProxyV2 } from '../../src/proxy-protocol/write-v2.ts'

const VECTORS = fileURLToPath(new URL('../../../src/proxy-protocol/testdata/proxy-protocol.json', import.meta.url))

/** A vector with what an agent has to do with a header that is well-formed. */
export type AgentVector = Vector & { readonly policy?: { readonly agent?: string; readonly reason: string } }

/** All cases that arrive over a stream. */
export function streamVectors(): AgentVector[] {
  const { vectors } = JSON.parse(readFileSync(VECTORS, 'utf8')) as { readonly vectors: readonly AgentVector[] }
  return vectors.filter(({ transport }) => transport === 'stream')
}

/** The bytes of a vector, piece by piece. */
export function piecesOf(vector: Vector): Buffer[] {
  return vector.chunks.map((chunk) => Buffer.from(chunk, 'hex'))
}

/** A version 2 header between two end points of one family. */
export function headerV2(source: string, destination: string): Buffer {
  const from = parseEndpoint(source)
  const to = parseEndpoint(destination)
  if (from === undefined || to === undefined) throw new TypeError(`${source} or ${destination} is no end point`)
  const bytes = Buffer.alloc(64)
  return bytes.subarray(0, writeProxyV2(bytes, 0, from, to))
}
