import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { oneAtATime } from './one-at-a-time.ts'

/** A client of a server that keeps what it is asked, until the test answers. */
async function connected(t: TestContext) {
  const asked: { readonly url: string | undefined; readonly response: ServerResponse }[] = []
  const server = createServer(oneAtATime(({ url }, response) => void asked.push({ url, response })))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [socket] = await once(server, 'connection')
  /** Resolves when the server has seen all of them. */
  const send = async (count: number): Promise<void> => {
    let seen = 0
    const arrived = new Promise<void>((resolve) => {
      server.on('request', () => {
        if (++seen === count) resolve()
      })
    })
    client.write(Array.from({ length: count }, (_, index) => `GET /${index} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''))
    await arrived
  }
  return { asked, client, socket, send }
}

test('requests that are sent at once are carried out one after the other', async (t) => {
  const { asked, client, send } = await connected(t)
  await send(3)
  for (const index of [0, 1, 2]) {
    assert.equal(asked.length, index + 1)
    asked[index].response.end(`answer ${index}`)
    const [answer] = await once(client, 'data')
    assert.match(String(answer), new RegExp(`answer ${index}$`))
    await new Promise(setImmediate)
  }
  // Also one that comes when no other waits any more.
  await send(1)
  assert.deepEqual(
    asked.map(({ url }) => url),
    ['/0', '/1', '/2', '/0'],
  )
})

test('who leaves is told to the request that is carried out, and none behind it is begun', async (t) => {
  const { asked, client, send } = await connected(t)
  await send(3)
  const closed = once(asked[0].response, 'close')
  client.destroy()
  await closed
  await new Promise(setImmediate)
  assert.equal(asked.length, 1)
})

test('who sends without end before an answer comes is disconnected', async (t) => {
  const { asked, socket, send } = await connected(t)
  const closed = once(socket, 'close')
  await send(34)
  await closed
  assert.equal(asked.length, 1)
})
