import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { eventually } from '../../../test/rig/eventually.ts'
import { AccessTokens } from './access-tokens.ts'
import { Buckets } from './buckets.ts'
import { Storage } from './storage.ts'
import { StorageWrites } from './storage-writes.ts'
import { Uploads } from './uploads.ts'

const BYTES_MAX = 100_000
const SCOPES = 'https://www.googleapis.com/auth'

suite('buckets that are written to', () => {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-storage-'))
  const uploads = new Uploads(join(directory, 'uploads'), BYTES_MAX)
  const buckets = new Buckets([join(directory, 'ours')], uploads)
  let given = 0
  const tokens = new AccessTokens({ create: () => `tp_${++given}`, revoke: () => {} }, () => 0)
  const tokenFor = (scope: string) => tokens.access({ email: 'a@b', scopes: [`${SCOPES}/${scope}`] }).token
  const storage = new Storage(buckets, new StorageWrites(buckets, uploads, tokens))
  const server = createServer(
    (request, response) => void storage.answer(request, response).catch(() => request.destroy()),
  )
  let url: string

  before(async () => {
    mkdirSync(join(directory, 'ours/ours'), { recursive: true })
    writeFileSync(join(directory, 'ours/ours/object'), 'ours')
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => {
    server.close()
    server.closeAllConnections()
    tokens.close()
    rmSync(directory, { recursive: true })
  })

  type Asked = {
    readonly body?: string | Uint8Array
    readonly headers?: Record<string, string>
    readonly scope?: string
  }
  async function ask(
    method: string,
    path: string,
    { body, headers = {}, scope = 'devstorage.read_write' }: Asked = {},
  ) {
    const authorization = { Authorization: `Bearer ${scope === '' ? 'tp_none' : tokenFor(scope)}` }
    const answer = await fetch(url + path, {
      method,
      redirect: 'manual',
      headers: { ...authorization, ...headers },
      ...(body === undefined ? {} : { body }),
    })
    const text = await answer.text()
    return { status: answer.status, headers: answer.headers, text, told: () => JSON.parse(text) }
  }
  const put = (name: string, body: string, query = '') =>
    ask('POST', `/upload/storage/v1/b/made/o?uploadType=media&name=${name}${query}`, { body })

  test('a bucket is made once, takes objects, and is deleted when it is empty', async () => {
    const make = () => ask('POST', '/storage/v1/b?project=p', { body: '{"name":"made"}' })
    assert.equal((await make()).status, 200)
    assert.equal((await make()).status, 409)
    assert.equal((await ask('POST', '/storage/v1/b', { body: '{"name":"Not valid"}' })).status, 400)
    const names = (await ask('GET', '/storage/v1/b')).told().items.map(({ name }: { name: string }) => name)
    assert.deepEqual(names, ['made', 'ours'])
    const object = await ask('POST', '/upload/storage/v1/b/made/o?uploadType=media&name=a/b', {
      body: '123456789',
      headers: { 'Content-Type': 'text/plain' },
    })
    const { size, crc32c, contentType } = object.told()
    assert.deepEqual([size, crc32c, contentType], ['9', '4waSgw==', 'text/plain'])
    const read = await ask('GET', '/made/a/b')
    assert.deepEqual([read.text, read.headers.get('content-type')], ['123456789', 'text/plain'])
    assert.match(read.headers.get('x-goog-hash') ?? '', /^crc32c=4waSgw==,md5=/)
    assert.equal((await ask('DELETE', '/storage/v1/b/made')).status, 409)
    assert.equal((await ask('DELETE', '/storage/v1/b/made/o/a%2Fb')).status, 204)
    assert.equal((await ask('GET', '/made/a/b')).status, 404)
    assert.equal((await ask('DELETE', '/storage/v1/b/made/o/a%2Fb')).status, 404)
    assert.equal((await ask('DELETE', '/storage/v1/b/made')).status, 204)
    assert.equal((await make()).status, 200)
  })

  test('only a token with a scope for it writes, and what is the lab’s own stays', async () => {
    const body = 'x'
    assert.equal((await ask('PUT', '/ours/new', { body, scope: '' })).status, 401)
    const refused = await ask('PUT', '/ours/new', { body, scope: 'devstorage.read_only' })
    assert.match(refused.text, /AccessDenied.*--scopes storage-rw/)
    assert.equal((await ask('PUT', '/ours/object', { body: 'new' })).status, 200)
    assert.equal((await ask('GET', '/ours/object')).text, 'new')
    assert.equal((await ask('DELETE', '/ours/object')).status, 204)
    assert.equal((await ask('GET', '/ours/object')).text, 'ours')
    assert.equal((await ask('DELETE', '/ours/object')).status, 403)
    assert.equal((await ask('DELETE', '/storage/v1/b/ours')).status, 403)
    assert.equal((await ask('PUT', '/no-such-bucket/x', { body })).status, 404)
  })

  test('a resumable upload goes on where it was, and a session that has ended is gone', async () => {
    const begun = await ask('POST', '/upload/storage/v1/b/made/o?uploadType=resumable&name=large', {
      body: '{"metadata":{"k":"v"}}',
      headers: { 'X-Upload-Content-Type': 'text/x' },
    })
    const session = new URL(begun.headers.get('location') ?? '')
    const send = (range: string, body?: string) =>
      ask('PUT', session.pathname + session.search, {
        headers: { 'Content-Range': range },
        ...(body === undefined ? {} : { body }),
      })
    const first = await send('bytes 0-3/9', '1234')
    assert.deepEqual([first.status, first.headers.get('range')], [308, 'bytes=0-3'])
    // What comes from elsewhere than it has come to is not taken.
    assert.equal((await send('bytes 6-8/9', '789')).headers.get('range'), 'bytes=0-3')
    assert.equal((await send('bytes */9')).headers.get('range'), 'bytes=0-3')
    const whole = (await send('bytes 4-8/9', '56789')).told()
    assert.deepEqual(
      [whole.size, whole.crc32c, whole.metadata, whole.contentType],
      ['9', '4waSgw==', { k: 'v' }, 'text/x'],
    )
    assert.equal((await send('bytes */9')).status, 410)
    const again = await ask('POST', '/upload/storage/v1/b/made/o?uploadType=resumable&name=y')
    const location = new URL(again.headers.get('location') ?? '')
    assert.equal((await ask('DELETE', location.pathname + location.search)).status, 499)
    assert.equal((await ask('PUT', location.pathname + location.search, { body: 'x' })).status, 410)
  })

  test('many resumable uploads go on at a time, and one more ends the oldest', async () => {
    const begin = async () => {
      const { headers } = await ask('POST', '/upload/storage/v1/b/made/o?uploadType=resumable&name=many')
      const { pathname, search } = new URL(headers.get('location') ?? '')
      return pathname + search
    }
    const sessions: string[] = []
    for (let count = 0; count < 65; count++) sessions.push(await begin())
    const headers = { 'Content-Range': 'bytes */*' }
    const states = []
    for (const session of sessions) states.push((await ask('PUT', session, { headers })).status)
    assert.deepEqual(states, [410, ...Array.from({ length: 64 }, () => 308)])
    for (const session of sessions) await ask('DELETE', session)
  })

  test('an object is copied, described anew, and put only in the place of what the client knows', async () => {
    await put('source', 'text')
    const copied = (await ask('POST', '/storage/v1/b/made/o/source/rewriteTo/b/made/o/copy')).told()
    assert.deepEqual([copied.done, copied.resource.name, copied.resource.size], [true, 'copy', '4'])
    const body = '{"contentType":"a/b","metadata":{"k":"v"}}'
    const described = (await ask('PATCH', '/storage/v1/b/made/o/copy', { body })).told()
    assert.deepEqual([described.contentType, described.metadata, described.metageneration], ['a/b', { k: 'v' }, '2'])
    const tooLong = JSON.stringify({ metadata: { k: 'x'.repeat(8_192) } })
    assert.equal((await ask('PATCH', '/storage/v1/b/made/o/copy', { body: tooLong })).status, 400)
    assert.equal((await put('copy', 'x', '&ifGenerationMatch=0')).status, 412)
    assert.equal((await put('copy', 'x', `&ifGenerationMatch=${described.generation}`)).status, 200)
    assert.equal((await put('new', 'x', '&ifGenerationMatch=0')).status, 200)
  })

  test('whatever is asked for, no file of it stays open', async (t) => {
    // What is not closed is closed by the collector of garbage in the end, which says so.
    const warnings: string[] = []
    const onWarning = ({ message }: Error) => void warnings.push(message)
    process.on('warning', onWarning)
    t.after(() => process.off('warning', onWarning))
    const open = () =>
      readdirSync('/proc/self/fd').filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory)
        } catch {
          return false
        }
      })
    const media = '/storage/v1/b/made/o/source?alt=media'
    for (const [method, path, headers] of [
      ['GET', media, {}],
      ['HEAD', media, {}],
      ['GET', media, { Range: 'bytes=9-' }],
      ['GET', '/storage/v1/b/made/o/source', {}],
      ['GET', '/storage/v1/b/made/o', {}],
      ['POST', '/storage/v1/b/made/o/source/copyTo/b/made/o/copy', {}],
      ['PATCH', '/storage/v1/b/made/o/copy', {}],
      ['POST', '/upload/storage/v1/b/made/o?uploadType=media&name=copy&ifGenerationMatch=0', {}],
      ['DELETE', '/storage/v1/b/made/o/copy', {}],
    ] as const) {
      await ask(method, path, { headers })
      await eventually(`${method} ${path}`, () => open().length === 0)
    }
    assert.deepEqual(warnings, [])
  })

  test('what does not fit in is refused, and nothing of it stays', async () => {
    const files = () => readdirSync(join(directory, 'uploads')).length
    const before = files()
    const refused = await ask('PUT', '/made/too-much', { body: 'x'.repeat(BYTES_MAX) }).catch(() => undefined)
    assert.ok(refused === undefined || refused.status === 413)
    assert.equal(files(), before)
    assert.equal((await ask('PUT', '/made/fits', { body: 'x'.repeat(BYTES_MAX / 2) })).status, 200)
  })
})
