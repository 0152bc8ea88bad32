// Apache Libcloud’s driver for Compute Engine. It takes only links with https, waits for operations by their links, and
// reads places, images and sizes before it does anything.
import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { makeCertificate } from '../../src/controller/api/test-api.ts'
import { PROJECT, withGoogleNames } from './google-names.ts'

const LIBRARY = '/usr/lib/python3/dist-packages/libcloud'
const skip = existsSync(LIBRARY) ? false : 'python3-libcloud is not installed'

const PROGRAM = fileURLToPath(new URL('../../../test/peers/testdata/compute.py', import.meta.url))

test('Libcloud makes nodes, groups and the load balancer, changes them and takes them away', { skip }, async (t) => {
  await withGoogleNames(t, async ({ directory, roots, run }) => {
    const [token, certificate] = ['token.json', 'certificate.json'].map((name) => join(directory, name))
    const made = makeCertificate()
    writeFileSync(certificate, JSON.stringify({ certificate: made.certificate, private_key: made.privateKey }))
    writeFileSync(token, JSON.stringify({ access_token: 'ya29.test', expire_time: '2100-01-01T00:00:00Z' }))
    const { stdout, stderr } = await run('/usr/bin/python3', [PROGRAM, roots, token, certificate, PROJECT])
    assert.equal(stdout.trim(), 'ok', stderr)
  })
})
