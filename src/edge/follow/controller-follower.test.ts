import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { ControllerClient } from '../../feed/controller-client.ts'
import { testSnapshot } from '../../snapshot/test-snapshot.ts'
import type { RunningEdge } from '../edge.ts'
import { ControllerFollower } from './controller-follower.ts'
import { type IdentifiedSnapshot, readLastGood, writeLastGood } from './last-good.ts'

/** A controller that says one of these lines on each connection, the last one for ever, and an edge that follows it. */
async function follow(t: TestContext, lines: readonly string[], kept?: IdentifiedSnapshot) {
  const watched: string[] = []
  const left = [...lines]
  let take = (_answer: { readonly path: string; readonly body: string }): void => {}
  const answered = new Promise<{ readonly path: string; readonly body: string }>((resolve) => {
    take = resolve
  })
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://h')
    if (pathname === '/truepeer/v1/watch') {
      watched.push(left[0])
      response.writeHead(200).write(`${left.length > 1 ? left.shift() : left[0]}\n`)
      return
    }
    const body = await text(request)
    if (pathname.includes('/answers/')) take({ path: pathname, body })
    response.writeHead(200).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-follower-'))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const problems: unknown[] = []
  const file = join(directory, 'last-good.json')
  if (kept !== undefined) writeLastGood(file, kept)
  const follower = new ControllerFollower({
    client: new ControllerClient({ kind: 'url', url }, { readToken: () => undefined, readCa: () => undefined }),
    name: 'edge-1',
    region: undefined,
    zone: undefined,
    allowsLocalBackends: false,
    sourceAddresses: [],
    file,
    log: (_level, _message, fields) => problems.push(fields?.problem),
  })
  t.after(() => {
    follower.stop()
    server.closeAllConnections()
    server.close()
    rmSync(directory, { recursive: true })
  })
  const shared: unknown[] = []
  let hear = (): void => {}
  const heard = new Promise<void>((resolve) => {
    hear = resolve
  })
  follower.start({
    why: () => ({ kind: 'explained', explanations: [] }),
    shareWith: (place: unknown) => {
      shared.push(place)
      hear()
    },
    configuration: () => ({ unopened: [] }),
  } as unknown as RunningEdge)
  return { answered, watched, shared, heard, problems, follower, file }
}

test('how many edges share limits is known again after a restart, also without the controller', async (t) => {
  const kept = { generation: 'aa', version: 7, snapshot: testSnapshot([], []), edges: { count: 2, index: 1 } }
  const { follower, heard, file } = await follow(t, ['{"type":"edges","count":3,"index":2}'], kept)
  assert.deepEqual(follower.edges, kept.edges)
  await heard
  follower.stop()
  assert.deepEqual(readLastGood(file)?.edges, { count: 3, index: 2 })
  assert.equal(readLastGood(file)?.version, 7)
})

test('a question or a number of edges that cannot be is not taken, and what comes next is', async (t) => {
  const id = crypto.randomUUID()
  const wrong = [
    '{"type":"why","id":"\\ud800","client":"192.0.2.1"}',
    '{"type":"why","id":"..","client":"192.0.2.1"}',
    '{"type":"edges","count":10,"index":999999}',
  ]
  const { answered, watched, shared, problems } = await follow(t, [
    ...wrong,
    `{"type":"why","id":"${id}","client":"192.0.2.1"}`,
  ])
  const { path, body } = await answered
  assert.equal(path, `/truepeer/v1/edges/edge-1/answers/${id}`)
  assert.deepEqual(JSON.parse(body), { kind: 'explained', explanations: [] })
  assert.deepEqual(watched.slice(0, 3), wrong)
  assert.deepEqual(shared, [])
  assert.deepEqual(problems.filter(Boolean), [
    'The controller sent an invalid question; update the older of the two',
    'The controller sent an invalid number of edges; update the older of the two',
  ])
})
