import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts, BACKEND, BACKEND6, EDGE, EDGE6 } from '../rig/hosts.ts'
import { answerOf, exchange, readUntilClosed, startRecordingApp } from '../rig/recording-app.ts'
import { type Running, startTruepeer } from '../rig/truepeer.ts'

// Clients are on the host "backend" and the app is on the same one: the edge stands between.
const APP = `${BACKEND}:9000`
const FRONTEND = `${EDGE}:110`
const FRONTEND6 = `[${EDGE6}]:110`
const SELDOM = ['--check-interval', '1h', '--check-timeout', '1s']

function startEdge(host: Host, listen: string, ...args: string[]): Promise<Running> {
  return startTruepeer(host, 'edge', ['--listen', listen, '--backend', APP, ...SELDOM, ...args])
}

function headerOf(socket: Socket, frontend: string): string {
  const isIpv6 = frontend.startsWith('[')
  const [address, port] = [frontend.replace(/:\d+$/, '').replace(/[[\]]/g, ''), frontend.replace(/.*:/, '')]
  return `PROXY ${isIpv6 ? 'TCP6' : 'TCP4'} ${socket.localAddress} ${address} ${socket.localPort} ${port}\r\n`
}

function isStopped(pid: number): boolean {
  return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
}

test("the header and the client's first bytes reach the backend in one segment", async (t) => {
  const { edge, backend } = await agentHosts(t)
  const reads: string[] = []
  await backend.listen(APP, (socket) => socket.on('data', (chunk: Buffer) => reads.push(chunk.toString())))
  const { program } = await startEdge(edge, FRONTEND)
  for (let round = 0; round < 5; round++) {
    // While the edge is stopped, the kernel accepts the client and takes its first bytes.
    program.signal('SIGSTOP')
    await eventually('the edge is stopped', () => isStopped(program.pid))
    const client = await backend.connect({ to: FRONTEND })
    const payload = `${round}`.repeat(1_000)
    client.write(payload)
    await eventually('the bytes have arrived', async () => {
      const { stdout } = await edge.run('ss', ['-Htn', 'sport', '= :110'])
      return stdout.split('\n').some((line) => line.split(/\s+/)[1] === '1000')
    })
    program.signal('SIGCONT')
    await eventually('the backend has read', () => reads.length > round)
    assert.equal(reads[round], headerOf(client, FRONTEND) + payload, 'in one read')
    const { stdout } = await backend.run('ss', ['-Htin', 'sport', '= :9000', 'and', 'dst', EDGE])
    const segments = Array.from(stdout.matchAll(/data_segs_in:(\d+)/g), ([, count]) => Number(count))
    assert.ok(segments.length > 0 && segments.every((count) => count === 1), `data segments: ${segments.join()}`)
  }
})

for (const [name, listen, frontend] of [
  ['an IPv4 client', FRONTEND, FRONTEND],
  ['an IPv6 client', FRONTEND6, FRONTEND6],
  ['an IPv4 client of a listener on 0.0.0.0', '0.0.0.0:110', FRONTEND],
  ['an IPv6 client of a listener on [::]', '[::]:110', FRONTEND6],
  ['an IPv4 client of a listener on [::]', '[::]:110', FRONTEND],
] as const) {
  test(`the header names ${name} and the address that it connected to`, async (t) => {
    const { edge, backend } = await agentHosts(t)
    const app = await startRecordingApp(backend, [APP])
    await startEdge(edge, listen)
    const probes = app.seen.length
    const client = await backend.connect({ to: frontend })
    const header = headerOf(client, frontend)
    const answer = readUntilClosed(client)
    client.end('hello')
    assert.match(
      (await answer).toString(),
      new RegExp(`^${EDGE}:\\d+ ${Buffer.from(`${header}hello`).toString('hex')}$`),
    )
    assert.equal(app.seen.length, probes + 1)
  })
}

test('with --proxy-header NONE the backend gets only what the client sent', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend, [APP])
  await startEdge(edge, FRONTEND, '--proxy-header', 'NONE')
  for (const payload of ['hello', '']) {
    const answer = await exchange(backend, FRONTEND, payload)
    assert.equal(answer, answerOf(answer.replace(/ .*/, ''), payload))
  }
})

test('a backend that speaks first gets the header at once, and its words reach the silent client', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await backend.listen(APP, (socket) => {
    // It does not greet anybody before it knows who it is.
    socket.once('data', (chunk: Buffer) => socket.write(`220 ${chunk}`))
    socket.on('error', () => undefined)
  })
  await startEdge(edge, FRONTEND)
  const client = await backend.connect({ to: FRONTEND })
  const greeting = await new Promise<Buffer>((resolve) => client.once('data', resolve))
  assert.equal(greeting.toString(), `220 ${headerOf(client, FRONTEND)}`)
})

test('a client that sends nothing but FIN gives the backend a header and FIN', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend, [APP])
  await startEdge(edge, FRONTEND)
  const client = await backend.connect({ to: FRONTEND })
  const header = headerOf(client, FRONTEND)
  const answer = readUntilClosed(client)
  client.end()
  assert.ok((await answer).toString().endsWith(` ${Buffer.from(header).toString('hex')}`))
})

test('the header of an IPv4 client is TCP4 towards an IPv6 backend as well', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startRecordingApp(backend, [`[${BACKEND6}]:9000`])
  await startTruepeer(edge, 'edge', ['--listen', FRONTEND, '--backend', `[${BACKEND6}]:9000`, ...SELDOM])
  const client = await backend.connect({ to: FRONTEND })
  const header = headerOf(client, FRONTEND)
  const answer = readUntilClosed(client)
  client.end('hello')
  assert.ok((await answer).toString().endsWith(` ${Buffer.from(`${header}hello`).toString('hex')}`))
})
