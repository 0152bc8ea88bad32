import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import Libsql from 'libsql'
import { backUp, restore } from './backup.ts'
import { databasePath } from './data-directory.ts'
import { SqliteStore } from './sqlite-store.ts'
import { put } from './test-store-contract.ts'
import { tokenId } from './token.ts'
import { createToken, listTokens, revokeToken } from './tokens.ts'

function places(t: TestContext): { data: string; other: string; file: string } {
  const root = mkdtempSync(join(tmpdir(), 'truepeer-backup-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  return { data: join(root, 'data'), other: join(root, 'other'), file: join(root, 'backup.db') }
}

function names(store: SqliteStore): string[] {
  return store.all().map(({ name }) => name)
}

async function open<Result>(
  directory: string,
  work: (store: SqliteStore) => Result | Promise<Result>,
): Promise<Result> {
  const store = new SqliteStore(directory)
  try {
    return await work(store)
  } finally {
    store.close()
  }
}

test('a backup of a running controller holds that moment, for its owner only, and is restored elsewhere', async (t) => {
  const { data, other, file } = places(t)
  const store = new SqliteStore(data)
  await store.commit({ changes: [put('a')] })
  backUp(data, file)
  await store.commit({ changes: [put('b')] })
  const generation = store.meta('generation')
  store.close()
  assert.equal(statSync(file).mode & 0o777, 0o600)
  restore(other, file, false)
  await open(other, async (restored) => {
    assert.deepEqual(names(restored), ['a'])
    assert.equal(restored.revision(), 1)
    assert.match(restored.meta('generation') ?? '', /^[0-9a-f]{32}$/)
    assert.notEqual(restored.meta('generation'), generation)
    await restored.commit({ changes: [put('c')] })
  })
  assert.equal(statSync(databasePath(other)).mode & 0o777, 0o600)
})

test('what is there is replaced only when that is wanted, and is kept', async (t) => {
  const { data, file } = places(t)
  await open(data, (store) => store.commit({ changes: [put('a')] }))
  backUp(data, file)
  await open(data, (store) => store.commit({ changes: [put('b')] }))
  assert.throws(() => restore(data, file, false), /exists already; give --overwrite/)
  assert.deepEqual(await open(data, names), ['a', 'b'])
  restore(data, file, true)
  assert.deepEqual(await open(data, names), ['a'])
  restore(data, join(data, 'controller.db.replaced'), true)
  assert.deepEqual(await open(data, names), ['a', 'b'])
})

test('a damaged database is replaced, too', async (t) => {
  const { data, file } = places(t)
  await open(data, (store) => store.commit({ changes: [put('a')] }))
  backUp(data, file)
  writeFileSync(databasePath(data), 'damaged '.repeat(1_000))
  restore(data, file, true)
  assert.deepEqual(await open(data, names), ['a'])
})

test('while a controller runs nothing is restored over it', async (t) => {
  const { data, file } = places(t)
  const store = new SqliteStore(data)
  backUp(data, file)
  assert.throws(() => restore(data, file, true), /in use by another controller/)
  await store.commit({ changes: [put('a')] })
  store.close()
  assert.deepEqual(await open(data, names), ['a'])
})

test('a database is for its owner only, also when the backup has become readable on its way', async (t) => {
  const { data, other, file } = places(t)
  await open(data, (store) => store.commit({ changes: [put('a')] }))
  backUp(data, file)
  chmodSync(file, 0o644)
  restore(other, file, false)
  assert.equal(statSync(databasePath(other)).mode & 0o777, 0o600)
  assert.deepEqual(await open(other, names), ['a'])
})

test('a file that is no backup is refused, and nothing has changed', async (t) => {
  const { data, file } = places(t)
  await open(data, (store) => store.commit({ changes: [put('a')] }))
  for (const text of ['no database '.repeat(1_000), '']) {
    writeFileSync(file, text)
    assert.throws(() => restore(data, file, true), { name: 'StoreError' })
  }
  assert.throws(() => restore(data, `${file}.none`, true), /does not exist/)
  assert.deepEqual(await open(data, names), ['a'])
  assert.ok(!readdirSync(data).some((name) => name.endsWith('.partial')))
})

test('a backup overwrites no file and makes none of a directory without a controller', async (t) => {
  const { data, other, file } = places(t)
  await open(data, () => {})
  writeFileSync(file, 'precious')
  assert.throws(() => backUp(data, file), /exists already/)
  assert.throws(() => backUp(other, `${file}.2`), /controller\.db" does not exist/)
  assert.throws(() => backUp(data, join(other, 'file')), /^StoreError: the directory ".*" does not exist; create it/)
  assert.ok(!existsSync(other) && !existsSync(`${file}.2`))
})

test('tokens are made and revoked while the controller runs, and before it ever did', async (t) => {
  const { data } = places(t)
  const early = createToken(data, { user: 'early', role: 'admin' })
  const store = new SqliteStore(data)
  await store.commit({ changes: [put('a')] })
  createToken(data, { user: 'late', role: 'viewer' })
  const users = (): string[] => store.tokens().map(({ user }) => user)
  assert.deepEqual(users().sort(), ['early', 'late'])
  const id = tokenId(early) ?? ''
  assert.equal(revokeToken(data, id), true)
  assert.equal(revokeToken(data, id), false)
  assert.deepEqual(users(), ['late'])
  const late = { user: 'late', role: 'viewer' }
  const records = store.audit(10).map(({ user, action, before, after }) => [user, action, before, after])
  assert.deepEqual(records, [
    ['local', 'tokens.revoke', { user: 'early', role: 'admin' }, null],
    ['local', 'tokens.create', null, late],
    ['local', 'tokens.create', null, { user: 'early', role: 'admin' }],
  ])
  assert.deepEqual(
    store.audit(10).map(({ target }) => target),
    [`tokens/${id}`, `tokens/${store.tokens()[0]?.id}`, `tokens/${id}`],
  )
  assert.deepEqual(
    listTokens(data).map(({ user, role }) => [user, role]),
    [['late', 'viewer']],
  )
  await store.commit({ changes: [put('b')] })
  store.close()
})

test('what is no backup is refused by its name, and nothing is changed', async (t) => {
  const { data, other, file } = places(t)
  await open(data, (store) => store.commit({ changes: [put('a')] }))
  const foreign = (name: string, version: number): string => {
    const path = join(data, name)
    const database = new Libsql(path)
    database.exec(`CREATE TABLE meta (name TEXT, value TEXT); PRAGMA user_version = ${version}`)
    database.close()
    return path
  }
  writeFileSync(file, 'no database at all')
  for (const [path, message] of [
    [file, /is damaged \(file is not a database\); give a file that "truepeer controller backup" wrote/],
    [data, /is not a file; give a file/],
    ['/dev/zero', /is not a file; give a file/],
    [foreign('zero', 0), /belongs to another program/],
    [foreign('one', 1), /belongs to another program/],
    [foreign('later', 99), /was written by a newer truepeer/],
  ] as const) {
    assert.throws(() => restore(data, path, true), message)
    assert.throws(() => restore(other, path, false), message)
  }
  assert.deepEqual(await open(data, names), ['a'])
})

test('a database of another program, or that others can read, is left as it is', async (t) => {
  const { data } = places(t)
  await open(data, () => {})
  chmodSync(databasePath(data), 0o644)
  assert.throws(() => new SqliteStore(data), /other users can read it; run "chmod 600 /)
  rmSync(databasePath(data))
  const database = new Libsql(databasePath(data))
  database.exec('CREATE TABLE theirs (x)')
  database.close()
  chmodSync(databasePath(data), 0o600)
  const before = readFileSync(databasePath(data))
  assert.throws(() => new SqliteStore(data), /belongs to another program/)
  assert.deepEqual(readFileSync(databasePath(data)), before)
})

test('a lock that is no file is an error with its remedy', (t) => {
  const { data } = places(t)
  mkdirSync(join(data, 'controller.lock'), { recursive: true })
  assert.throws(() => new SqliteStore(data), /controller\.lock" cannot be used: .*; check the disk and the permissions/)
})

test('tokens of a directory that is none are not looked for, and no directory comes of it', (t) => {
  const { other } = places(t)
  assert.throws(() => listTokens(other), /does not exist; give the --data of the controller/)
  assert.throws(() => revokeToken(other, 'x'), /does not exist; give the --data of the controller/)
  assert.ok(!existsSync(other))
})

test('what lies where a backup is written is not written through', async (t) => {
  const { data, other, file } = places(t)
  await open(data, () => {})
  writeFileSync(other, 'precious')
  symlinkSync(other, `${file}.partial`)
  backUp(data, file)
  assert.equal(readFileSync(other, 'utf8'), 'precious')
  assert.equal(statSync(file).mode & 0o777, 0o600)
})
