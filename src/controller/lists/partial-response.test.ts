import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mapping } from '../../compute/json-value.ts'
import { TestApi } from '../api/test-api.ts'
import { partOf, readFields } from './partial-response.ts'

function part(value: Mapping, fields: string): Mapping {
  const paths = readFields(new URLSearchParams({ fields }))
  return paths === undefined ? value : partOf(value, paths)
}

const value = {
  kind: 'list',
  items: [{ name: 'a', tags: { items: ['x'], fingerprint: 'f' } }, { name: 'b' }],
  scopes: { 'zones/z': { list: [1] }, global: { warning: 'w' } },
  nextPageToken: 't',
}

const parts: readonly (readonly [fields: string, part: Mapping])[] = [
  ['', value],
  ['*', value],
  ['kind', { kind: 'list' }],
  ['items(name),nextPageToken', { items: [{ name: 'a' }, { name: 'b' }], nextPageToken: 't' }],
  ['items/tags/items', { items: [{ tags: { items: ['x'] } }, {}] }],
  ['items(tags(items),name)', { items: [{ name: 'a', tags: { items: ['x'] } }, { name: 'b' }] }],
  ['items/name,items/tags(fingerprint)', { items: [{ name: 'a', tags: { fingerprint: 'f' } }, { name: 'b' }] }],
  ['items,items/name', { items: value.items }],
  ['scopes/*/list', { scopes: { 'zones/z': { list: [1] }, global: {} } }],
  ['*/name', { items: [{ name: 'a' }, { name: 'b' }], scopes: {} }],
  ['kind/x,unknown,__proto__,constructor', {}],
]

for (const [fields, expected] of parts) {
  test(`fields=${fields} gives that part of an answer`, () => assert.deepEqual(part(value, fields), expected))
}

const deep = `a${'/a'.repeat(16)}`
const mistakes = [
  ',',
  'a,',
  ',a',
  '/a',
  'a/',
  'a//b',
  'a(',
  'a)',
  'a()',
  'a(b',
  'a(b))',
  '(a)',
  'a(b)c',
  'a(b)/c',
  '*a',
]
for (const fields of [...mistakes, 'a b', 'a.b', 'é', '\u0000', deep, 'a('.repeat(3000), `${'a,'.repeat(200)}a`]) {
  test(`fields=${fields.slice(0, 20)} is refused`, () => {
    assert.throws(() => part(value, fields), { status: 400, message: /^Invalid field selection / })
  })
}

test('a get, a list, a change and each part of a batch are answered with the fields that were asked for', async () => {
  const api = new TestApi()
  await api.makeGuide()
  const service = 'global/backendServices/my-tcp-lb'
  assert.deepEqual(await api.get(`${service}?fields=name,backends(balancingMode)`), {
    name: 'my-tcp-lb',
    backends: [{ balancingMode: 'UTILIZATION' }],
  })
  const list = await api.get('zones/us-central1-b/instances?fields=items/name,nextPageToken&maxResults=500')
  assert.deepEqual(list, { items: [{ name: 'my-backend' }] })
  const aggregated = await api.get('aggregated/instances?fields=items/*/instances/name')
  assert.deepEqual(aggregated, { items: { 'zones/us-central1-b': { instances: [{ name: 'my-backend' }] } } })
  const { fingerprint } = await api.get(service)
  const { body } = await api.send('PATCH', `${service}?fields=status`, { timeoutSec: 9, fingerprint })
  assert.deepEqual(body, { status: 'DONE' })
  const part = `GET /compute/v1/projects/p/${service}?fields=timeoutSec&prettyPrint=false HTTP/1.1`
  const { text } = await api.batch(
    'multipart/mixed; boundary=b',
    `--b\nContent-Type: application/http\nContent-ID: <1>\n\n${part}\n\n\n--b--\n`,
  )
  assert.match(text, /\r\n\{"timeoutSec":9\}\r\n/)
})

test('fields that cannot be read are refused as Google does, before anything is changed', async () => {
  const api = new TestApi()
  const path = 'global/healthChecks?fields=items('
  assert.match(await api.refusal('POST', path, { name: 'h', type: 'TCP', tcpHealthCheck: {} }), /^400 invalidParameter/)
  const { body } = await api.send('GET', path)
  const [detail] = (body.error as { errors: readonly Mapping[] }).errors
  assert.deepEqual([detail.location, detail.locationType], ['fields', 'parameter'])
})
