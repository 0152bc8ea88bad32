import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Endpoint } from '../address/endpoint.ts'
import { mapAddress, wordAt } from '../address/ip-address.ts'
import { ENDS_WORDS, readSimpleEnds, readV2Ends } from './datagram-ends.ts'
import { readProxyDatagram } from './read-proxy-header.ts'
import { readSimpleProxy, SIMPLE_PROXY_LENGTH } from './simple-proxy.ts'
import { RandomHeaders } from './test-random.ts'

const LIMITS = { v2LengthMax: 600 }
const RUN_COUNT = 2_000

/** What is to be written, in front of it one word that must stay. */
function wordsOf({ source, destination }: { readonly source: Endpoint; readonly destination: Endpoint }): number[] {
  const address = ({ address }: Endpoint): number[] => [0, 1, 2, 3].map((index) => wordAt(mapAddress(address), index))
  return [7, ...address(source), ...address(destination), (source.port << 16) | destination.port]
}

test('the ends of a version 2 header are read as the whole header says, and of nothing else', () => {
  const random = new RandomHeaders(20_261_130)
  let found = 0
  for (let run = 0; run < RUN_COUNT; run++) {
    const input = random.input()
    const words = new Int32Array(1 + ENDS_WORDS).fill(7)
    const length = readV2Ends(Buffer.concat([Buffer.of(0x0d), input, random.bytes(40)]), 1, 1 + input.length, words, 1)
    const header = readProxyDatagram(input, 0, input.length, LIMITS)
    const claim = `${input.toString('hex')} is ${JSON.stringify(header)}`
    if (header.kind === 'proxied' && header.transport === 'dgram') {
      found += 1
      assert.equal(length, header.bytesRead, claim)
      assert.deepEqual([...words], wordsOf(header), claim)
    } else if (length > 0) {
      assert.ok(header.kind === 'malformed' && ['v2-tlv', 'v2-crc', 'v2-too-long'].includes(header.reason), claim)
    }
  }
  assert.ok(found > RUN_COUNT / 50, `${found} headers`)
})

test('the ends of a Simple Proxy header are read as the whole header says, and of nothing else', () => {
  const random = new RandomHeaders(20_261_130)
  for (let run = 0; run < RUN_COUNT; run++) {
    const magic = run % 3 === 0 ? random.bytes(2) : Buffer.of(0x56, 0xec)
    const input = Buffer.concat([magic, random.bytes(random.below(60))])
    const words = new Int32Array(1 + ENDS_WORDS).fill(7)
    const length = readSimpleEnds(
      Buffer.concat([Buffer.of(0x56), input, random.bytes(40)]),
      1,
      1 + input.length,
      words,
      1,
    )
    const header = readSimpleProxy(input, 0, input.length)
    assert.equal(length, header.kind === 'proxied' ? SIMPLE_PROXY_LENGTH : 0, input.toString('hex'))
    if (header.kind === 'proxied') assert.deepEqual([...words], wordsOf(header), input.toString('hex'))
  }
})
