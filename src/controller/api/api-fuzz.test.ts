import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeCertificate, TestApi } from './test-api.ts'
import { fuzz, fuzzRequests } from './test-fuzz.ts'

const RUN_COUNT = 3000

test('whatever is sent to any method: never a 500, never half a change, never a secret', async () => {
  const statuses = await fuzz(fc.sample(fuzzRequests(makeCertificate()), RUN_COUNT))
  // Otherwise the run has seen one side of the API only.
  for (const status of [200, 400, 404, 409]) assert.ok((statuses.get(status) ?? 0) > RUN_COUNT / 200, `${status}`)
})

test('whatever is sent as a batch: never a 500, and nothing is stored that was not acknowledged', async () => {
  const boundaries = fc.constantFrom('b', '--', '"b"', 'b c', '', 'b;', 'x'.repeat(300))
  const head = fc.constantFrom(
    'Content-Type: application/http\n\n',
    'Content-ID: <a+1>\n\n',
    '',
    '\n',
    '\r\n\r\n',
    ': \n\n',
  )
  const line = fc.constantFrom(
    'POST /compute/v1/projects/p/global/healthChecks HTTP/1.1\n\n',
    'GET /compute/v1/projects/p/global/healthChecks?filter=( HTTP/1.1\n\n',
    'DELETE //[ HTTP/1.1\n\n',
    'GET http://other/compute/v1/projects/p HTTP/1.1\n',
    'POST /batch/compute/v1 HTTP/1.1\n\n',
    'X'.repeat(100),
  )
  const body = fc.constantFrom('{"name":"h","type":"TCP","tcpHealthCheck":{}}', '{', '', '[]', '\u0000', '{"name":"h"}')
  const part = fc
    .tuple(fc.constantFrom('--b', '--b--', '\n--b', ''), head, line, body)
    .map((pieces) => pieces.join('\n'))
  const batches = fc.tuple(
    boundaries,
    fc.array(fc.oneof(part, fc.string()), { maxLength: 6 }),
    fc.constantFrom('--b--', ''),
  )
  const api = new TestApi()
  for (const [boundary, parts, end] of fc.sample(batches, 1000)) {
    const revision = api.store.revision()
    const text = `${parts.join('\n')}\n${end}`
    const answer = await api.batch(`multipart/mixed; boundary=${boundary}`, text)
    assert.deepEqual(api.errors, [], text)
    assert.ok(answer.status === 200 || answer.status === 400, text)
    const acknowledged = answer.text.split('"operationType": "insert"').length - 1
    assert.equal(api.store.revision() - revision, acknowledged, text)
    if (acknowledged > 0) await api.change('DELETE', 'global/healthChecks/h')
  }
})
