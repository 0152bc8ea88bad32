import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { CONNECTIONS_MAX } from './http-server.ts'
import { LOOPBACK, locationOf, serve } from './test-http-server.ts'

/** Sends a text and then nothing, and resolves to what came until the end, and after how many milliseconds. */
async function stall(url: string, text: string): Promise<readonly [received: string, tookMs: number]> {
  const { host, port } = locationOf(url)
  const startMs = performance.now()
  const socket = connect({ host, port, allowHalfOpen: true })
  socket.write(text)
  let received = ''
  for await (const chunk of socket) received += String(chunk)
  socket.destroy()
  return [received, performance.now() - startMs]
}

test('a client that does not send the whole of a request is let go: its headers in 10 s, its body in 60', async (t) => {
  const { server, requests } = await serve(t, LOOPBACK)
  const [[headers, headersMs], [silent, silentMs], [body, bodyMs]] = await Promise.all([
    stall(server.url, 'GET /x HTTP/1.1\r\nHost: localhost\r\n'),
    stall(server.url, ''),
    stall(server.url, 'POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf'),
  ])
  assert.match(headers, /^HTTP\/1.1 408 /)
  assert.match(silent, /^(HTTP\/1.1 408 |$)/)
  assert.match(body, /^HTTP\/1.1 408 /)
  for (const tookMs of [headersMs, silentMs]) assert.ok(tookMs > 9_000 && tookMs < 30_000, `${tookMs} ms`)
  assert.ok(bodyMs > 59_000 && bodyMs < 90_000, `${bodyMs} ms`)
  assert.equal(requests.length, 0)
})

test('beyond the most connections that there may be, more are closed, and those that are there are served', async (t) => {
  const { server, requests } = await serve(t, LOOPBACK)
  const { host, port } = locationOf(server.url)
  const sockets: Socket[] = []
  try {
    for (let count = 0; count < CONNECTIONS_MAX; count++) {
      const socket = connect(port, host)
      sockets.push(socket)
      await once(socket, 'connect')
    }
    const refused = connect(port, host)
    sockets.push(refused)
    refused.on('error', () => {})
    await once(refused.resume(), 'close')
    const [first] = sockets
    first.write('GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n')
    assert.match(String((await once(first, 'data'))[0]), /^HTTP\/1.1 200 /)
    assert.equal(requests.length, 1)
  } finally {
    // Before the server is closed, which waits for them.
    for (const socket of sockets) socket.destroy()
  }
})
