import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runProgram } from '../../linux/run.ts'

const NAMESPACES = new URL('../private-namespaces.js', import.meta.url).href
const SCRIPT = `
const { runInPrivateNamespaces } = await import('${NAMESPACES}')
process.exitCode = await runInPrivateNamespaces(process.argv[1])`
const asOrdinaryUser = ['--reuid=65534', '--regid=65534', '--clear-groups']
const { exitCode, stderr } = await runProgram('setpriv', [
  ...asOrdinaryUser,
  'node',
  '--check',
  here('machine.test.js'),
])

function here(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url))
}

for (const name of ['machine.test.js', 'lab-machines.test.js']) {
  test(`the machines of an ordinary user pass ${name}`, {
    skip: exitCode !== 0 && `no other user here: ${stderr}`,
  }, async () => {
    // It is a run of its own, not a part of this one.
    const environment = ['env', '-u', 'NODE_TEST_CONTEXT', 'NODE_OPTIONS=--test-reporter=tap']
    const args = [...asOrdinaryUser, ...environment, 'node', '--input-type=module', '--eval', SCRIPT, here(name)]
    const result = await runProgram('setpriv', args, { timeoutMs: 120_000 })
    assert.equal(result.exitCode, 0, result.stdout + result.stderr)
    assert.match(result.stdout, /^# pass [1-9]/m)
    assert.match(result.stdout, /^# skipped 0$/m)
  })
}
