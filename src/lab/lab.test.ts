import assert from 'node:assert/strict'
import { existsSync, readlinkSync, statSync } from 'node:fs'
import type { Socket } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { runChecked, runProgram } from '../linux/run.ts'
import type { Host } from './host.ts'
import { Lab } from './lab.ts'
import { namespacePath } from './network-namespaces.ts'
import { readToEnd } from './sockets.ts'

async function linkedPair(lab: Lab): Promise<{ client: Host; server: Host }> {
  const client = await lab.addHost('client')
  const server = await lab.addHost('server')
  await lab.link(
    { host: client, addresses: ['192.0.2.1/24', '192.0.2.3/24', '2001:db8::1/64'] },
    { host: server, addresses: ['198.51.100.1/24', '192.0.2.2/24', '2001:db8::2/64'] },
  )
  return { client, server }
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

/** The inode of the network namespace in which this thread is. */
function currentNamespace(): string {
  return readlinkSync('/proc/thread-self/ns/net')
}

function namespaceOf(host: Host): string {
  return `net:[${statSync(namespacePath(host.namespace)).ino}]`
}

suite('two hosts with a link', () => {
  const lab = new Lab()
  let client: Host
  let server: Host

  before(async () => {
    const pair = await linkedPair(lab)
    client = pair.client
    server = pair.server
  })
  after(() => lab.close())

  for (const { from, to } of [
    { from: '192.0.2.1', to: '192.0.2.2:110' },
    { from: '192.0.2.3', to: '192.0.2.2:110' },
    { from: '2001:db8::1', to: '[2001:db8::2]:110' },
  ]) {
    test(`a connection from ${from}, port 40001, is seen as that by a server on ${to}`, async () => {
      const { promise: accepted, resolve } = deferred<Socket>()
      const listener = await server.listen(to, resolve)
      const socket = await client.connect({ from, port: 40001, to })
      const peer = await accepted
      assert.deepEqual([peer.remoteAddress, peer.remotePort], [from, 40001])
      assert.deepEqual([socket.localAddress, socket.localPort], [from, 40001])
      assert.equal(`${socket.remoteAddress}`, peer.localAddress)
      socket.destroy()
      peer.destroy()
      listener.close()
    })
  }

  test('a connection stays open in one direction after the other has ended', async () => {
    const listener = await server.listen('192.0.2.2:111', (peer) => {
      readToEnd(peer).then((received) => peer.end(`${received}, and more after the end`), assert.fail)
    })
    const socket = await client.connect({ to: '192.0.2.2:111' })
    socket.end('hello')
    assert.equal(`${await readToEnd(socket)}`, 'hello, and more after the end')
    listener.close()
  })

  test('connecting says what went wrong, as node does', async () => {
    const codeOf = (to: string) => client.connect({ to, timeoutMs: 100 }).then(String, (error) => error.code)
    assert.equal(await codeOf('192.0.2.2:9'), 'ECONNREFUSED')
    assert.equal(await codeOf('192.0.2.99:9'), 'ETIMEDOUT')
    assert.equal(await codeOf('203.0.113.1:9'), 'ENETUNREACH')
  })

  test('listening on an address that the host does not have is an error', async () => {
    await assert.rejects(
      server.listen('192.0.2.1:110', () => {}),
      { code: 'EADDRNOTAVAIL' },
    )
  })

  test('a task runs inside the host, and the thread is back afterwards even when the task throws', () => {
    const outside = currentNamespace()
    assert.notEqual(outside, namespaceOf(client))
    assert.equal(client.enter(currentNamespace), namespaceOf(client))
    assert.equal(currentNamespace(), outside)
    assert.throws(() =>
      client.enter(() => {
        throw new Error('task failed')
      }),
    )
    assert.equal(currentNamespace(), outside)
  })

  test('a started program runs in the host, and its PID is its own', async () => {
    const program = client.start('sh', ['-c', 'echo $$; exec sleep 60'])
    assert.equal(await program.waitForLine(/./), `${program.pid}`)
    assert.equal(readlinkSync(`/proc/${program.pid}/ns/net`), namespaceOf(client))
    program.signal('SIGTERM')
    assert.deepEqual(await program.exited, { exitCode: undefined, signal: 'SIGTERM' })
  })

  test('hosts of the same name in two labs are two hosts', async () => {
    const other = new Lab()
    try {
      assert.notEqual((await other.addHost('client')).namespace, client.namespace)
    } finally {
      await other.close()
    }
  })
})

test('a closed lab leaves no namespace, no process and no connection', async () => {
  const lab = new Lab()
  const { client, server } = await linkedPair(lab)
  // Neither ends by SIGTERM, and the daemon has left the session of the program that was started.
  const program = server.start('sh', ['-c', 'trap "" TERM; setsid sleep 600 & echo "$!"; while :; do sleep 1; done'])
  const daemon = Number(await program.waitForLine(/^[0-9]+$/))
  let isServed = false
  await server.listen('192.0.2.2:110', () => {
    isServed = true
  })
  const socket = await client.connect({ to: '192.0.2.2:110' })
  const isClosed = new Promise((resolve) => socket.once('close', resolve))

  await lab.close()

  await isClosed
  assert.equal(isServed, true)
  assert.equal(program.isRunning, false)
  assert.equal(existsSync(`/proc/${program.pid}`), false)
  // An orphan's remains may wait to be reaped; it has no command line any more.
  const daemonCommand = await runProgram('cat', [`/proc/${daemon}/cmdline`])
  assert.equal(daemonCommand.stdout, '')
  for (const host of [client, server]) {
    assert.equal(existsSync(namespacePath(host.namespace)), false)
  }
  await lab.close()
})

test('a lab is refused in a network that has an address other than those of lo', async () => {
  const script = `
    const { Lab } = await import('${new URL('lab.js', import.meta.url)}')
    try { new Lab() } catch (error) { console.log(error.message) }`
  const setUp = [
    'ip link add name one type veth peer name two',
    'ip address add 192.0.2.7/24 dev one',
    'ip link set dev one up',
    'ip link set dev two up',
  ].join(' && ')
  const output = await runChecked('unshare', [
    ...['--net', 'sh', '-c', `${setUp} && exec "$@"`, 'sh'],
    ...[process.execPath, '--input-type=module', '--eval', script],
  ])
  assert.match(output, /^A lab needs a network namespace of its own, and this one has the address "192.0.2.7"/)
})
