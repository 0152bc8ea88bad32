import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { ControllerClient } from '../../feed/controller-client.ts'
import type { EdgeReport, SentReport } from '../../feed/feed.ts'
import { Reports } from './reports.ts'

/** A controller that answers with these states first, then with 200, and an edge of one backend. */
async function start(t: TestContext, ...answers: readonly number[]) {
  const statuses = [...answers]
  const received: SentReport[] = []
  const server = createServer(async (request, response) => {
    received.push((await json(request)) as SentReport)
    response.writeHead(statuses.shift() ?? 200).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const end = new AbortController()
  t.after(() => {
    end.abort()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = new ControllerClient({ kind: 'url', url }, { readToken: () => undefined, readCa: () => undefined })
  const problems: unknown[] = []
  const edge = { version: 1, revision: 1, told: 0 }
  const head = () => {
    const applied = { generation: 'g', version: edge.version }
    return { region: undefined, zone: undefined, applied, refused: undefined, sources: [] }
  }
  const health = (): EdgeReport['health'] => {
    edge.told += 1
    return { 's/g/b': 'HEALTHY' }
  }
  const reports = new Reports(
    {
      client,
      path: '/status',
      process: 'one',
      log: (_level, _message, fields) => problems.push(fields?.problem),
      signal: end.signal,
    },
    { head, healthRevision: () => edge.revision, health },
  )
  /** What came since the last time: of each report its version, and whether it was whole. */
  const taken = (): string[] =>
    received.splice(0).map(({ applied, health }) => `${applied.version} ${health === undefined ? 'short' : 'whole'}`)
  const send = async (): Promise<string[]> => {
    await reports.soon()
    return taken()
  }
  return { reports, edge, problems, received, taken, send }
}

test('the first report is whole, and those behind it are short until health changes', async (t) => {
  const { edge, send } = await start(t)
  assert.deepEqual(await send(), ['1 whole'])
  assert.deepEqual(await send(), ['1 short'])
  edge.version = 2
  assert.deepEqual(await send(), ['2 short'])
  edge.revision += 1
  assert.deepEqual(await send(), ['2 whole'])
  assert.equal(edge.told, 2)
})

test('reports of one health have the same name for it, and of another another', async (t) => {
  const { edge, reports, received } = await start(t)
  await reports.soon()
  await reports.soon()
  edge.revision += 1
  await reports.soon()
  const [first, second, third] = received.map(({ healthId }) => healthId)
  assert.equal(first, second)
  assert.notEqual(second, third)
})

test('a controller that has not what a short report goes on from gets all of it at once, and short ones again', async (t) => {
  const { send, problems } = await start(t, 200, 409)
  assert.deepEqual(await send(), ['1 whole'])
  assert.deepEqual(await send(), ['1 short', '1 whole'])
  assert.deepEqual(await send(), ['1 short'])
  assert.deepEqual(problems, [])
})

test('an older controller gets all of it each time, from the same words, until there may be another one', async (t) => {
  const { edge, reports, send, problems } = await start(t, 200, 400)
  assert.deepEqual(await send(), ['1 whole'])
  assert.deepEqual(await send(), ['1 short', '1 whole'])
  assert.deepEqual(await send(), ['1 whole'])
  assert.equal(edge.told, 1)
  reports.forgetController()
  assert.deepEqual(await send(), ['1 short'])
  assert.deepEqual(problems, [])
})

test('a whole report that is refused is a problem, said once, and the next one is whole, too', async (t) => {
  const { send, problems } = await start(t, 503, 503)
  assert.deepEqual([...(await send()), ...(await send()), ...(await send())], ['1 whole', '1 whole', '1 whole'])
  assert.equal(problems.length, 1)
  assert.deepEqual(await send(), ['1 short'])
})

test('a look at an edge of which nothing is new sends nothing and asks for no health', async (t) => {
  const { edge, reports, taken } = await start(t)
  await reports.soon()
  taken()
  reports.tick()
  assert.equal(edge.told, 1)
  edge.version = 2
  reports.tick()
  await reports.soon()
  // That of the tick, and that of this call.
  assert.deepEqual(taken(), ['2 short', '2 short'])
})
