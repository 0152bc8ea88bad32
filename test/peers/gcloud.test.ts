import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noGcloud, withGcloud } from './gcloud.ts'

// Each run of gcloud takes seconds; the whole tour is in controller-gcloud.full.test.ts.

test('gcloud makes, refuses to make twice, and deletes, also several at once', { skip: noGcloud }, async () => {
  await withGcloud(async (gcloud) => {
    const create = ['health-checks', 'create', 'tcp', 'h1', '--port', '110']
    assert.match(
      await gcloud.succeed(...create),
      /^NAME +PROTOCOL\nh1 +TCP\nCreated \[http:\/\/127\.0\.0\.1:\d+\/compute\/v1\//m,
    )
    assert.match(await gcloud.fail(...create), /The resource 'projects\/p\/global\/healthChecks\/h1' already exists/)
    assert.match(
      await gcloud.fail('health-checks', 'delete', 'h1', 'h2', '--global'),
      /The resource 'projects\/p\/global\/healthChecks\/h2' was not found/,
    )
    assert.equal((await gcloud.run('health-checks', 'list', '--format=value(name)')).stdout, '')
  })
})
