import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestApi } from '../api/test-api.ts'
import { isPretty, jsonText } from './answer-text.ts'

for (const [query, pretty] of [
  ['', true],
  ['prettyPrint=true', true],
  ['prettyPrint', true],
  ['$prettyPrint=false', false],
  ['prettyPrint=False&alt=json', false],
  ['prettyPrint=0', false],
] as const) {
  test(`an answer to ?${query} is ${pretty ? 'indented' : 'one line'}`, () => {
    const text = jsonText({ status: 200, body: { a: [1] }, isPretty: isPretty(new URLSearchParams(query)) })
    assert.equal(text, pretty ? '{\n  "a": [\n    1\n  ]\n}' : '{"a":[1]}')
  })
}

test('a prettyPrint that is neither true nor false is refused before anything is changed', async () => {
  const api = new TestApi()
  const body = { name: 'h', type: 'TCP', tcpHealthCheck: {} }
  for (const parameter of ['prettyPrint', '$prettyPrint']) {
    const path = `global/healthChecks?${parameter}=maybe`
    assert.match(
      await api.refusal('POST', path, body),
      /^400 invalidParameter: Invalid value 'maybe' for '\$?prettyPrint'/,
    )
  }
})

test('each part of a batch is written as it was asked for', async () => {
  const api = new TestApi()
  const part = (query: string) =>
    `--b\nContent-Type: application/http\n\nGET /compute/v1/projects/p/zones/z1-a?${query}\n\n\n`
  const { text } = await api.batch(
    'multipart/mixed; boundary=b',
    `${part('fields=name')}${part('fields=name&prettyPrint=false')}--b--\n`,
  )
  assert.match(text, /\{\n {2}"name": "z1-a"\n\}[\s\S]*\{"name":"z1-a"\}/)
})
