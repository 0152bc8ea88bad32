import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rangeOf, readStorageRequest } from './storage-request.ts'

const [bucket, object] = ['startup-script-proxy', 'gommproxy-startup.bash']

for (const [url, asked] of [
  [`/${bucket}/${object}`, { kind: 'media', form: 'xml', bucket, object }],
  [`/${bucket}/a/b%20c`, { kind: 'media', form: 'xml', bucket, object: 'a/b c' }],
  [`/${bucket}`, { kind: 'bucket', form: 'xml', bucket }],
  [`/storage/v1/b/${bucket}/o/${object}`, { kind: 'object', form: 'json', bucket, object }],
  [`/storage/v1/b/${bucket}/o/a%2Fb?alt=media`, { kind: 'media', form: 'json', bucket, object: 'a/b' }],
  [`/download/storage/v1/b/${bucket}/o/${object}?alt=media`, { kind: 'media', form: 'json', bucket, object }],
  [
    `/storage/v1/b/${bucket}/o?prefix=a%2F&delimiter=%2F`,
    { kind: 'list', form: 'json', bucket, prefix: 'a/', delimiter: '/' },
  ],
  [`/storage/v1/b/${bucket}`, { kind: 'bucket', form: 'json', bucket }],
] as const) {
  test(`${url} asks for a ${asked.kind}`, () => assert.deepEqual(readStorageRequest('GET', url), asked))
}

test('nothing is written, and what is not asked for rightly is refused in the form of its API', () => {
  for (const [method, url, form, status] of [
    ['PUT', `/${bucket}/${object}`, 'xml', 403],
    ['POST', `/upload/storage/v1/b/${bucket}/o?uploadType=media&name=x`, 'json', 403],
    ['DELETE', `/storage/v1/b/${bucket}/o/${object}`, 'json', 403],
    ['GET', '/', 'xml', 400],
    ['GET', '/storage/v1/b', 'json', 400],
    ['GET', '/storage/v1/x', 'json', 400],
    ['GET', `/${bucket}/%zz`, 'xml', 400],
  ] as const) {
    const asked = readStorageRequest(method, url)
    assert.ok(asked.kind === 'refused', url)
    assert.deepEqual([asked.form, asked.status], [form, status], `${method} ${url}`)
  }
})

test('a range is a part of the object, or there is none', () => {
  assert.equal(rangeOf(undefined, 10), undefined)
  assert.equal(rangeOf('bytes=-', 10), undefined)
  assert.equal(rangeOf('lines=0-1', 10), undefined)
  assert.deepEqual(rangeOf('bytes=0-3', 10), { start: 0, end: 3 })
  assert.deepEqual(rangeOf('bytes=4-', 10), { start: 4, end: 9 })
  assert.deepEqual(rangeOf('bytes=4-99', 10), { start: 4, end: 9 })
  assert.deepEqual(rangeOf('bytes=-3', 10), { start: 7, end: 9 })
  assert.deepEqual(rangeOf('bytes=-99', 10), { start: 0, end: 9 })
  assert.equal(rangeOf('bytes=10-', 10), 'none')
  assert.equal(rangeOf('bytes=5-4', 10), 'none')
})
