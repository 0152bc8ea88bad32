import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answererOf, hostsLines } from './google-names.ts'

for (const [host, url, answerer] of [
  ['compute.googleapis.com', '/compute/v1/projects/p', 'controller'],
  ['Compute.GoogleAPIs.com.:443', '/compute/v1/projects/p', 'controller'],
  ['networkservices.googleapis.com', '/v1/projects/p/locations/global/serviceLbPolicies', 'controller'],
  ['www.googleapis.com', '/compute/v1/projects/p', 'controller'],
  ['www.googleapis.com', '/oauth2/v3/tokeninfo', 'oauth'],
  ['oauth2.googleapis.com', '/token', 'oauth'],
  ['www.googleapis.com', '/storage/v1/b/bucket', 'storage'],
  ['www.googleapis.com', '/download/storage/v1/b/bucket/o/object', 'storage'],
  ['www.googleapis.com', '/resumable/upload/storage/v1/b/bucket/o', 'storage'],
  ['storage.googleapis.com', '/bucket/object', 'storage'],
  ['iam.googleapis.com', '/v1/projects/p/serviceAccounts', undefined],
  ['compute.googleapis.com', '/storage/v1/b/bucket', 'controller'],
  ['evil.example', '/compute/v1/projects/p', undefined],
  [undefined, '/', undefined],
] as const) {
  test(`${host}${url} is answered by ${answerer ?? 'nobody'}`, () => assert.equal(answererOf(host, url), answerer))
}

test('a machine finds the metadata server by each of its names, and Google by both versions of IP', () => {
  const lines = hostsLines('169.254.169.254').trimEnd().split('\n')
  assert.deepEqual(lines[0].split(' ').slice(0, 2), ['169.254.169.254', 'metadata.google.internal'])
  assert.equal(lines.filter((line) => line.includes(' storage.googleapis.com')).length, 2)
})
