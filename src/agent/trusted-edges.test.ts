import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { formatCidr } from '../address/cidr.ts'
import { ControllerClient } from '../feed/controller-client.ts'
import type { Log } from '../telemetry/log.ts'
import { parseLastEdges, TrustedEdges } from './trusted-edges.ts'

type LogRecord = { readonly level: string; readonly message: string; readonly problem: unknown }

/** A place for what is kept, in a folder that is not there yet. */
function stateFile(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'trusted-edges-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return join(directory, 'state', 'agent-web.json')
}

/** What a test knows of the edges that an agent with this file trusts, and what it logs. */
function open(t: TestContext, file: string, socketPath = '/nowhere') {
  const records: LogRecord[] = []
  const waiting: (() => void)[] = []
  const log: Log = (level, message, fields = {}) => {
    records.push({ level, message, problem: fields.problem })
    for (const wake of waiting.splice(0)) wake()
  }
  const client = new ControllerClient(
    { kind: 'unix', path: socketPath },
    { readToken: () => undefined, readCa: () => undefined },
  )
  const edges = new TrustedEdges({ client, instance: 'web 1', file, log })
  t.after(() => edges.stop())
  const subnets = (): readonly string[] => edges.subnets().map(formatCidr)
  return {
    edges,
    records,
    subnets,
    /** Waits for a record like this. */
    async logged(pattern: RegExp): Promise<LogRecord> {
      for (;;) {
        const found = records.find(({ message, problem }) => pattern.test(`${message} ${String(problem)}`))
        if (found !== undefined) return found
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
    },
  }
}

/** A controller that says what it is told to. */
async function startController(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'controller-'))
  const socketPath = join(directory, 'socket')
  const paths: string[] = []
  let follower: ServerResponse | undefined
  const server = createServer((request, response) => {
    paths.push(request.url ?? '')
    follower = response
    server.emit('followed')
  })
  server.listen(socketPath)
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
    rmSync(directory, { recursive: true })
  })
  return {
    socketPath,
    paths,
    followed: () => once(server, 'followed'),
    isFollowed: () => follower !== undefined && !follower.destroyed,
    closed: async () => follower && once(follower, 'close'),
    say: (...lines: readonly unknown[]) => follower?.write(lines.map((line) => `${JSON.stringify(line)}\n`).join('')),
  }
}

const sources = (...addresses: readonly unknown[]) => ({ type: 'sources', addresses })

/** Follows a controller; each change is waited for. */
async function follow(t: TestContext, file = stateFile(t)) {
  const controller = await startController(t)
  const opened = open(t, file, controller.socketPath)
  let changes = 0
  let onChange = (): void => {}
  const followed = controller.followed()
  opened.edges.start(() => {
    changes += 1
    onChange()
  })
  await followed
  return {
    ...opened,
    controller,
    file,
    changes: () => changes,
    async hear(...lines: readonly unknown[]): Promise<void> {
      const changed = new Promise<void>((resolve) => {
        onChange = resolve
      })
      controller.say(...lines)
      await changed
    },
  }
}

test('an agent asks for the edges under its own name and trusts the addresses that it is told', async (t) => {
  const { controller, subnets, hear } = await follow(t)
  assert.deepEqual(subnets(), [])
  await hear(sources('192.0.2.7', '2001:db8::7'))
  assert.deepEqual(subnets(), ['192.0.2.7/32', '2001:db8::7/128'])
  assert.deepEqual(controller.paths, ['/truepeer/v1/sources?name=web+1'])
  await hear(sources('192.0.2.8/32'))
  assert.deepEqual(subnets(), ['192.0.2.8/32'], 'the last list counts, and it alone')
  await hear(sources())
  assert.deepEqual(subnets(), [], 'an empty list is an answer, too')
})

for (const addresses of [
  ['192.0.2.0/24'],
  ['192.0.2.7', '0.0.0.0/0'],
  ['192.0.2.6/31'],
  ['::/0'],
  ['2001:db8::/127'],
  ['everybody'],
  [''],
  [7],
  [null],
] as const) {
  test(`a controller that says ${JSON.stringify(addresses)} is not believed, in no part`, async (t) => {
    const { subnets, hear, controller, changes, logged, file } = await follow(t)
    await hear(sources('203.0.113.5'))
    controller.say(sources(...addresses))
    const { level } = await logged(/cannot be followed .*an edge with an address that is not of a single host/)
    assert.equal(level, 'warn')
    assert.deepEqual(subnets(), ['203.0.113.5/32'])
    assert.equal(changes(), 1)
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), ['203.0.113.5'])
  })
}

for (const addresses of ['192.0.2.7', { 0: '192.0.2.7', length: 1 }, null]) {
  test(`${JSON.stringify(addresses)} is no list of edges`, async (t) => {
    const { subnets, controller, logged } = await follow(t)
    controller.say({ type: 'sources', addresses })
    await logged(/cannot be followed .*an invalid list of edges/)
    assert.deepEqual(subnets(), [])
  })
}

test('what is no list and what says the same again changes nothing', async (t) => {
  const { hear, changes, subnets } = await follow(t)
  await hear({ type: 'alive' }, { type: 'else', addresses: ['192.0.2.1'] }, sources('192.0.2.7'))
  await hear(sources('192.0.2.7'), sources('192.0.2.7/32'), sources('192.0.2.8'))
  assert.equal(changes(), 2)
  assert.deepEqual(subnets(), ['192.0.2.8/32'])
})

test('the last edges are known at the next start; nobody but the owner can read or change them', async (t) => {
  const { hear, file, edges } = await follow(t)
  await hear(sources('192.0.2.7', '2001:db8::7'))
  edges.stop()
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(statSync(dirname(file)).mode & 0o777, 0o700)
  const again = open(t, file)
  assert.deepEqual(again.subnets(), ['192.0.2.7/32', '2001:db8::7/128'])
  assert.deepEqual(again.records, [])
})

