// What the doctor says of the controller that an agent follows; the rest of it is in host-doctor.test.ts.

import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { before, type TestContext, test } from 'node:test'
import { createToken } from '../../src/controller/store/tokens.ts'
import type { Finding } from '../../src/host/finding.ts'
import { runProgram } from '../../src/linux/run.ts'
import { change, edgesOf, type LiveController, startController, TEST_ZONE } from '../rig/controller.ts'
import { testDirectory } from '../rig/directory.ts'
import { TRUEPEER } from '../rig/truepeer.ts'

// Without it, the doctor's own connection would wait for its end each time.
before(async () => assert.equal((await runProgram(TRUEPEER, ['host-setup', 'apply'])).exitCode, 0))

type Examined = Readonly<Record<string, Pick<Finding, 'status' | 'detail' | 'remedy'>>>

/** Runs the doctor and returns what it found of the controller, by name. */
async function examine(words: readonly string[], subject: 'agent' | 'edge' = 'agent'): Promise<Examined> {
  const { stdout, stderr } = await runProgram(TRUEPEER, ['doctor', subject, ...words, '--json'])
  assert.notEqual(stdout, '', stderr)
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] }
  const names = /^(controller|controller-edges|controller-instance|state-directory|last-edges)$/
  const found = findings.filter(({ name }) => names.test(name))
  for (const { name, status, remedy } of found) assert.equal(remedy === '', status === 'ok', `remedy of ${name}`)
  return Object.fromEntries(found.map(({ name, ...rest }) => [name, rest]))
}

function problems(examined: Examined): Record<string, string> {
  const entries = Object.entries(examined).filter(([, { status }]) => status !== 'ok')
  return Object.fromEntries(entries.map(([name, { status }]) => [name, status]))
}

function following(controller: string, state: string): string[] {
  return ['-l', '127.0.0.9:1100', '--controller', controller, '--instance', 'web-1', '--state', state]
}

/** A controller that knows the instance `web-1` and an edge, and a folder where an agent has kept it. */
async function goodController(
  t: TestContext,
): Promise<{ readonly controller: LiveController; readonly directory: string; readonly words: readonly string[] }> {
  const directory = testDirectory(t)
  const controller = await startController(undefined, join(directory, 'data'), [])
  t.after(() => controller.program.kill())
  const zone = `zones/${TEST_ZONE}`
  await change(controller, 'POST', `${zone}/instances`, {
    name: 'web-1',
    machineType: `${zone}/machineTypes/e2-micro`,
    networkInterfaces: [{ networkIP: '10.128.0.2' }],
  })
  const report = { applied: { generation: '', version: 0 }, health: {}, sources: ['35.191.0.9'] }
  assert.equal((await controller.ask('POST', '/truepeer/v1/edges/edge-1/status', report)).status, 200)
  const state = join(directory, 'state')
  mkdirSync(state, { mode: 0o700 })
  writeFileSync(join(state, 'agent-web-1.json'), '["35.191.0.9"]', { mode: 0o600 })
  return { controller, directory, words: following(controller.url, state) }
}

/** Makes a token and the words by which an agent uses it. */
function tokenWords({ directory }: LiveController, role: 'agent' | 'edge'): string[] {
  const file = join(directory, `token-${role}`)
  writeFileSync(file, createToken(directory, { user: 'web-1', role }), { mode: 0o600 })
  return ['--token-file', file]
}

test('a controller that answers, knows the instance and an edge, and a folder in order are no finding', async (t) => {
  const { controller, directory, words } = await goodController(t)
  const examined = await examine([...words, ...tokenWords(controller, 'agent')])
  assert.deepEqual(problems(examined), {})
  assert.match(examined['controller-instance'].detail, /projects\/truepeer\/zones\/us-central1-b\/instances\/web-1/)
  assert.match(examined['last-edges'].detail, /^1 addresses in/)
  const fresh = await examine(following(controller.url, join(directory, 'new/state')))
  assert.deepEqual(problems(fresh), {})
  assert.match(fresh['state-directory'].detail, /does not exist yet, and can be created/)

  const file = join(directory, 'agent.yaml')
  const listener = '{ listen: "127.0.0.9:1100" }'
  writeFileSync(
    file,
    `{controller: "${controller.url}", instance: other, state: "${join(directory, 'state')}", listeners: [${listener}]}`,
  )
  const other = await examine(['--config', file])
  assert.deepEqual(problems(other), { 'controller-instance': 'warn' })
  assert.match(other['controller-instance'].remedy, /give that with "instance" in the file/)
})

