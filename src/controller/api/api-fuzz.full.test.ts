import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeCertificate, TestApi } from './test-api.ts'
import { fuzz, fuzzRequests } from './test-fuzz.ts'

const RUN_COUNT = 200_000
/** As many as one sample holds. */
const SAMPLE_COUNT = 5000
const BYTES_MAX = 10 * 1024 * 1024
/** For one body of 10 MB; others wait meanwhile. */
const ANSWER_MS_MAX = 1000

function* manyRequests() {
  const requests = fuzzRequests(makeCertificate())
  for (let count = 0; count < RUN_COUNT; count += SAMPLE_COUNT) yield* fc.sample(requests, SAMPLE_COUNT)
}

test('a long run of whatever is sent to any method: never a 500, never half a change, never a secret', async () => {
  const statuses = await fuzz(manyRequests())
  assert.ok((statuses.get(200) ?? 0) > RUN_COUNT / 50)
})

const count = BYTES_MAX / 16
const many = (item: (index: number) => string) => Array.from({ length: count }, (_, index) => item(index)).join(',')
const texts: Readonly<Record<string, string>> = {
  'a long text': `{"name":"${'x'.repeat(BYTES_MAX)}"}`,
  'a long text of control characters': `{"name":"b","description":"${'\\u0001'.repeat(BYTES_MAX / 6)}"}`,
  'a long text of commas': `{"name":"b","description":"${','.repeat(BYTES_MAX)}"}`,
  'many unknown fields': `{${many((index) => `"field${index}":1`)}}`,
  'many backends': `{"name":"b","backends":[${many(() => '{"group":"n"}')}]}`,
  'many lists': `{"name":"b","backends":[${many(() => '[]')}]}`,
  'many labels': `{"name":"r","labels":{${many((index) => `"l${index}":""`)}}}`,
  'deep lists': `{"name":"b","metadatas":${'['.repeat(5000)}${']'.repeat(5000)}}`,
  'deep mappings': `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
}

for (const [name, text] of Object.entries(texts)) {
  test(`a body of 10 MB is answered in time: ${name}`, async () => {
    const api = new TestApi()
    await api.makeGuide()
    const body: unknown = JSON.parse(text)
    for (const [method, path] of [
      ['POST', 'global/backendServices'],
      ['PATCH', 'global/backendServices/my-tcp-lb'],
      ['POST', 'global/forwardingRules'],
      ['PATCH', 'global/forwardingRules/my-tcp-lb-ipv4-forwarding-rule'],
      ['POST', 'zones/us-central1-b/instanceGroups/my-instance-group/addInstances'],
    ]) {
      const start = performance.now()
      const { status } = await api.send(method, path, body, text)
      assert.ok(performance.now() - start < ANSWER_MS_MAX, `${method} ${path} took ${performance.now() - start} ms`)
      assert.ok(status === 200 || (status >= 400 && status < 500), `${status}`)
      assert.deepEqual(api.errors, [])
    }
  })
}
