import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readMultipart, uploadRangeOf } from './upload-request.ts'

/** A request in pieces of so many bytes. */
async function* inPieces(body: string, bytes: number): AsyncGenerator<Buffer> {
  const all = Buffer.from(body, 'latin1')
  for (let at = 0; at < all.length; at += bytes) yield all.subarray(at, at + bytes)
}

for (const [client, end] of [
  ['gcloud', '\n'],
  ['others', '\r\n'],
] as const) {
  test(`both parts are found wherever the request is split, with the lines of ${client}`, async () => {
    const media = `first\r\n--b\n\r\n--boundar\n\x00\xff${end}`
    const head = ['--boundary', 'Content-Type: application/json', '', '{"name":"a"}']
    const body = [...head, '--boundary', 'Content-Type: text/plain', '', `${media}`, '--boundary--', ''].join(end)
    for (let bytes = 1; bytes <= body.length; bytes++) {
      const parts = await readMultipart('multipart/related; boundary="boundary"', inPieces(body, bytes))
      assert.ok(parts)
      assert.deepEqual([parts.metadata, parts.contentType], ['{"name":"a"}', 'text/plain'])
      const chunks: Buffer[] = []
      for await (const chunk of parts.media) chunks.push(chunk)
      assert.equal(Buffer.concat(chunks).toString('latin1'), media, `in pieces of ${bytes}`)
    }
  })
}

test('a request of other parts is none, and one without an end is an error', async () => {
  const read = (type: string, body: string) => readMultipart(type, inPieces(body, 5))
  assert.equal(await read('multipart/mixed; boundary=b', '--b\n\n{}\n--b\n\nx\n--b--'), undefined)
  assert.equal(await read('multipart/related', '--b\n\n{}\n--b\n\nx\n--b--'), undefined)
  assert.equal(await read('multipart/related; boundary=b', '--c\n\n{}'), undefined)
  const cut = await read('multipart/related; boundary=b', '--b\n\n{}\n--b\n\nbytes\n--')
  await assert.rejects(async () => {
    for await (const _ of cut?.media ?? []) {
      // Read on.
    }
  }, /end of the upload is missing/)
})

test('a Content-Range says where bytes begin, how many there are, or asks', () => {
  assert.deepEqual(uploadRangeOf(undefined), { start: 0, total: undefined, isRest: true })
  assert.deepEqual(uploadRangeOf('bytes 0-9/20'), { start: 0, total: 20, isRest: false })
  assert.deepEqual(uploadRangeOf('bytes 10-19/*'), { start: 10, total: undefined, isRest: false })
  assert.deepEqual(uploadRangeOf('bytes 0-*/*'), { start: 0, total: undefined, isRest: true })
  assert.deepEqual(uploadRangeOf('bytes */*'), { start: undefined, total: undefined, isRest: false })
  assert.deepEqual(uploadRangeOf('bytes */0'), { start: undefined, total: 0, isRest: false })
  assert.equal(uploadRangeOf('bytes 1-x/2'), undefined)
  assert.equal(uploadRangeOf('lines 0-1/2'), undefined)
})