test('a token that is wrong, or of another role, is found, and the remedy makes the right one', async (t) => {
  const { controller, directory, words } = await goodController(t)
  const role = await examine([...words, ...tokenWords(controller, 'edge')])
  assert.deepEqual(problems(role), { controller: 'fail' })
  assert.match(role.controller.detail, /status 403: This token may not act for an agent/)
  const file = join(directory, 'wrong')
  writeFileSync(file, `tp_${'0'.repeat(12)}_${'A'.repeat(43)}`, { mode: 0o600 })
  const wrong = await examine([...words, '--token-file', file])
  assert.match(wrong.controller.detail, /status 401/)
  assert.match(wrong.controller.remedy, /token create --user web-1 --role agent.* into the file of --token-file/)
  const none = await examine([...words, '--token-file', join(directory, 'none')])
  assert.match(none.controller.detail, /does not answer \(--token-file ".*none": the file cannot be read \(ENOENT/)
})

test('only a token of this very edge is well for its doctor, which reports nothing in its name', async (t) => {
  const { controller, directory } = await goodController(t)
  const words = ['--controller', controller.url, '--name', 'web-1', '--state', join(directory, 'state')]
  assert.deepEqual(problems(await examine([...words, ...tokenWords(controller, 'edge')], 'edge')), {})
  const { controller: agent } = await examine([...words, ...tokenWords(controller, 'agent')], 'edge')
  assert.equal(agent.status, 'fail')
  assert.match(agent.detail, /status 403: This token may not speak for the edge "web-1"/)
  assert.match(agent.remedy, /token create --user web-1 --role edge.* into the file of --token-file/)
  const other = [...words.with(3, 'web-2'), '--token-file', join(controller.directory, 'token-edge')]
  assert.deepEqual(problems(await examine(other, 'edge')), { controller: 'fail' })
  assert.deepEqual(
    (await edgesOf(controller)).map(({ name }) => name),
    ['edge-1'],
  )
})

test('a controller that is away, or is none, and one that no edge follows are found', async (t) => {
  const { controller, directory, words } = await goodController(t)
  assert.equal((await controller.ask('DELETE', '/truepeer/v1/edges/edge-1')).status, 200)
  assert.deepEqual(problems(await examine(words)), { 'controller-edges': 'warn' })
  controller.program.kill()
  await controller.program.exited
  assert.deepEqual(problems(await examine(words)), { controller: 'fail' })
  const socket = join(directory, 'other.sock')
  const server = createServer((_request, response) => response.end('{"instances": 1}')).listen(socket)
  t.after(() => server.close())
  const state = join(directory, 'state')
  assert.match(
    (await examine(following(`unix:${socket}`, state))).controller.detail,
    /the server there is not a controller/,
  )
})

test('a folder and a file that others can write, cannot be written or read, are found', async (t) => {
  const { directory, words } = await goodController(t)
  const state = join(directory, 'state')
  const file = join(state, 'agent-web-1.json')
  for (const mode of [0o644, 0o660]) {
    chmodSync(file, mode)
    assert.deepEqual(problems(await examine(words)), { 'last-edges': 'fail' }, mode.toString(8))
  }
  chmodSync(file, 0o600)
  for (const text of ['', '[1]', '{}', '["35.191.0.9"']) {
    writeFileSync(file, text)
    assert.deepEqual(problems(await examine(words)), { 'last-edges': 'fail' }, text)
  }
  writeFileSync(file, '[]')
  chmodSync(state, 0o770)
  assert.deepEqual(problems(await examine(words)), { 'state-directory': 'fail' })
  // As root, every folder can be written, but for one that is none.
  const none = await examine([...words.slice(0, -1), file])
  assert.deepEqual(problems(none), { 'state-directory': 'fail', 'last-edges': 'fail' })
})
