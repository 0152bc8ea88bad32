import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { pause } from '../../test/rig/eventually.ts'
import { parseEndpoint } from '../address/endpoint.ts'
import { startWhoami } from './whoami.ts'

async function client(t: TestContext): Promise<Socket> {
  const endpoint = parseEndpoint('127.0.0.1:0')
  assert.ok(endpoint)
  const server = await startWhoami(endpoint, () => {})
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.after(() => {
    socket.destroy()
    server.close()
  })
  await once(
    socket.on('error', () => {}),
    'connect',
  )
  return socket
}

/** Writes until nobody takes any more; returns how many bytes were taken. */
async function pour(socket: Socket, chunk: string, bytesMax: number): Promise<number> {
  while (socket.bytesWritten < bytesMax && !socket.destroyed) {
    if (socket.write(chunk)) continue
    const isDrained = await Promise.race([
      once(socket, 'drain').then(() => true),
      pause(500, 'nobody has taken a byte for so long').then(() => false),
    ])
    if (!isDrained) break
  }
  return socket.bytesWritten - socket.writableLength
}

test('a client that asks and does not read is soon not read either', async (t) => {
  const bytesMax = 256 * 1024 * 1024
  for (const line of [`ping ${'x'.repeat(500)}\n`, 'send 67108864\n', '\n']) {
    const socket = await client(t)
    const taken = await pour(socket, line.repeat(Math.ceil(65_536 / line.length)), bytesMax)
    assert.ok(taken < bytesMax / 4, `${taken} bytes of ${JSON.stringify(line.slice(0, 10))}`)
    socket.destroy()
  }
})

test('questions that come together are answered one after the other', async (t) => {
  const socket = await client(t)
  let text = ''
  socket.setEncoding('latin1').on('data', (part: string) => {
    text += part
  })
  socket.write('ping a\nsend 1000000\nping b\ntake 3\nxyzping c\n')
  while (!text.endsWith('pong c\n')) await once(socket, 'data')
  assert.equal(text.replace(/^.*\n/, '').replace(/x{1000000}/, 'X'), 'pong a\nXpong b\ntaken 3\npong c\n')
})
