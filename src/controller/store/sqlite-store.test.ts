import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Libsql from 'libsql'
import { databasePath } from './data-directory.ts'
import { migrate, schemaVersion } from './sqlite-schema.ts'
import { SqliteStore } from './sqlite-store.ts'
import { StoreError } from './store.ts'
import { CREATED, operation, put, remove, testStoreContract } from './test-store-contract.ts'
import { identify } from './token.ts'
import { createToken, revokeToken } from './tokens.ts'

const root = mkdtempSync(join(tmpdir(), 'truepeer-store-'))
after(() => rmSync(root, { recursive: true, force: true }))
let directories = 0

function newDirectory(): string {
  directories += 1
  return join(root, `${directories}`)
}

const clock = (): number => Date.parse(CREATED)

testStoreContract('a store of SQLite', () => new SqliteStore(newDirectory(), clock))

test('everything is there again when the store is opened again', async () => {
  const directory = newDirectory()
  const first = new SqliteStore(directory, clock)
  await first.commit({ changes: [put('b'), put('a')], operation: operation('op'), meta: { number: '7' } })
  await first.commit({ changes: [remove('b')] })
  const key = { project: 'lab', collection: 'sslCertificates', scope: 'global', name: 'c' }
  const secret = { privateKey: 'PEM' }
  await first.commit({ changes: [{ put: { ...key, id: '1', created: CREATED, resource: {}, secret } }] })
  const generation = first.meta('generation')
  const resources = first.all()
  first.close()
  const second = new SqliteStore(directory)
  assert.deepEqual(second.all(), resources)
  assert.deepEqual(second.get('lab', 'sslCertificates', 'global', 'c')?.secret, secret)
  assert.equal(second.revision(), 3)
  assert.deepEqual(second.operation('lab', 'global', 'op'), operation('op'))
  assert.equal(second.meta('number'), '7')
  assert.match(generation ?? '', /^[0-9a-f]{32}$/)
  assert.equal(second.meta('generation'), generation)
  second.close()
})

test('a token that a command makes or revokes beside the store counts at once, and is there again later', () => {
  const directory = newDirectory()
  const store = new SqliteStore(directory, clock)
  const identity = { user: 'edge-1', role: 'edge' } as const
  const text = createToken(directory, identity)
  assert.deepEqual(identify(text, store), identity)
  store.close()
  const again = new SqliteStore(directory, clock)
  const [{ id }, ...others] = again.tokens()
  assert.deepEqual(others, [])
  assert.deepEqual(again.token(id), again.tokens()[0])
  assert.equal(revokeToken(directory, id), true)
  assert.equal(revokeToken(directory, id), false)
  assert.deepEqual([again.token(id), again.tokens()], [undefined, []])
  again.close()
})

test('only the owner can read the files, whatever the mask of the process is', async () => {
  const mask = process.umask(0)
  const directory = newDirectory()
  try {
    const store = new SqliteStore(directory)
    await store.commit({ changes: [put('a')] })
    assert.equal(statSync(directory).mode & 0o777, 0o700)
    const files = readdirSync(directory)
    assert.ok(files.includes('controller.db') && files.includes('controller.db-wal'), files.join(' '))
    for (const file of files) assert.equal(statSync(join(directory, file)).mode & 0o777, 0o600, file)
    store.close()
  } finally {
    process.umask(mask)
  }
})

test('a second store on the same directory is refused, and may have it afterwards', async () => {
  const directory = newDirectory()
  const first = new SqliteStore(directory)
  assert.throws(() => new SqliteStore(directory), {
    name: 'StoreError',
    message: /in use by another controller; stop it/,
  })
  await first.commit({ changes: [put('a')] })
  first.close()
  const second = new SqliteStore(directory)
  assert.equal(second.revision(), 1)
  second.close()
})

test('a file that is no database, or is damaged, is refused with the remedy', () => {
  const text = newDirectory()
  new SqliteStore(text).close()
  writeFileSync(databasePath(text), 'This is no database, as everybody can see.'.repeat(100))
  assert.throws(() => new SqliteStore(text), {
    name: 'StoreError',
    message: /controller\.db" is damaged .* "truepeer controller restore"/,
  })
})

test('a database of a later version is refused', () => {
  const directory = newDirectory()
  new SqliteStore(directory).close()
  const database = new Libsql(databasePath(directory))
  database.exec('PRAGMA user_version = 99')
  database.close()
  assert.throws(() => new SqliteStore(directory), { name: 'StoreError', message: /newer truepeer: its version is 99/ })
})

