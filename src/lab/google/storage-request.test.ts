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
  [`/storage/v1/b/${bucket}/managedFolders`, { kind: 'managed-folders', form: 'json', bucket }],
  [`/storage/v1/b/${bucket}/storageLayout`, { kind: 'layout', form: 'json', bucket }],
] as const) {
  test(`${url} asks for a ${asked.kind}`, () => assert.deepEqual(readStorageRequest('GET', url), asked))
}

for (const [method, url, asked] of [
  ['POST', '/storage/v1/b?project=p', { kind: 'make-bucket', form: 'json' }],
  ['GET', '/storage/v1/b?project=p', { kind: 'buckets', form: 'json' }],
  ['DELETE', `/storage/v1/b/${bucket}`, { kind: 'delete-bucket', form: 'json', bucket }],
  [
    'POST',
    `/upload/storage/v1/b/${bucket}/o?uploadType=media&name=a%2Fb`,
    { kind: 'upload', form: 'json', how: 'media', bucket, object: 'a/b' },
  ],
  [
    'POST',
    `/resumable/upload/storage/v1/b/${bucket}/o?uploadType=resumable`,
    { kind: 'upload', form: 'json', how: 'resumable', bucket, object: undefined },
  ],
  [
    'PUT',
    `/upload/storage/v1/b/${bucket}/o?uploadType=resumable&upload_id=s`,
    { kind: 'continue', form: 'json', bucket, session: 's' },
  ],
  ['PUT', `/${bucket}/a/b`, { kind: 'upload', form: 'xml', how: 'media', bucket, object: 'a/b' }],
  ['DELETE', `/storage/v1/b/${bucket}/o/a%2Fb`, { kind: 'delete', form: 'json', bucket, object: 'a/b' }],
  ['PATCH', `/storage/v1/b/${bucket}/o/a`, { kind: 'describe', form: 'json', bucket, object: 'a' }],
  [
    'POST',
    `/storage/v1/b/${bucket}/o/a/rewriteTo/b/other/o/b%20c`,
    { kind: 'rewrite', form: 'json', bucket, object: 'a', to: { bucket: 'other', object: 'b c' } },
  ],
] as const) {
  test(`${method} ${url} changes by ${asked.kind}`, () => assert.deepEqual(readStorageRequest(method, url), asked))
}

test('what the lab has not, and what is not asked for rightly, is refused in the form of its API', () => {
  for (const [method, url, form, status] of [
    ['POST', `/storage/v1/b/${bucket}/o/a/compose`, 'json', 501],
    ['POST', `/upload/storage/v1/b/${bucket}/o?uploadType=other`, 'json', 501],
    ['GET', `/storage/v1/b/${bucket}/iam`, 'json', 501],
    ['GET', '/storage/v1/x', 'json', 501],
    ['POST', `/${bucket}/${object}`, 'xml', 501],
    ['GET', '/', 'xml', 400],
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
