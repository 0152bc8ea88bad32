import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { parseEndpoint } from '../address/endpoint.ts'
import { askAdmin } from './ask-admin.ts'

const HEAD = 'HTTP/1.1 200 OK\r\n\r\n'

/** Asks a server that does this with each connection; resolves with the message of the error. */
async function refusal(t: TestContext, serve: (socket: Socket) => void): Promise<string> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}))
    socket.once('data', () => serve(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const bound = server.address()
  assert.ok(typeof bound === 'object' && bound !== null)
  const endpoint = parseEndpoint(`127.0.0.1:${bound.port}`)
  assert.ok(endpoint)
  const error: unknown = await askAdmin({ kind: 'tcp', endpoint }, 'GET', '/status', 300).catch(
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof Error)
  return error.message
}

test('a server that says nothing, or trickles for ever, is given up', async (t) => {
  assert.match(await refusal(t, () => {}), /^Nothing answers on "127\.0\.0\.1:\d+" \(no answer within 0\.3 s\)/)
  const trickling = await refusal(t, (socket) => {
    socket.write(HEAD)
    const timer = setInterval(() => socket.write('{'), 20)
    socket.on('close', () => clearInterval(timer))
  })
  assert.match(trickling, /\(no answer within 0\.3 s\); is it running/)
})

test('an answer that is no HTTP, or is cut off, is an error with its remedy', async (t) => {
  assert.match(await refusal(t, (socket) => socket.end('\0\0\0')), /^Nothing answers .*Parse Error.*is it running/)
  const cut = await refusal(t, (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{'))
  assert.match(cut, /^Nothing answers .*is it running/)
})

test('what a stranger says cannot move the cursor', async (t) => {
  const text = await refusal(t, (socket) =>
    socket.end('HTTP/1.1 500 no\r\nconnection: close\r\n\r\n\u001b[2Jowned\u0007'),
  )
  assert.match(text, /with status 500: \?\[2Jowned\?$/)
})
