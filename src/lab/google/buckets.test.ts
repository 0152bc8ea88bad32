import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Buckets } from './buckets.ts'
import { Uploads } from './uploads.ts'

function makeBuckets(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-buckets-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const [ours, added] = ['ours', 'added'].map((name) => join(directory, name))
  mkdirSync(join(ours, 'bucket/folder'), { recursive: true })
  mkdirSync(added)
  writeFileSync(join(ours, 'bucket/object'), 'ours')
  writeFileSync(join(directory, 'secret'), 'secret')
  const put = (name: string, content: string) => {
    mkdirSync(dirname(join(added, name)), { recursive: true })
    writeFileSync(join(added, name), content)
  }
  return { buckets: new Buckets([ours, added], new Uploads(join(directory, 'uploads'))), put, added }
}

async function read(buckets: Buckets, bucket: string, name: string): Promise<string | undefined> {
  const object = await buckets.open(bucket, name)
  if (object === undefined) return undefined
  const content = await object.file.readFile('utf8')
  await object.file.close()
  return content
}

test('an object is where it was put, in the place of one of ours, too', async (t) => {
  const { buckets, put } = makeBuckets(t)
  assert.equal(await read(buckets, 'bucket', 'object'), 'ours')
  put('bucket/folder/deep/b', 'added')
  put('bucket/object', 'in its place')
  put('other/x', '')
  assert.equal(await read(buckets, 'bucket', 'folder/deep/b'), 'added')
  assert.equal(await read(buckets, 'bucket', 'object'), 'in its place')
  assert.deepEqual(await buckets.list('bucket', ''), ['folder/deep/b', 'object'])
  assert.deepEqual(await buckets.list('bucket', 'folder/'), ['folder/deep/b'])
  assert.deepEqual(
    [await buckets.has('other'), await buckets.has('bucket'), await buckets.has('third')],
    [true, true, false],
  )
})

test('no name leads out of a bucket', async (t) => {
  const { buckets } = makeBuckets(t)
  for (const [bucket, name] of [
    ['bucket', '../../secret'],
    ['bucket', 'folder/../../../secret'],
    ['..', 'secret'],
    ['bucket', '/object'],
    ['bucket', 'object/'],
    ['bucket', 'folder'],
    ['bucket', 'object\0'],
    ['Bucket', 'object'],
  ]) {
    assert.equal(await read(buckets, bucket, name), undefined, name)
  }
})

test('the hashes of an object are those of its bytes', async (t) => {
  const { buckets, put } = makeBuckets(t)
  // The check value of CRC-32C.
  put('bucket/digits', '123456789')
  const object = await buckets.open('bucket', 'digits')
  assert.deepEqual([object?.size, object?.md5, object?.crc32c], [9, 'JfnnlDI7RTiF9RgfG2JNCw==', '4waSgw=='])
  await object?.file.close()
})

test('hashes are new ones once a file has changed, also to one of the same size and time', async (t) => {
  const { buckets, put, added } = makeBuckets(t)
  const hash = async (): Promise<string | undefined> => {
    const object = await buckets.open('bucket', 'object')
    await object?.file.close()
    return object?.md5
  }
  put('bucket/object', 'one')
  const { atime, mtime } = statSync(join(added, 'bucket/object'))
  const before = await hash()
  assert.deepEqual([await hash(), await hash()], [before, before])
  put('bucket/object', 'two')
  utimesSync(join(added, 'bucket/object'), atime, mtime)
  assert.equal(await hash(), 'uKn3Fdu2T9XFbneDxoIKYQ==')
})

test('many requests for one large object read it to its end once', async (t) => {
  const { buckets, put } = makeBuckets(t)
  put('bucket/large', 'x'.repeat(8 * 1024 * 1024))
  const took = async (): Promise<number> => {
    const before = process.cpuUsage()
    const object = await buckets.open('bucket', 'large')
    await object?.file.close()
    const { user, system } = process.cpuUsage(before)
    return user + system
  }
  const first = await took()
  assert.ok((await took()) < first / 4)
})