test('what is left of an unfinished file is not written through: it may lead elsewhere', async (t) => {
  const file = stateFile(t)
  mkdirSync(dirname(file))
  const elsewhere = join(dirname(file), 'elsewhere')
  writeFileSync(elsewhere, 'precious')
  symlinkSync(elsewhere, `${file}.partial`)
  const { hear } = await follow(t, file)
  await hear(sources('192.0.2.7'))
  assert.equal(readFileSync(elsewhere, 'utf8'), 'precious')
  assert.deepEqual(parseLastEdges(readFileSync(file, 'utf8')).map(formatCidr), ['192.0.2.7/32'])
})

test('edges that cannot be kept are trusted all the same, and the operator hears of it', async (t) => {
  const file = stateFile(t)
  writeFileSync(dirname(file), 'no folder')
  const { hear, subnets, records } = await follow(t, file)
  assert.match(
    `${records[0]?.level} ${records[0]?.message}`,
    /^error The list of edges from the last run cannot be read/,
  )
  // At once, and not only when there is something to keep.
  const isTold = (): boolean =>
    records.some(({ level, message }) => level === 'error' && /cannot be saved/.test(message))
  assert.ok(isTold())
  records.length = 0
  await hear(sources('192.0.2.7'))
  assert.deepEqual(subnets(), ['192.0.2.7/32'])
  assert.ok(isTold())
})

test('without a file nobody is trusted, which is no fault', (t) => {
  const { subnets, records } = open(t, stateFile(t))
  assert.deepEqual(subnets(), [])
  assert.deepEqual(
    records.map(({ level, message }) => [level, message]),
    [['info', 'nobody is trusted until the controller answers']],
  )
})

for (const [what, text, mode] of [
  ['names a network', '["192.0.2.0/24"]', 0o600],
  ['is no JSON', '["192.0.2.7"', 0o600],
  ['is no list', '{"edges":[]}', 0o600],
  ['others may change', '["192.0.2.7"]', 0o620],
  ['others may read', '["192.0.2.7"]', 0o604],
] as const) {
  test(`a file of last edges that ${what} makes nobody trusted, and is named`, (t) => {
    const file = stateFile(t)
    mkdirSync(dirname(file))
    writeFileSync(file, text)
    chmodSync(file, mode)
    const { subnets, records } = open(t, file)
    assert.deepEqual(subnets(), [])
    assert.equal(records.length, 1)
    assert.match(
      `${records[0]?.level} ${records[0]?.message}`,
      /^error The list of edges from the last run cannot be read; nobody is trusted/,
    )
  })
}

test('a controller that is not followed any more is left', async (t) => {
  const { hear, controller, edges } = await follow(t)
  await hear(sources('192.0.2.7'))
  assert.ok(controller.isFollowed())
  const closed = controller.closed()
  edges.stop()
  await closed
  assert.ok(!controller.isFollowed())
})

for (const address of [
  '127.0.0.1',
  '::1',
  '0.0.0.0',
  '::',
  '::ffff:127.0.0.1',
  '64:ff9b::7f00:1',
  '169.254.1.1',
  'fe80::1',
  'ff02::1',
]) {
  test(`a controller that names ${address} is not believed: every user here could be that edge`, async (t) => {
    const { subnets, hear, controller, logged } = await follow(t)
    await hear(sources('203.0.113.5'))
    controller.say(sources('192.0.2.7', address))
    await logged(/cannot be followed .*an edge with an address that is not of a single host/)
    assert.deepEqual(subnets(), ['203.0.113.5/32'])
  })
}

for (const [count, problem] of [
  [16_385, /cannot be followed .*more than 16384 edges/],
  [100_000, /cannot be followed .*longer than 1 MiB/],
] as const) {
  test(`a controller that names ${count} edges is not believed: an agent could not look through them`, async (t) => {
    const { subnets, controller, logged } = await follow(t)
    controller.say(sources(...Array(count).fill('192.0.2.7')))
    await logged(problem)
    assert.deepEqual(subnets(), [])
  })
}

test('a controller of another database without edges is not believed by itself, and one with edges is', async (t) => {
  const { hear, controller, subnets, changes, logged, records, file } = await follow(t)
  const said = (generation: string, ...addresses: string[]) => ({ type: 'sources', generation, addresses })
  await hear(said('a', '192.0.2.7'))
  controller.say(said('b'), said('b'))
  await logged(/another database, which has no edges; the edges known before are still trusted/)
  assert.deepEqual(subnets(), ['192.0.2.7/32'])
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), { generation: 'a', addresses: ['192.0.2.7'] })
  await hear(said('b', '192.0.2.8'))
  assert.deepEqual(subnets(), ['192.0.2.8/32'])
  assert.deepEqual(parseLastEdges(readFileSync(file, 'utf8')).map(formatCidr), ['192.0.2.8/32'])
  await hear(said('b'))
  assert.deepEqual(subnets(), [], 'within one database an empty list is an answer')
  assert.equal(changes(), 3)
  assert.equal(records.filter(({ message }) => /another database/.test(message)).length, 1)
})

test('the generation of the last edges is known at the next start', async (t) => {
  const file = stateFile(t)
  mkdirSync(dirname(file), { mode: 0o700 })
  writeFileSync(file, '{"generation":"a","addresses":["192.0.2.7"]}', { mode: 0o600 })
  const { controller, subnets, logged } = await follow(t, file)
  controller.say({ type: 'sources', generation: 'b', addresses: [] })
  await logged(/another database/)
  assert.deepEqual(subnets(), ['192.0.2.7/32'])
})
