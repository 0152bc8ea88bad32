import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type MetadataRefusal, type MetadataRequest, notFound, readMetadataRequest } from './metadata-request.ts'

const V1 = '/computeMetadata/v1'
const flavor = { 'metadata-flavor': 'Google' }

function asked(url: string, method = 'GET'): MetadataRequest {
  const read = readMetadataRequest({ method, url, headers: flavor })
  assert.ok(!('status' in read), JSON.stringify(read))
  return read
}

function refused(url: string, headers: Record<string, string> = flavor, method = 'GET'): MetadataRefusal {
  const read = readMetadataRequest({ method, url, headers })
  assert.ok('status' in read, JSON.stringify(read))
  return read
}

test('a path is its names, however many slashes there are between them', () => {
  const { path, hasSlash } = asked(`${V1}//instance///attributes/`)
  assert.deepEqual([path, hasSlash], [['computeMetadata', 'v1', 'instance', 'attributes'], true])
  assert.deepEqual(asked(`${V1}/instance/attributes/a%2Fb`).path.at(-1), 'a/b')
  assert.equal(asked(`${V1}/instance/id`).hasSlash, false)
})

test('whether an answer is recursive is said in any case', () => {
  assert.equal(asked(`${V1}/?recursive=true`).isRecursive, true)
  assert.equal(asked(`${V1}/?recursive=True`).isRecursive, true)
  assert.equal(asked(`${V1}/?recursive=false`).isRecursive, false)
  assert.equal(asked(`${V1}/`).isRecursive, false)
})

test('a wait ends after 300 s at the latest', () => {
  assert.equal(asked(`${V1}/?last_etag=0`).wait, undefined)
  assert.deepEqual(asked(`${V1}/?wait_for_change=true&last_etag=NONE&timeout_sec=60`).wait, {
    lastEtag: 'NONE',
    seconds: 60,
  })
  assert.deepEqual(asked(`${V1}/?wait_for_change=true`).wait, { lastEtag: undefined, seconds: 300 })
  assert.equal(asked(`${V1}/?wait_for_change=true&timeout_sec=999999`).wait?.seconds, 300)
  for (const seconds of ['', '-1', '1.5', 'x', '99999999999'])
    assert.equal(refused(`${V1}/?wait_for_change=true&timeout_sec=${seconds}`).status, 400, seconds)
})

test('without the header nothing but the root is answered', () => {
  assert.match(refused(`${V1}/instance/id`, {}).message, /Missing Metadata-Flavor:Google header/)
  assert.equal(refused(`${V1}/`, { 'metadata-flavor': 'Googles' }).status, 403)
  assert.ok(!('status' in readMetadataRequest({ method: 'GET', url: '/', headers: {} })))
})

test('of a long path only a part is repeated', () => {
  assert.ok(refused(`${V1}/${'x'.repeat(10_000)}`, {}).message.length < 500)
  assert.ok(notFound('x'.repeat(10_000)).message.length < 500)
})

test('a request that was passed on, or made by a web page, is refused', () => {
  assert.equal(refused(`${V1}/`, { ...flavor, 'x-forwarded-for': '192.0.2.1' }).status, 403)
  assert.equal(refused(`${V1}/`, { ...flavor, host: 'evil.example' }).status, 403)
  for (const host of ['metadata.google.internal', 'metadata.google.internal.:80', 'METADATA', '169.254.169.254:80'])
    assert.ok(!('status' in readMetadataRequest({ method: 'GET', url: `${V1}/`, headers: { ...flavor, host } })), host)
})

test('what cannot be meant is refused', () => {
  assert.equal(refused(`${V1}/%zz`).status, 400)
  assert.equal(refused(`${V1}/?alt=xml`).status, 400)
  assert.equal(refused(`${V1}/`, flavor, 'POST').status, 405)
})
