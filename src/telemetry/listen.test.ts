import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseEndpoint } from '../address/endpoint.ts'
import { type ListenAddress, type LiveSocket, listenOn } from './listen.ts'

function socketPath(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'listen-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return join(directory, 'a.sock')
}

async function listen(t: TestContext, address: ListenAddress, live: LiveSocket): Promise<Server> {
  const server = createServer()
  t.after(() => server.close())
  await listenOn(server, address, 'The server', live)
  return server
}

function tcp(text: string): ListenAddress {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint)
  return { kind: 'tcp', endpoint }
}

test('what is no socket is never removed, even where a live socket would be', async (t) => {
  const path = socketPath(t)
  writeFileSync(path, 'precious')
  for (const live of ['taken over', 'kept'] as const) {
    await assert.rejects(
      listen(t, { kind: 'unix', path }, live),
      /cannot listen on "unix:.*; another program or file has it/,
    )
    assert.equal(readFileSync(path, 'utf8'), 'precious')
  }
})

test('a socket that nobody answers on is replaced; one that is answered on only where it is taken over', async (t) => {
  const path = socketPath(t)
  const gone = await listen(t, { kind: 'unix', path }, 'kept')
  // As a process leaves it that is killed: its file stays.
  renameSync(path, `${path}.left`)
  await new Promise((resolve) => gone.close(resolve))
  renameSync(`${path}.left`, path)
  assert.ok(existsSync(path))
  await listen(t, { kind: 'unix', path }, 'kept')
  assert.equal(statSync(path).mode & 0o777, 0o600)
  await assert.rejects(listen(t, { kind: 'unix', path }, 'kept'), /EADDRINUSE/)
  const before = statSync(path).ino
  await listen(t, { kind: 'unix', path }, 'taken over')
  assert.notEqual(statSync(path).ino, before)
})

test('an error of listening names the address and what to do', async (t) => {
  const server = await listen(t, tcp('127.0.0.1:0'), 'kept')
  const bound = server.address()
  assert.ok(typeof bound === 'object' && bound !== null)
  const taken = tcp(`127.0.0.1:${bound.port}`)
  await assert.rejects(
    listen(t, taken, 'kept'),
    /cannot listen on "127\.0\.0\.1:\d+": .*EADDRINUSE.*; another program or file/,
  )
  await assert.rejects(listen(t, tcp('192.0.2.77:1'), 'kept'), /EADDRNOTAVAIL.*; give an address of this host/)
  const path = join(socketPath(t), 'no', 'such.sock')
  await assert.rejects(listen(t, { kind: 'unix', path }, 'kept'), /; give a path in a directory that exists/)
})
