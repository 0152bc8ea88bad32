import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { AGENT, CLIENT, headerFrom, startAgent } from '../rig/agent.ts'
import { startTakingApp, type TakingApp } from '../rig/apps.ts'
import { eventually, pause } from '../rig/eventually.ts'
import { agentHosts } from '../rig/hosts.ts'
import { openSockets, residentBytes } from '../rig/process.ts'

const MIB = 1024 * 1024
const SIDES = ['client', 'app'] as const
const opposite = { client: 'app', app: 'client' } as const
/** A reset is seen as an event: before the agent looks, once a second, at those that cannot be. */
const RESET_MS_MAX = 900

type Pair = { readonly client: Socket; readonly app: Socket }

async function establish(edge: Host, app: TakingApp): Promise<Pair> {
  const client = await edge.connect({ to: AGENT })
  client.write(headerFrom(CLIENT, 0))
  return { client, app: await app.next() }
}

/** Collects what arrives until the end, and says how that was told: `FIN` or the code of an error. */
async function readUntilEnd(socket: Socket): Promise<{ bytes: Buffer; end: string; atMs: number }> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  const end = await new Promise<string>((resolve) => {
    socket.once('end', () => resolve('FIN'))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'))
  })
  return { bytes: Buffer.concat(chunks), end, atMs: performance.now() }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Writes until nothing has been taken for 300 ms; `written` settles when the rest has been taken as well. */
async function writeUntilBlocked(socket: Socket, content: Buffer): Promise<{ written: Promise<void> }> {
  const chunkBytes = 64 * 1024
  let takenBytes = 0
  const written = (async () => {
    for (let at = 0; at < content.length; at += chunkBytes) {
      await new Promise<void>((resolve) => socket.write(content.subarray(at, at + chunkBytes), () => resolve()))
      takenBytes = at + chunkBytes
    }
  })()
  let lastBytes = -1
  await eventually('the sender is blocked', async () => {
    if (takenBytes > 0 && takenBytes === lastBytes) return true
    lastBytes = takenBytes
    await pause(300, 'the sender is blocked when nothing of it was taken for so long')
    return false
  })
  assert.ok(takenBytes < content.length, `${takenBytes} bytes were taken by nobody`)
  return { written }
}

/** Newer kernels let a socket's buffers grow to 32 MiB: what a sender is blocked by would take as long to send. */
async function boundKernelBuffers(host: Host): Promise<void> {
  for (const name of ['tcp_rmem', 'tcp_wmem']) {
    const { exitCode } = await host.run('sh', ['-c', `echo 4096 131072 ${2 * MIB} > /proc/sys/net/ipv4/${name}`])
    assert.equal(exitCode, 0)
  }
}

