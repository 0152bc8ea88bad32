// Google's clients for Ruby and Go, as Debian has them: generated of an older discovery document than ours.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { testDirectory } from '../rig/directory.ts'
import { withController } from './gcloud.ts'

const run = promisify(execFile)
const GEMS = '/usr/share/rubygems-integration/all/specifications'
const GO_PACKAGES = '/usr/share/gocode'

const hasRuby = existsSync(GEMS) && readdirSync(GEMS).some((name) => name.startsWith('google-api-client-'))
const noRuby = hasRuby ? false : 'ruby-google-api-client is not installed'
const noGo =
  existsSync('/usr/bin/go') && existsSync(`${GO_PACKAGES}/src/google.golang.org/api/compute/v1`)
    ? false
    : 'golang-google-api-dev is not installed'

function program(name: string): string {
  return fileURLToPath(new URL(`../../../test/peers/testdata/${name}`, import.meta.url))
}

test('Ruby’s client makes the load balancer, pages, and changes and deletes in batches', { skip: noRuby }, async () => {
  await withController(async ({ url }) => {
    const { stdout } = await run('/usr/bin/ruby', [program('compute.rb'), url], { timeout: 60_000 })
    assert.equal(stdout.trim(), 'ok')
  })
})

test('Go’s client makes the load balancer, several resources at once, and pages', { skip: noGo }, async (t) => {
  const directory = testDirectory(t)
  const [binary, cache] = [join(directory, 'compute'), join(directory, 'cache')]
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: GO_PACKAGES, GOCACHE: cache, GOTOOLCHAIN: 'local' }
  await run('/usr/bin/go', ['build', '-o', binary, program('compute.go')], { env, timeout: 600_000 })
  await withController(async ({ url }) => {
    const { stdout } = await run(binary, [url], { timeout: 60_000 })
    assert.equal(stdout.trim(), 'ok')
  })
})
