import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { testFrontend, testGroup, testService, testSnapshot } from '../../snapshot/test-snapshot.ts'
import { readLastGood, writeLastGood } from './last-good.ts'

const KEPT = {
  generation: 'aa',
  version: 7,
  snapshot: testSnapshot([testFrontend()], [testService({ healthCheck: undefined })]),
}

function file(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'last-good-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return join(directory, 'edge-1.json')
}

test('what was kept is read again; without a file there is nothing', (t) => {
  const path = file(t)
  assert.equal(readLastGood(path), undefined)
  writeLastGood(path, KEPT)
  assert.deepEqual(JSON.parse(JSON.stringify(readLastGood(path))), JSON.parse(JSON.stringify(KEPT)))
})

test('the number of edges that share limits is kept, and left out where it cannot be', (t) => {
  const path = file(t)
  writeLastGood(path, { ...KEPT, edges: { count: 3, index: 2 } })
  assert.deepEqual(readLastGood(path)?.edges, { count: 3, index: 2 })
  writeLastGood(path, { ...KEPT, edges: { count: 3, index: 3 } })
  assert.equal(readLastGood(path)?.edges, undefined)
})

test('a digest that cannot be sent to a controller is left out, and another format is named', (t) => {
  const path = file(t)
  for (const [digest, expected] of [
    ['abc_-', 'abc_-'],
    ['x'.repeat(65), undefined],
    ['a b', undefined],
  ] as const) {
    writeLastGood(path, { ...KEPT, digest })
    assert.equal(readLastGood(path)?.digest, expected)
  }
  for (const generation of ['x'.repeat(65), 'a b']) {
    writeLastGood(path, { ...KEPT, generation })
    assert.throws(() => readLastGood(path), { message: `"${path}" is damaged; remove it` })
  }
  for (const [format, shown] of [
    [1, 'format 1'],
    [{ toString: 1 }, 'no format that is a number'],
  ] as const) {
    writeFileSync(path, JSON.stringify({ format }))
    assert.throws(() => readLastGood(path), { message: `"${path}" has ${shown}, not 2; remove it` })
  }
})

test('a file that is cut off, garbage, or not what an edge can serve is refused, and nothing of it is repeated', (t) => {
  const path = file(t)
  writeLastGood(path, KEPT)
  const whole = readFileSync(path, 'utf8')
  for (const length of [0, 1, 60, whole.length - 1]) {
    truncateSync(path, length)
    assert.throws(() => readLastGood(path), { message: `"${path}" is damaged; remove it` }, `${length} bytes`)
    writeFileSync(path, whole)
  }
  const secret = 'secret-secret'
  for (const text of [
    secret,
    '\0\u00ff',
    '[1]',
    'null',
    '7',
    '{"format":1}',
    whole.replace('"port":110', '"port":"x"'),
  ]) {
    writeFileSync(path, text)
    assert.throws(
      () => readLastGood(path),
      (error: Error) => /; remove it$|format/.test(error.message) && !error.message.includes(secret),
    )
  }
})

test('a file whose certificates this OpenSSL does not take is refused, and no key is repeated', (t) => {
  const path = file(t)
  const { chain, privateKey } = { chain: '-----BEGIN CERTIFICATE-----', privateKey: 'secret-secret' }
  const tls = {
    certificates: [{ name: 'old', chain, privateKey }],
    policy: { name: '', profile: 'COMPATIBLE', minTlsVersion: 'TLS_1_0', customFeatures: [] },
    protocols: [],
  } as const
  writeLastGood(path, { ...KEPT, snapshot: { ...KEPT.snapshot, frontends: [testFrontend({ tls })] } })
  assert.throws(
    () => readLastGood(path),
    (error: Error) => /cannot be served: .*"old"/.test(error.message) && !error.message.includes(privateKey),
  )
})

test('a file that others may read or write, or that is none, is refused', (t) => {
  const path = file(t)
  writeLastGood(path, KEPT)
  for (const mode of [0o640, 0o604, 0o620, 0o602]) {
    chmodSync(path, mode)
    assert.throws(() => readLastGood(path), /other users have rights on it; remove it/)
  }
  assert.throws(() => readLastGood('/proc'), { message: '"/proc" cannot be read: it is not a file; remove it' })
})

test('what lies where the next file is written is neither written through nor left open to others', (t) => {
  const path = file(t)
  const victim = `${path}.victim`
  writeFileSync(victim, 'precious')
  symlinkSync(victim, `${path}.partial`)
  writeLastGood(path, KEPT)
  assert.equal(readFileSync(victim, 'utf8'), 'precious')
  writeFileSync(`${path}.partial`, '', { mode: 0o644 })
  writeLastGood(path, { ...KEPT, snapshot: testSnapshot([], [testService({ groups: [testGroup()] })]) })
  assert.equal(statSync(path).mode & 0o777, 0o600)
})