test('an agent relays what either side says, and how it ends', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await Promise.all([edge, backend].map(boundKernelBuffers))
  const app = await startTakingApp(backend)
  const agent = await startAgent(backend)
  const socketsBefore = openSockets(agent.program.pid)
  const endedBy = (reason: string) => agent.metric(`truepeer_connections_ended_total{reason="${reason}"}`)

  for (const side of SIDES) {
    const other = opposite[side]

    await t.test(
      `the ${side} sends and half-closes; 300 ms later the ${other} answers 1 MiB: all bytes, then FIN`,
      async () => {
        const pair = await establish(edge, app)
        const request = readToEnd(pair[other])
        pair[side].end('request')
        assert.equal((await request).toString(), 'request')
        await pause(300, 'nothing may end a half-closed connection meanwhile')
        const content = randomBytes(MIB)
        const answer = readUntilEnd(pair[side])
        pair[other].end(content)
        const { bytes, end } = await answer
        assert.equal(end, 'FIN')
        assert.equal(sha256(bytes), sha256(content))
      },
    )

    await t.test(
      `the ${side}'s reset reaches the ${other} as a reset at once, behind the bytes before it`,
      async () => {
        const pair = await establish(edge, app)
        const read = readUntilEnd(pair[other])
        pair[side].write('last words')
        await once(pair[other], 'data')
        const startedMs = performance.now()
        pair[side].resetAndDestroy()
        const { bytes, end, atMs } = await read
        assert.equal(bytes.toString(), 'last words')
        assert.equal(end, 'ECONNRESET')
        assert.ok(atMs - startedMs < RESET_MS_MAX, `${atMs - startedMs} ms`)
      },
    )

    await t.test(`many bytes that the ${side} sends before its reset are delivered`, async () => {
      const pair = await establish(edge, app)
      const content = randomBytes(100_000)
      const read = readUntilEnd(pair[other])
      await new Promise<void>((resolve) => pair[side].write(content, () => resolve()))
      await eventually('relayed', () => pair[other].bytesRead === content.length)
      pair[side].resetAndDestroy()
      const { bytes, end } = await read
      assert.equal(end, 'ECONNRESET')
      assert.equal(sha256(bytes), sha256(content))
    })

    await t.test(`the ${side}'s reset after its FIN reaches the ${other} as a reset`, async () => {
      const pair = await establish(edge, app)
      const ended = readToEnd(pair[other])
      pair[side].end('bye')
      await ended
      const failed = once(pair[other], 'error')
      pair[side].resetAndDestroy()
      // A node socket that has read the FIN notices a reset when it writes.
      const beat = setInterval(() => pair[other].write('x'), 5)
      const [error] = await failed.finally(() => clearInterval(beat))
      assert.match(error.code, /^(ECONNRESET|EPIPE)$/)
    })

    await t.test(`while the ${other} does not read, the ${side}'s reset is passed on after a while`, async () => {
      const pair = await establish(edge, app)
      pair[other].pause()
      const reason = side === 'client' ? 'client-reset' : 'backend-reset'
      const before = await endedBy(reason)
      pair[side].write(Buffer.alloc(64 * MIB))
      await eventually('blocked', () => pair[side].writableLength > 0)
      await pause(300, 'every buffer on the way is full by now')
      const startedMs = performance.now()
      pair[side].resetAndDestroy()
      await eventually('passed on', async () => (await endedBy(reason)) === before + 1)
      assert.ok(performance.now() - startedMs < 10_000, `${performance.now() - startedMs} ms`)
      // libuv tells a reset behind unread bytes as an end, so the kernel is asked: a FIN would leave CLOSE-WAIT.
      const { stdout } = await (other === 'client' ? edge : backend).run('ss', ['-tan'])
      assert.doesNotMatch(stdout, /CLOSE-WAIT/)
      pair[other].destroy()
    })

    await t.test(`while the ${other} does not read, the agent does not grow; then everything arrives`, async () => {
      const pair = await establish(edge, app)
      pair[other].pause()
      const content = randomBytes(32 * MIB)
      const before = residentBytes(agent.program.pid)
      const { written } = await writeUntilBlocked(pair[side], content)
      const grown = residentBytes(agent.program.pid) - before
      assert.ok(grown < 3 * MIB, `${grown} bytes`)
      const read = readUntilEnd(pair[other])
      pair[other].resume()
      await written
      pair[side].end()
      const { bytes, end } = await read
      assert.equal(end, 'FIN')
      assert.equal(sha256(bytes), sha256(content))
      pair[other].end()
    })
  }

  await t.test('both sides end at once: an orderly end for both', async () => {
    const pair = await establish(edge, app)
    const before = await endedBy('finished')
    const reads = [readUntilEnd(pair.client), readUntilEnd(pair.app)]
    pair.client.end('from client')
    pair.app.end('from app')
    const [client, application] = await Promise.all(reads)
    assert.deepEqual([client.end, client.bytes.toString()], ['FIN', 'from app'])
    assert.deepEqual([application.end, application.bytes.toString()], ['FIN', 'from client'])
    await eventually('counted', async () => (await endedBy('finished')) === before + 1)
  })

  await t.test('before the header is complete the app sees nothing at all, and the client gets no byte', async () => {
    const header = headerFrom(CLIENT, 0)
    const before = app.count()
    const client = await edge.connect({ to: AGENT })
    client.write(header.slice(0, -1))
    let received = 0
    client.on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    await pause(100, 'nothing of it may arrive meanwhile')
    assert.equal(app.count(), before)
    assert.equal(received, 0)
    client.write(header.slice(-1))
    const served = await app.next()
    served.write('220 ready')
    await eventually('the greeting', () => received === '220 ready'.length)
    client.resetAndDestroy()
  })

  await t.test('payload in the segment of the header, and a header alone with a FIN', async () => {
    for (const payload of ['payload', '', 'x'.repeat(200_000)]) {
      const client = await edge.connect({ to: AGENT })
      client.end(`${headerFrom(CLIENT, 0)}${payload}`)
      const served = await app.next()
      // The end of an empty stream is told before anybody can listen.
      const received = served.readableEnded ? '' : (await readToEnd(served)).toString()
      assert.equal(received, payload)
      const answer = readToEnd(client)
      served.end('done')
      assert.equal((await answer).toString(), 'done')
    }
  })

  await t.test('a thousand messages of one byte each way arrive one by one', async () => {
    const pair = await establish(edge, app)
    pair.client.setNoDelay()
    pair.app.on('data', (chunk: Buffer) => pair.app.write(chunk))
    for (let message = 0; message < 1_000; message++) {
      const answer = once(pair.client, 'data')
      pair.client.write(Buffer.of(message & 0xff))
      assert.deepEqual((await answer)[0], Buffer.of(message & 0xff))
    }
    pair.client.resetAndDestroy()
  })

  await eventually('nothing is open', async () => (await agent.metric('truepeer_connections_open')) === 0)
  await eventually('every socket is closed', () => openSockets(agent.program.pid) === socketsBefore)
})
