import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type ListenOptions } from 'node:net'
import { test } from 'node:test'
import { parseEndpoint } from '../address/endpoint.ts'
import { connectionUid, findListener, isListening } from './socket-table.ts'

function isListeningAt(text: string): boolean {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint)
  return isListening(endpoint)
}

async function withServer(options: ListenOptions, check: (port: number) => void): Promise<void> {
  const server = createServer((socket) => socket.destroy())
  server.listen({ port: 0, ...options })
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  try {
    check(address.port)
  } finally {
    server.close()
  }
  await once(server, 'close')
  assert.equal(isListeningAt(`127.0.0.1:${address.port}`), false)
}

test('a listener is found on its own address and not on another', async () => {
  await withServer({ host: '127.0.0.1' }, (port) => {
    assert.equal(isListeningAt(`127.0.0.1:${port}`), true)
    assert.equal(isListeningAt(`127.0.0.2:${port}`), false)
    assert.equal(isListeningAt(`[::1]:${port}`), false)
    assert.equal(isListeningAt(`127.0.0.1:${port === 1 ? 2 : port - 1}`), false)
  })
})

test('a wildcard listener is found on every address of its family', async () => {
  await withServer({ host: '0.0.0.0' }, (port) => {
    assert.equal(isListeningAt(`127.0.0.1:${port}`), true)
    assert.equal(isListeningAt(`[::1]:${port}`), false)
  })
})

test('a listener on [::] serves both families, one restricted to IPv6 does not', async () => {
  await withServer({ host: '::' }, (port) => {
    assert.equal(isListeningAt(`127.0.0.1:${port}`), true)
    assert.equal(isListeningAt(`[::1]:${port}`), true)
  })
  await withServer({ host: '::', ipv6Only: true }, (port) => {
    assert.equal(isListeningAt(`127.0.0.1:${port}`), false)
    assert.equal(isListeningAt(`[::1]:${port}`), true)
  })
})

test('a UDP socket is found where datagrams to an address arrive, and one that is connected hears one peer only', async () => {
  const at = (text: string) => {
    const endpoint = parseEndpoint(text)
    assert.ok(endpoint)
    return findListener(endpoint, 'udp')
  }
  const cases = [
    { type: 'udp4', address: '127.0.0.1', finds: [true, false, false] },
    { type: 'udp4', address: '0.0.0.0', finds: [true, true, false] },
    { type: 'udp6', address: '::', finds: [true, true, true] },
    { type: 'udp6', address: '::', ipv6Only: true, finds: [false, false, true] },
  ] as const
  for (const { type, address, finds, ...options } of cases) {
    const socket = createSocket({ type, recvBufferSize: 65_536, ...options })
    socket.bind(0, address)
    await once(socket, 'listening')
    const { port } = socket.address()
    const all = [`127.0.0.1:${port}`, `127.0.0.2:${port}`, `[::1]:${port}`]
    assert.deepEqual(
      all.map((text) => at(text) !== undefined),
      finds,
    )
    const found = all.map(at).find((one) => one !== undefined)
    // The kernel doubles what is asked for, for what it keeps beside each datagram (socket(7)).
    assert.deepEqual([found?.receiveBufferBytes, found?.dropped, found?.uid], [2 * 65_536, 0, process.getuid?.()])
    const target = parseEndpoint(`127.0.0.1:${port}`)
    assert.equal(target && isListening(target), false, 'a port of UDP is none of TCP')
    socket.connect(1, type === 'udp4' ? '127.0.0.1' : '::1')
    await once(socket, 'connect')
    assert.deepEqual(all.map(at), [undefined, undefined, undefined])
    socket.close()
  }
})

test('the user of a connection is found by its ends, from the side of the client', async () => {
  for (const host of ['127.0.0.1', '::1']) {
    const server = createServer()
    server.listen({ port: 0, host })
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const client = connect({ port, host })
    await once(client, 'connect')
    const ends = [client.localPort, port].map((one) =>
      parseEndpoint(host === '::1' ? `[::1]:${one}` : `${host}:${one}`),
    )
    const [from, to] = ends
    assert.ok(from && to)
    assert.equal(connectionUid(from, to), process.getuid?.())
    assert.equal(connectionUid({ ...from, port: port === 1 ? 2 : 1 }, to), undefined)
    client.destroy()
    server.close()
  }
})
