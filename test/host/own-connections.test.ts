// What an app begins by itself from loopback, to the address of a client: the routing would lead it back to this host.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseEndpoint } from '../../src/address/endpoint.ts'
import { parseIpAddress } from '../../src/address/ip-address.ts'
import type { Host } from '../../src/lab/host.ts'
import { ECONNREFUSED, EINPROGRESS } from '../../src/linux/errno.ts'
import { bindTo, close, connectTo, openListener, openStream, takeError } from '../../src/linux/socket.ts'
import { shell } from '../rig/shell.ts'
import { skipWithout } from '../rig/skip.ts'
import { bareHosts, truepeer } from './bare-hosts.ts'

const PORT = 33_333

/** How a connection from one address of the host to another one began: 0, or a negated errno. */
function begin(host: Host, from: string, to: string): number {
  const [source, target] = [parseIpAddress(from), parseEndpoint(to)]
  assert.ok(source !== undefined && target !== undefined)
  return host.enter(() => {
    const fd = openStream(source.family)
    assert.equal(bindTo(fd, source, 0), 0)
    const result = connectTo(fd, target)
    // On loopback the answer is there before connect(2) returns.
    const error = result === EINPROGRESS ? takeError(fd) : result
    close(fd)
    return error
  })
}

/** Services of the host on every address. */
function listenEverywhere(host: Host): () => void {
  const endpoint = parseEndpoint(`[::]:${PORT}`)
  assert.ok(endpoint !== undefined)
  const fd = host.enter(() => openListener(endpoint, { keepaliveMs: 0, userTimeoutMs: 0 }))
  return () => close(fd)
}

const CONNECTIONS = [
  { from: '127.0.0.1', to: '203.0.113.77' },
  { from: '127.9.9.9', to: '203.0.113.77' },
  { from: '::1', to: '[2001:db8:dead::77]' },
] as const

test('an app on loopback cannot connect to the address of a client, and is refused at once', {
  skip: skipWithout('nft'),
}, async (t) => {
  const { backend } = await bareHosts(t)
  t.after(listenEverywhere(backend))
  await truepeer(backend, 'host-setup apply')
  for (const { from, to } of CONNECTIONS) assert.equal(begin(backend, from, `${to}:${PORT}`), ECONNREFUSED, to)
  // What stays on loopback, and what comes from elsewhere, is nobody's business.
  assert.equal(begin(backend, '127.0.0.1', `127.0.0.2:${PORT}`), 0)
  assert.equal(begin(backend, '::1', `[::1]:${PORT}`), 0)
  assert.equal(begin(backend, '10.128.0.2', `127.0.0.1:${PORT}`), 0)
  assert.equal(begin(backend, '2001:db8:10::2', `[::1]:${PORT}`), 0)
  // Congestion notification sets two more bits in a SYN (RFC 3168).
  await shell(backend, 'echo 1 > /proc/sys/net/ipv4/tcp_ecn')
  assert.equal(begin(backend, '::1', `[2001:db8:dead::77]:${PORT}`), ECONNREFUSED)

  const doctor = 'doctor agent -l 10.128.0.2:110 -4 127.0.0.1:112 -6 [::1]:112 --allow-all-subnets'
  assert.match((await truepeer(backend, doctor)).stdout, /^ok +own-connections /m)
  await shell(backend, '/usr/sbin/nft flush ruleset')
  assert.equal(begin(backend, '::1', `[2001:db8:dead::77]:${PORT}`), 0, 'without the firewall it reaches this host')
  assert.match((await truepeer(backend, doctor)).stdout, /^warn +own-connections .*\n.*nftables/m)
  assert.match(
    (await truepeer(backend, 'host-setup status')).stdout,
    /^fail +nftables +table inet truepeer is missing/m,
  )
})

test('datagrams of an app to a client reach a transparent socket, as of a UDP proxy, and nobody else', {
  skip: skipWithout('nft', 'python3'),
}, async (t) => {
  const { backend } = await bareHosts(t)
  await truepeer(backend, 'host-setup apply')
  assert.equal((await backend.run('python3', ['-c', DATAGRAMS])).stdout, 'ordinary: refused\ntransparent: x from ::1\n')
})

/** Sends a datagram from ::1 to a client's address, to a socket on every address: an ordinary one, and a transparent one. */
const DATAGRAMS = `
import socket
IPV6_TRANSPARENT = 75
for name, value in (('ordinary', 0), ('transparent', 1)):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as receiver, \\
         socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        receiver.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, value)
        receiver.bind(('::', ${PORT}))
        receiver.setblocking(False)
        sender.bind(('::1', 0))
        sender.connect(('2001:db8:dead::77', ${PORT}))
        sender.send(b'x')
        try:
            data, peer = receiver.recvfrom(9)
            print(name + ':', data.decode(), 'from', peer[0])
        except BlockingIOError:
            try:
                sender.send(b'x')
                print(name + ': lost')
            except ConnectionRefusedError:
                print(name + ': refused')
`
