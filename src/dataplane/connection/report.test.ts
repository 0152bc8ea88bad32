import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseEndpoint } from '../../address/endpoint.ts'
import type { EndReason } from '../../telemetry/end-reasons.ts'
import type { LogFields } from '../../telemetry/log.ts'
import { Connection } from './connection-state.ts'
import { Reporter, type Verbosity } from './report.ts'

/** A reporter, and the records that it has written. */
function reporter(verbosity: Verbosity): {
  records: LogFields[]
  report(peer: string, reason: EndReason, atMs: number): void
} {
  const records: LogFields[] = []
  const subject = new Reporter((_level, _message, fields = {}) => records.push(fields), verbosity)
  return {
    records,
    report(peer, reason, atMs) {
      const connection = new Connection(0)
      connection.peer = parseEndpoint(peer) ?? null
      connection.endedMs = atMs
      subject.report(connection, reason)
    },
  }
}

test('bad headers of one peer give one record a minute, and the next one says how many there were between', () => {
  const { records, report } = reporter(0)
  for (let index = 0; index < 1_000; index++) report(`192.0.2.1:${index + 1}`, 'header-malformed', index)
  assert.equal(records.length, 1)
  report('192.0.2.1:9', 'header-malformed', 60_001)
  assert.equal(records.length, 2)
  assert.equal(records[1].suppressedBefore, 999)
})

test('another peer and another reason have records of their own', () => {
  const { records, report } = reporter(2)
  report('192.0.2.1:1', 'header-malformed', 0)
  report('192.0.2.2:1', 'header-malformed', 0)
  report('192.0.2.1:1', 'source-refused', 0)
  assert.equal(records.length, 3)
})

test('a flood from very many peers is held to one record a second beyond the first thousand', () => {
  const { records, report } = reporter(0)
  for (let index = 0; index < 100_000; index++) {
    report(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:1`, 'header-malformed', index / 10)
  }
  assert.ok(records.length <= 1_024 + 11, `${records.length} records in 10 s`)
})

test('peers whose minute is over make room for others, each of whom has a record at once', () => {
  const { records, report } = reporter(0)
  for (let index = 0; index < 1_100; index++) report(`10.0.${index >> 8}.${index & 255}:1`, 'header-malformed', 0)
  const before = records.length
  for (let index = 0; index < 100; index++) report(`10.1.0.${index}:1`, 'header-malformed', 60_001)
  assert.equal(records.length, before + 100)
})

test('connections that break are reported from verbosity 1 on, all from 2 on', () => {
  for (const [verbosity, count] of [
    [0, 0],
    [1, 1],
    [2, 2],
  ] as const) {
    const { records, report } = reporter(verbosity)
    report('192.0.2.1:1', 'finished', 0)
    report('192.0.2.1:1', 'client-reset', 0)
    assert.equal(records.length, count)
  }
})

test("a probe that closes without a byte is nobody's failure", () => {
  const { records, report } = reporter(1)
  report('192.0.2.1:1', 'header-missing', 0)
  report('192.0.2.1:1', 'local-probe', 0)
  assert.deepEqual(records, [])
})

test('failures are sampled where no records are asked for, and all reported where they are', () => {
  for (const [verbosity, count] of [
    [0, 1],
    [1, 3],
  ] as const) {
    const records: LogFields[] = []
    const subject = new Reporter(
      (_level, _message, fields = {}) => records.push(fields),
      verbosity,
      (_, reason) => ({
        described: reason,
      }),
    )
    const connection = new Connection(0)
    connection.peer = parseEndpoint('192.0.2.1:1') ?? null
    for (let time = 0; time < 3; time++) subject.report(connection, 'connect-failed')
    assert.equal(records.length, count)
    assert.equal(records[0].described, 'connect-failed')
  }
})

test('a backend that resets before its first byte leaves a sample, one that has sent some is only a connection', () => {
  const records: LogFields[] = []
  const subject = new Reporter((_level, _message, fields = {}) => records.push(fields), 0)
  const connection = new Connection(0)
  connection.backend.receivedBytes = 1
  subject.report(connection, 'backend-reset')
  assert.equal(records.length, 0)
  connection.backend.receivedBytes = 0
  for (let time = 0; time < 3; time++) subject.report(connection, 'backend-reset')
  assert.deepEqual(
    records.map(({ end }) => end),
    ['backend-reset'],
  )
})

test('every end that shows a wrong set-up leaves a record where none are asked for', () => {
  const reasons = ['connect-timeout', 'connect-failed', 'app-down', 'untrusted-peer', 'out-of-resources'] as const
  for (const reason of [...reasons, 'no-backend', 'backend-handshake-failed', 'header-timeout'] as const) {
    const { records, report } = reporter(0)
    for (let index = 0; index < 10; index++) report('192.0.2.1:1', reason, index)
    assert.equal(records.length, 1, reason)
    report('192.0.2.1:1', reason, 60_001)
    assert.equal(records[1].suppressedBefore, 9, reason)
  }
})

test('strangers have one record for all of them where none are asked for, and one each where they are', () => {
  for (const [verbosity, count] of [
    [0, 1],
    [1, 3],
  ] as const) {
    const { records, report } = reporter(verbosity)
    for (const peer of ['192.0.2.1:1', '192.0.2.2:1', '192.0.2.3:1']) report(peer, 'untrusted-peer', 0)
    assert.equal(records.length, count)
  }
})

test('what an app does to probes is sampled where failures are reported, and never a record each', () => {
  for (const verbosity of [0, 1] as const) {
    const records: LogFields[] = []
    const subject = new Reporter((_level, _message, fields = {}) => records.push(fields), verbosity)
    const connection = new Connection(0)
    connection.peer = parseEndpoint('192.0.2.1:1') ?? null
    connection.showsPeer = true
    for (let time = 0; time < 3; time++) subject.report(connection, 'connect-failed')
    assert.equal(records.length, 1, `verbosity ${verbosity}`)
  }
})