test('a database of the first version keeps its operations, and gets what came later', async () => {
  const directory = newDirectory()
  const newest = new SqliteStore(directory, () => Date.parse(CREATED))
  await newest.commit({ changes: [], operation: operation('op-1') })
  newest.close()
  const database = new Libsql(databasePath(directory))
  for (const name of ['by_place', 'latest', 'by_request']) database.exec(`DROP INDEX operations_${name}`)
  database.exec('ALTER TABLE operations DROP COLUMN request; PRAGMA user_version = 1')
  database.close()
  const store = new SqliteStore(directory, () => Date.parse(CREATED))
  await store.commit({ changes: [], operation: operation('op-2', { request: 'r' }) })
  assert.deepEqual(store.operation('lab', 'global', 'op-1'), operation('op-1'))
  assert.equal(store.operationOfRequest('r')?.name, 'op-2')
  store.close()
})

test('a directory that cannot be made is refused with its name', () => {
  const file = join(root, 'file')
  writeFileSync(file, '')
  assert.throws(() => new SqliteStore(join(file, 'data')), StoreError)
})

test('a migration that fails leaves the database at the version before', () => {
  const database = new Libsql(':memory:')
  const first = 'CREATE TABLE a (x INTEGER) STRICT'
  migrate(database, [first])
  assert.throws(() => migrate(database, [first, 'CREATE TABLE b (x INTEGER) STRICT', 'CREATE TABLE a (x INTEGER)']))
  assert.equal(schemaVersion(database), 1)
  assert.throws(() => database.prepare('SELECT * FROM b'))
  migrate(database, [first, 'ALTER TABLE a ADD COLUMN y INTEGER'])
  assert.equal(schemaVersion(database), 2)
  database.prepare('SELECT y FROM a')
  database.close()
})

test('done operations of 14 days and audit records of 400 days are removed, running ones stay', async () => {
  const directory = newDirectory()
  const day = (days: number): string => new Date(Date.UTC(2026, 0, 1 + days)).toISOString()
  const first = new SqliteStore(directory, () => Date.parse(day(0)))
  const record = { user: 'me', action: 'a', target: 't', before: null, after: null }
  const audit = [0, 200].map((days) => ({ ...record, time: day(days) }))
  await first.commit({ changes: [], operation: operation('old', { inserted: day(0) }), audit })
  await first.commit({ changes: [], operation: operation('running', { inserted: day(0), isDone: false }) })
  await first.commit({ changes: [], operation: operation('late', { inserted: day(395), request: 'r' }) })
  first.close()
  const second = new SqliteStore(directory, () => Date.parse(day(401)))
  await second.commit({ changes: [] })
  assert.deepEqual(
    second.latestOperations('lab', 'global', undefined, 9).map(({ name }) => name),
    ['late', 'running'],
  )
  assert.equal(second.operationOfRequest('r')?.name, 'late')
  assert.deepEqual(second.audit(9), [audit[1]])
  second.close()
})

test('audit records of large resources are read a few at a time, and one in any case', async () => {
  const store = new SqliteStore(newDirectory(), clock)
  const record = { time: CREATED, user: 'me', action: 'a', after: null } as const
  for (const [target, length] of [
    ['a', 10],
    ['b', 3],
    ['c', 3],
    ['d', 3],
    ['e', 10],
  ] as const) {
    await store.commit({ changes: [], audit: [{ ...record, target, before: 'x'.repeat(length * 1024 * 1024) }] })
  }
  const targets = (count: number): string[] => store.audit(count).map(({ target }) => target)
  assert.deepEqual([targets(9), targets(1)], [['e'], ['e']])
  await store.commit({ changes: [], audit: ['f', 'g'].map((target) => ({ ...record, target, before: null })) })
  assert.deepEqual(targets(9), ['g', 'f'])
  store.close()
})

test('an audit read that stops at its bound in bytes keeps no transaction open', async () => {
  const directory = newDirectory()
  const store = new SqliteStore(directory, clock)
  const record = { time: CREATED, user: 'me', action: 'a', target: 't', before: 'x'.repeat(64 * 1024), after: null }
  await store.commit({ changes: [], audit: Array.from({ length: 250 }, () => record) })
  assert.equal(store.audit(250).length, 127)
  // What is committed after the read is what its transaction would hold back.
  await store.commit({ changes: [], meta: { number: '7' } })
  const other = new Libsql(databasePath(directory), { timeout: 0 })
  const [{ busy }] = other.pragma('wal_checkpoint(TRUNCATE)') as readonly { readonly busy: number }[]
  other.close()
  store.close()
  assert.equal(busy, 0)
})
