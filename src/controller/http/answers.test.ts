import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Answers } from './answers.ts'

const LONG = { status: 200, contentType: 'text/plain', bytes: 'x'.repeat(32 * 1024 * 1024) }

/** Responses of a server that answers nothing by itself, to one client that reads nothing. */
async function unanswered(t: TestContext, count: number): Promise<{ client: Socket; responses: ServerResponse[] }> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const responses: ServerResponse[] = []
  const isWhole = new Promise<void>((resolve) => {
    server.on('request', (_request, response) => {
      if (responses.push(response) === count) resolve()
    })
  })
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.on('error', () => {})
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(count))
  await isWhole
  return { client, responses }
}

/** Its client may have reset it. */
const closed = (socket: Socket) => new Promise((resolve) => void socket.once('close', resolve))

function makeAnswers(sendMsMin: number) {
  const logged: string[] = []
  const limits = { unsentBytesMax: LONG.bytes.length, sendMsMin, bytesPerMs: Number.POSITIVE_INFINITY }
  return { logged, answers: new Answers((_level, message) => void logged.push(message), limits) }
}

test('an answer to a client that has left counts for nothing', async (t) => {
  const { answers, logged } = makeAnswers(0)
  const { client, responses } = await unanswered(t, 1)
  const [response] = responses
  client.destroy()
  await once(response, 'close')
  answers.send(response, LONG, 'a')
  assert.equal(answers.isFull('a'), false)
  assert.deepEqual(logged, [])
})

test('what waits behind another answer is given back when the client leaves', async (t) => {
  const { answers, logged } = makeAnswers(30_000)
  const { client, responses } = await unanswered(t, 3)
  for (const response of responses) answers.send(response, LONG, 'a')
  assert.ok(answers.isFull('b'), 'all have too much')
  const isClosed = closed(responses[0].req.socket)
  client.destroy()
  await isClosed
  assert.equal(answers.isFull('a'), false)
  assert.equal(logged.length, 1)
  assert.match(logged[0], /^requests are refused/)
})

test('a client that does not read is cut off, and stops its own user before all others', async (t) => {
  const { answers, logged } = makeAnswers(50)
  const { responses } = await unanswered(t, 1)
  const [response] = responses
  answers.send(response, LONG, 'a')
  assert.deepEqual([answers.isFull('a'), answers.isFull('b')], [true, false])
  await closed(response.req.socket)
  assert.deepEqual([answers.isFull('a'), answers.isFull('b')], [false, false])
  assert.match(logged.join(), /a client was cut off/)
})
