import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asksForLoad, encodeLoadReport, loadQuestion, parseLoadReport } from './load-report.ts'
import { readProxyHeader } from './read-proxy-header.ts'
import { TlvType } from './tlv.ts'

const REPORT = { cpu_utilization: 0.25, mem_utilization: 1, open_connections: 7, app_listening: true }
const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
const LOCAL = 0x20
const REQUEST = [0xe5, 0, 1, 1]

/** A LOCAL header with this family and these bytes behind its 16. */
function local(family: number, ...rest: readonly number[]): Uint8Array {
  return Uint8Array.of(...SIGNATURE, LOCAL, family, 0, rest.length, ...rest)
}

function asks(bytes: Uint8Array): boolean {
  return asksForLoad(bytes, bytes.length)
}

test('the question is a LOCAL header without addresses, whose last two bytes end a line', () => {
  const question = loadQuestion()
  assert.deepEqual([...question], [...local(0, ...REQUEST, TlvType.noop, 0, 2, 0x0d, 0x0a)])
  assert.equal(readProxyHeader(question, 0, question.length, { v2LengthMax: 64 }).kind, 'local')
  assert.ok(asks(question))
})

test('a LOCAL header asks by its TLV, of our version, and by nothing else', () => {
  assert.equal(asks(local(0)), false, 'the health check of any load balancer')
  assert.equal(asks(local(0, ...REQUEST)), true)
  assert.equal(asks(local(0, TlvType.noop, 0, 1, 0, ...REQUEST)), true, 'wherever it stands')
  assert.equal(asks(local(0, 0xe6, 0, 1, 1)), false, 'another TLV')
  assert.equal(asks(local(0, 0xe5, 0, 1, 2)), false, 'another version')
  assert.equal(asks(local(0, 0xe5, 0, 0)), false, 'no version')
  assert.equal(asks(local(0x11, ...REQUEST)), false, 'addresses stand where the TLV would')
})

test('what stands behind the header is payload and asks nothing', () => {
  const header = local(0)
  const bytes = Uint8Array.of(...header, ...REQUEST)
  assert.equal(asksForLoad(bytes, header.length), false)
})

test('an answer is one line of JSON, read as it was written', () => {
  const line = Buffer.from(encodeLoadReport(REPORT)).toString()
  assert.match(line, /^[^\n]+\n$/)
  assert.deepEqual(parseLoadReport(line), REPORT)
  for (const edge of [
    { ...REPORT, cpu_utilization: 0 },
    { ...REPORT, cpu_utilization: 1, mem_utilization: 0 },
    { ...REPORT, open_connections: 0, app_listening: false },
    // Of a newer agent.
    { ...REPORT, more: 1 },
  ]) {
    assert.deepEqual(parseLoadReport(JSON.stringify(edge)), edge)
  }
})

for (const text of [
  '',
  '220 mail.example ESMTP\r\n',
  '7',
  'null',
  '[]',
  '"cpu_utilization"',
  ...[
    { cpu_utilization: -0.01 },
    { cpu_utilization: 1.01 },
    { cpu_utilization: '0.5' },
    { cpu_utilization: null },
    { cpu_utilization: undefined },
    { mem_utilization: -0.01 },
    { mem_utilization: 1.01 },
    { mem_utilization: undefined },
    { open_connections: 0.5 },
    { open_connections: '7' },
    { open_connections: -1 },
    { open_connections: 10_000_001 },
    { port_connections: -1 },
    { port_connections: 9e15 },
    { open_connections: undefined },
    { app_listening: 1 },
    { app_listening: undefined },
  ].map((wrong) => JSON.stringify({ ...REPORT, ...wrong })),
]) {
  test(`${JSON.stringify(text)} is no answer of an agent`, () => assert.equal(parseLoadReport(text), undefined))
}
