import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { testDirectory } from '../../test/rig/directory.ts'
import { simple } from '../../test/rig/resources.ts'
import { parseEdge } from '../cli/edge.ts'
import { edgeToExamine } from './edge-examination.ts'

test('the doctor reads the ticket keys as an edge does at its start', (t) => {
  const folder = testDirectory(t)
  const config = join(folder, 'edge.json')
  const keys = join(folder, 'ticket-keys')
  writeFileSync(config, JSON.stringify(simple('192.0.2.1:110', ['192.0.2.2:110'])))
  const problems = () => edgeToExamine(parseEdge(['--config', config, '--tls-ticket-keys', keys])).problems.join()

  assert.match(problems(), /ticket-keys.*cannot be read/)
  writeFileSync(keys, 'no key\n', { mode: 0o600 })
  assert.match(problems(), /ticket-keys/)
  writeFileSync(keys, `${'ab'.repeat(80)}\n`)
  assert.equal(problems(), '')
  chmodSync(keys, 0o644)
  assert.match(problems(), /ticket-keys.*other users can read it/)
})

test('what is watched has to be a file', (t) => {
  const config = join(testDirectory(t), 'edge.json')
  execFileSync('mkfifo', [config])
  const { problems } = edgeToExamine(parseEdge(['--config', config, '--watch']))
  assert.match(problems.join(), /edge\.json: .*\(it is not a file, and only files can be watched\)/)
})
