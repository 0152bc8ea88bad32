import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../test/rig/eventually.ts'
import { ControllerClient } from './controller-client.ts'

type Said = { readonly asked: number; readonly lines: readonly unknown[]; readonly problems: readonly unknown[] }

/** Follows a server that answers like this, until it is over. */
async function follow(t: TestContext, answer: RequestListener, isOver: (said: Said) => boolean): Promise<Said> {
  let asked = 0
  const server = createServer((request, response) => {
    asked += 1
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = new ControllerClient({ kind: 'url', url }, { readToken: () => undefined, readCa: () => undefined })
  const [lines, problems]: [unknown[], unknown[]] = [[], []]
  const end = new AbortController()
  const log = (_level: string, _message: string, fields: { readonly problem?: unknown } = {}): void => {
    if (fields.problem !== undefined) problems.push(fields.problem)
  }
  const following = client.follow(
    { pathOf: () => '/', onLine: (line) => lines.push(line) },
    { log, signal: end.signal },
  )
  await eventually('it is over', () => isOver({ asked, lines, problems }))
  end.abort()
  await following
  return { asked, lines, problems }
}

test('a controller that ends each connection after a line is asked ever more seldom', async (t) => {
  const startedMs = performance.now()
  // A second and a half: time is the subject.
  const isOver = ({ asked }: Said): boolean => asked >= 2 && performance.now() - startedMs > 1_500
  const { asked, lines } = await follow(t, (_request, response) => response.end('{"type":"alive"}\n'), isOver)
  assert.deepEqual(lines[0], { type: 'alive' })
  assert.ok(asked <= 8, `${asked}`)
})

test('what is no line is named once, and nothing of it is repeated', async (t) => {
  for (const text of ['secret', 'null', '7', '{"secret":']) {
    const { lines, problems } = await follow(
      t,
      (_request, response) => response.end(`${text}\n`),
      ({ asked }) => asked >= 2,
    )
    assert.deepEqual([lines, problems], [[], ['sends a line that is none; is it a controller?']])
  }
})

test('an answer to a report is not read to an end that it has not', async (t) => {
  let isClosed = (): void => {}
  const closed = new Promise<void>((resolve) => {
    isClosed = resolve
  })
  const server = createServer((_request, response) => {
    const timer = setInterval(() => response.write('x'.repeat(10_000)), 10)
    response.on('close', () => {
      clearInterval(timer)
      isClosed()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = new ControllerClient({ kind: 'url', url }, { readToken: () => undefined, readCa: () => undefined })
  await client.post('/', '{}', new AbortController().signal)
  await closed
})
