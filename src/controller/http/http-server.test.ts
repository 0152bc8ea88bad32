import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { Agent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { deflateSync, gzipSync } from 'node:zlib'
import type { ApiResponse } from '../methods/api-request.ts'
import type { TlsIdentity } from './http-server.ts'
import { BODY_BYTES_MAX } from './read-body.ts'
import { type Answer, ask, LOOPBACK, locationOf, serve, tcp } from './test-http-server.ts'

function reasonOf({ text }: Answer): string {
  const { error } = JSON.parse(text) as { error: { code: number; message: string; errors: { reason: string }[] } }
  assert.equal(typeof error.message, 'string')
  return `${error.code} ${error.errors[0].reason}`
}

function directory(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'truepeer-http-'))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  return made
}

function certificate(t: TestContext): TlsIdentity {
  const folder = directory(t)
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const kind = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=localhost',
  ]
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:compute.googleapis.com']
  execFileSync('openssl', ['req', '-x509', ...kind, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
}

test('a request reaches the API as it was sent, and the answer comes back', async (t) => {
  const { ask, requests, answerWith, server } = await serve(t, LOOPBACK)
  answerWith(() => ({ status: 409, body: { error: 'é' } }))
  const { status, text, headers } = await ask(
    'PATCH',
    '/compute/v1/a%20b?filter=name%3Dx&x=1',
    { 'content-type': 'application/json' },
    '{"name":"é"}',
  )
  assert.deepEqual([status, text], [409, '{"error":"é"}'])
  assert.equal(headers['x-content-type-options'], 'nosniff')
  const [{ method, path, query, body, contentType, baseUrl, user, role }] = requests
  assert.deepEqual([method, path, query.get('filter')], ['PATCH', '/compute/v1/a%20b', 'name=x'])
  assert.deepEqual([body, contentType, user, role], [{ name: 'é' }, 'application/json', 'local', 'operator'])
  assert.equal(baseUrl, server.url)
})

test('answers may be bytes of another type, or nothing', async (t) => {
  const { ask, answerWith } = await serve(t, LOOPBACK)
  answerWith(() => ({ status: 200, contentType: 'multipart/mixed; boundary=b', bytes: '--b--' }))
  const answer = await ask('POST', '/batch', {}, 'x')
  assert.deepEqual([answer.headers['content-type'], answer.text], ['multipart/mixed; boundary=b', '--b--'])
  answerWith(() => ({ status: 204, body: undefined }))
  assert.deepEqual([(await ask('DELETE', '/x')).status, (await ask('DELETE', '/x')).text], [204, ''])
})

test('bodies of any type, empty, or none reach the API; what is no JSON has no body', async (t) => {
  const { ask, requests } = await serve(t, LOOPBACK)
  for (const [headers, sent, body] of [
    [{ 'content-type': 'application/json' }, '', undefined],
    [{ 'content-type': 'application/json' }, '{"a":', undefined],
    [{ 'content-type': 'application/json' }, Buffer.from([0x22, 0xff, 0x22]), undefined],
    [{ 'content-type': 'application/json; charset=utf-8' }, '[1]', [1]],
    [{ 'content-type': 'multipart/mixed; boundary="x"' }, '--x', undefined],
    [{}, '{}', {}],
  ] as const) {
    assert.equal((await ask('POST', '/x', headers, sent)).status, 200)
    const last = requests.at(-1)
    assert.deepEqual(last?.body, body)
    assert.deepEqual(Buffer.from(last?.rawBody ?? []), Buffer.from(sent))
  }
})

test('a body of 10 MiB is taken, and one byte more is refused', async (t) => {
  const { ask, requests } = await serve(t, LOOPBACK)
  assert.equal((await ask('POST', '/x', {}, Buffer.alloc(BODY_BYTES_MAX, ' '))).status, 200)
  assert.equal(requests[0].rawBody.length, BODY_BYTES_MAX)
  assert.equal(reasonOf(await ask('POST', '/x', {}, Buffer.alloc(BODY_BYTES_MAX + 1))), '413 uploadTooLarge')
  assert.equal(requests.length, 1)
})

test('a request that is not let in is refused before its body has come', async (t) => {
  const { server, requests } = await serve(t, LOOPBACK)
  const { host, port } = locationOf(server.url)
  const socket = connect(port, host)
  socket.write('POST /x HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1000000\r\n\r\nfirst bytes')
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  assert.match(text, /^HTTP\/1.1 403 .*"reason":"forbidden"/s)
  assert.equal(requests.length, 0)
})

test('whoever may not do what he asks for is told before his body has come', async (t) => {
  const { server, requests, token } = await serve(t, LOOPBACK)
  const { host, port } = locationOf(server.url)
  for (const [headers, path, status] of [
    [token('agent'), '/compute/v1/a', 403],
    [token('edge', 'e'), '/compute/v1/a', 403],
    [token('agent'), '/truepeer/v1/edges/e/status', 403],
    [token('edge', 'other'), '/truepeer/v1/edges/e/status', 403],
    [token('edge', 'e'), '/truepeer/v1/watch?name=e', 405],
    [token('viewer'), '/compute/v1/a', 413],
  ] as const) {
    const socket = connect(port, host)
    const lines = ['Host: localhost', `Authorization: ${headers.authorization}`, 'Content-Length: 2000000']
    socket.write(`POST ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\nfirst bytes`)
    let text = ''
    for await (const chunk of socket) text += String(chunk)
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `), path)
    assert.match(text, /^connection: close\r$/im)
  }
  assert.equal(requests.length, 0)
})

test('where hardly any body is due the limit is small', async (t) => {
  const { ask, requests, token } = await serve(t, LOOPBACK)
  const [read, viewer] = [64 * 1024, 1024 * 1024]
  for (const [method, headers, bytes] of [
    ['GET', {}, read],
    ['DELETE', {}, read],
    ['POST', token('viewer'), viewer],
  ] as const) {
    const send = (length: number) =>
      ask(method, '/x', { ...headers, 'content-length': `${length}` }, Buffer.alloc(length))
    assert.equal((await send(bytes)).status, 200)
    assert.equal(reasonOf(await send(bytes + 1)), '413 uploadTooLarge')
  }
  assert.equal(requests.length, 3)
})

test('bodies that are read at once are bounded, inflated ones too, and a user has his share of that', async (t) => {
  const { ask, requests, server, token } = await serve(t, LOOPBACK, undefined, { bodiesBytesMax: 4 * 1024 * 1024 })
  const [first, second] = [token('operator', 'first'), token('operator', 'second')]
  const slow = requestHttp({ ...locationOf(server.url), method: 'POST', path: '/x', agent: false, headers: first })
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    slow.on('response', resolve)
    slow.on('error', reject)
  })
  slow.write(Buffer.alloc(2 * 1024 * 1024))
  const { statusCode, headers } = (await answer).resume()
  assert.deepEqual([statusCode, headers['retry-after'], headers.connection], [503, '1', 'close'])
  slow.destroy()
  const bomb = gzipSync(Buffer.alloc(2 * 1024 * 1024))
  const encoded = { 'content-encoding': 'gzip' }
  assert.equal(reasonOf(await ask('POST', '/x', { ...second, ...encoded }, bomb)), '503 backendError')
  assert.equal(requests.length, 0)
  for (const user of [first, second]) assert.equal((await ask('POST', '/x', user, Buffer.alloc(900_000))).status, 200)
})

test('a body counts until its request was answered', async (t) => {
  const { ask, requests, answerWith, token } = await serve(t, LOOPBACK, undefined, { bodiesBytesMax: 1024 * 1024 })
  let finish = (): void => {}
  const finished = new Promise<void>((resolve) => {
    finish = resolve
  })
  answerWith(async () => {
    await finished
    return { status: 200, body: {} }
  })
  const [user, other] = [token('operator', 'a'), token('operator', 'b')]
  const body = Buffer.alloc(262_145)
  const waiting = ask('POST', '/x', user, body)
  await eventually(() => requests.length === 1)
  assert.equal(reasonOf(await ask('POST', '/x', user, '{}')), '503 backendError')
  const beside = ask('POST', '/x', other, '{}')
  await eventually(() => requests.length === 2)
  finish()
  assert.deepEqual([(await waiting).status, (await beside).status], [200, 200])
  assert.equal((await ask('POST', '/x', user, '{}')).status, 200)
})

test('an address has a share of the places of a port with TLS, for connections on which nobody is known', async (t) => {
  const tls = certificate(t)
  const { server, refusals, logged, token } = await serve(t, tcp('0.0.0.0:0'), tls, { connectionsMax: 32 })
  const { host, port } = locationOf(server.url)
  // Kept alive, as those of an edge: with a token they take nothing of the share.
  const agents = Array.from({ length: 6 }, () => new HttpsAgent({ keepAlive: true }))
  const silent: Socket[] = []
  const get = (agent: HttpsAgent | false) =>
    ask({ host, port, path: '/x', agent, headers: token('viewer') }, undefined, tls)
  for (const agent of agents) assert.equal((await get(agent)).status, 200)
  const open = (): Socket => {
    const socket = connect(port, host)
    socket.on('error', () => {})
    silent.push(socket)
    return socket.resume()
  }
  for (let count = 0; count < 2; count++) await once(open(), 'connect')
  assert.deepEqual(refusals, [])
  const isClosed = once(silent[0], 'close')
  open()
  await isClosed
  assert.deepEqual(refusals, ['client-limit'])
  assert.match(logged.join(), /connections of a client are closed: without a token, it may have no more of them/)
  // Whoever has a token comes in beside them, and takes none of their places for long.
  for (let count = 0; count < 3; count++) assert.equal((await get(false)).status, 200)
  // Before the server is closed, which waits for them.
  for (const one of [...agents, ...silent]) one.destroy()
})

test('a body that says nothing of its length is cut at the limit, too', async (t) => {
  const { server, requests, answers } = await serve(t, LOOPBACK)
  const asked = requestHttp({ ...locationOf(server.url), method: 'POST', path: '/x', agent: false })
  const answer = new Promise<number | undefined>((resolve, reject) => {
    asked.on('response', (response) => resolve(response.resume().statusCode))
    asked.on('error', reject)
  })
  // One byte more than the limit, and the end of the body never comes.
  asked.write(Buffer.alloc(BODY_BYTES_MAX))
  asked.write('x')
  assert.equal(await answer, 413)
  asked.destroy()
  assert.deepEqual([requests.length, answers], [0, ['none 413']])
})

test('headers of more than 16 KiB are refused', async (t) => {
  const { ask, requests } = await serve(t, LOOPBACK)
  assert.equal((await ask('GET', '/x', { 'x-filler': 'a'.repeat(17 * 1024) })).status, 431)
  assert.equal(requests.length, 0)
})

test('a request whose client goes away before its end reaches nobody', async (t) => {
  const { ask, server, requests, answers, logged } = await serve(t, LOOPBACK)
  const { host, port } = locationOf(server.url)
  const socket = connect(port, host)
  socket.end('POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf')
  await once(socket.resume(), 'close')
  assert.equal((await ask('GET', '/after')).status, 200)
  assert.deepEqual([requests.map(({ path }) => path), answers, logged], [['/after'], ['none 400'], []])
})

test('HEAD has the headers of an answer, and no body', async (t) => {
  const { ask } = await serve(t, LOOPBACK)
  const { status, headers, text } = await ask('HEAD', '/x')
  assert.deepEqual([status, headers['content-length'], text], [200, '2', ''])
})

test('one connection serves many requests', async (t) => {
  const { server, requests } = await serve(t, LOOPBACK)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  const ports = new Set<number | undefined>()
  for (let count = 0; count < 3; count++) {
    const asked = requestHttp({ ...locationOf(server.url), path: '/x', agent }).end()
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    ports.add(response.socket.localPort)
    assert.match(String(response.headers['keep-alive']), /timeout=72/)
    await once(response.resume(), 'end')
  }
  assert.deepEqual([requests.length, ports.size], [3, 1])
})

test('who closes ends idle connections, answers what has come, and refuses what comes late', async (t) => {
  const { server, answerWith, requests, answers } = await serve(t, LOOPBACK)
  const { host, port } = locationOf(server.url)
  const open = (text: string) => {
    const socket = connect(port, host)
    socket.write(text)
    const whole = (async () => {
      let received = ''
      for await (const chunk of socket) received += String(chunk)
      return received
    })()
    return { socket, whole }
  }
  const idle = open('GET /idle HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(idle.socket, 'data')
  const late = open('GET /late HTTP/1.1\r\n')
  await once(late.socket, 'connect')
  let goOn: (answer: ApiResponse) => void = () => {}
  const asked = new Promise<void>((resolve) => {
    answerWith(() => {
      resolve()
      return new Promise((answer) => {
        goOn = answer
      })
    })
  })
  const slow = open('GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await asked
  const closed = server.close()
  await idle.whole
  late.socket.write('Host: localhost\r\n\r\n')
  assert.match(await late.whole, /^HTTP\/1.1 503 .*connection: close.*"reason":"backendError"/is)
  goOn({ status: 200, body: { done: true } })
  assert.match(await slow.whole, /^HTTP\/1.1 200 .*connection: close.*\{"done":true\}$/is)
  await closed
  assert.deepEqual([requests.map(({ path }) => path), answers], [['/idle', '/slow'], ['none 503']])
})

test('nonsense gets an error of ours, and the server goes on', async (t) => {
  const { ask, server } = await serve(t, LOOPBACK)
  const { host, port } = locationOf(server.url)
  for (const nonsense of [
    '\0\0\0\r\n\r\n',
    'GET /\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
    '\x16\x03\x01\x02',
  ]) {
    await new Promise<void>((resolve) => {
      const socket = connect(port, host, () => socket.end(nonsense))
      socket.on('error', () => {})
      socket.resume().on('close', () => resolve())
    })
  }
  assert.equal(reasonOf(await ask('GET', '/compute/%E0%A4%A')), '400 badRequest')
  assert.equal((await ask('GET', '/compute/v1')).status, 200)
})

test('an error of our own is status 500 without its text, which is in the log', async (t) => {
  const { ask, answerWith, logged } = await serve(t, LOOPBACK)
  answerWith(() => {
    throw new Error('secret detail')
  })
  const answer = await ask('GET', '/x?token=t')
  assert.equal(reasonOf(answer), '500 internalError')
  assert.ok(!answer.text.includes('secret detail'))
  const [[message, fields], ...others] = logged
  assert.deepEqual([message, fields?.method, fields?.path], ['secret detail', 'GET', '/x'])
  assert.deepEqual(others, [])
})

test('a UNIX socket is for its owner only, whatever the mask is, and replaces one that nobody serves', async (t) => {
  const path = join(directory(t), 'c.sock')
  const mask = process.umask(0)
  try {
    const { ask, server } = await serve(t, { kind: 'unix', path })
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(process.umask(), 0)
    assert.equal((await ask('GET', '/x')).status, 200)
    await assert.rejects(serve(t, { kind: 'unix', path }), /cannot listen on "unix:.*EADDRINUSE/)
    assert.equal((await ask('GET', '/x')).status, 200)
    await server.close()
    assert.ok(!existsSync(path))
  } finally {
    process.umask(mask)
  }
})

test('a file that is no socket is never removed', async (t) => {
  const path = join(directory(t), 'file')
  writeFileSync(path, 'precious')
  await assert.rejects(serve(t, { kind: 'unix', path }), /cannot listen/)
  assert.equal(readFileSync(path, 'utf8'), 'precious')
})

test('other addresses than loopback have TLS, and nobody enters without a token', async (t) => {
  const { ask, requests, token, server } = await serve(t, tcp('0.0.0.0:0'), certificate(t))
  assert.match(server.url, /^https:/)
  const refused = await ask('GET', '/x')
  assert.equal(reasonOf(refused), '401 required')
  assert.equal(refused.headers['www-authenticate'], 'Bearer')
  assert.equal(reasonOf(await ask('GET', '/x', { authorization: 'Bearer tp_0_0' })), '401 authError')
  assert.equal((await ask('GET', '/x', token('viewer', 'alice'))).status, 200)
  assert.deepEqual([requests[0].user, requests[0].role, requests.length], ['alice', 'viewer', 1])
  assert.match(requests[0].baseUrl, /^https:/)
})

test('a certificate can be renewed while the server runs', async (t) => {
  const first = certificate(t)
  const second = certificate(t)
  const { server, token } = await serve(t, LOOPBACK, first)
  const where = { ...locationOf(server.url), path: '/x', agent: false, headers: token('admin') }
  assert.equal((await ask(where, undefined, first)).status, 200)
  server.renewTls(second)
  assert.equal((await ask(where, undefined, second)).status, 200)
  await assert.rejects(ask(where, undefined, first))
})

test('tokens of edges and agents open nothing of the API', async (t) => {
  const { ask, requests, token } = await serve(t, LOOPBACK)
  for (const role of ['edge', 'agent'] as const) {
    assert.equal(reasonOf(await ask('GET', '/compute/v1/projects/p', token(role))), '403 forbidden')
    assert.equal(reasonOf(await ask('GET', '/truepeer/v1/edges', token(role))), '403 forbidden')
  }
  assert.equal(requests.length, 0)
})

test('an edge speaks only for itself', async (t) => {
  const { ask, token } = await serve(t, LOOPBACK)
  const report = JSON.stringify({ applied: { generation: 'g', version: 1 }, health: {}, sources: ['192.0.2.1'] })
  const edge = token('edge', 'edge-1')
  assert.equal((await ask('POST', '/truepeer/v1/edges/edge-1/status', edge, report)).status, 200)
  for (const other of [token('edge', 'edge-2'), token('viewer'), token('operator'), token('agent', 'edge-1')]) {
    assert.equal(reasonOf(await ask('POST', '/truepeer/v1/edges/edge-1/status', other, report)), '403 forbidden')
    assert.equal(reasonOf(await ask('GET', '/truepeer/v1/watch?name=edge-1', other)), '403 forbidden')
  }
  const { text } = await ask('GET', '/truepeer/v1/edges', token('viewer'))
  assert.match(text, /"name":"edge-1"/)
})

test('a report may name every health that there is', async (t) => {
  const { ask, token } = await serve(t, LOOPBACK)
  const health = { a: 'HEALTHY', b: 'UNHEALTHY', c: 'DRAINING' }
  const report = JSON.stringify({ applied: { generation: 'g', version: 1 }, health, sources: ['192.0.2.1'] })
  const { status, text } = await ask('POST', '/truepeer/v1/edges/edge-1/status', token('admin'), report)
  assert.deepEqual([status, text], [200, '{}'])
})

test('on loopback what gives keys or trust away needs a token of ours, and the rest does not', async (t) => {
  const { ask, requests, token, hub } = await serve(t, LOOPBACK)
  const report = JSON.stringify({ applied: { generation: 'g', version: 1 }, health: {}, sources: ['192.0.2.1'] })
  for (const headers of [{}, { authorization: 'Bearer ya29.of-gcloud' }, { 'x-forwarded-for': '127.0.0.1' }]) {
    for (const [method, path, body] of [
      ['GET', '/truepeer/v1/watch?name=edge-1'],
      ['POST', '/truepeer/v1/edges/edge-1/status', report],
      ['DELETE', '/truepeer/v1/edges/edge-1'],
      ['GET', '/truepeer/v1/sources'],
      ['GET', '/truepeer/v1/instances/web'],
      ['GET', '/truepeer/v1/audit'],
    ] as const) {
      const answer = await ask(method, path, headers as Record<string, string>, body)
      assert.equal(reasonOf(answer), '401 required', path)
      assert.match(answer.text, /controller token create.*or ask on the UNIX socket of --unix/)
      assert.equal(answer.headers['www-authenticate'], 'Bearer')
    }
    assert.equal((await ask('GET', '/truepeer/v1/edges', headers as Record<string, string>)).status, 200)
    assert.equal((await ask('GET', '/compute/v1/x', headers as Record<string, string>)).status, 200)
  }
  assert.deepEqual([hub.edges(), requests.map(({ role }) => role)], [[], ['operator', 'operator', 'operator']])
  assert.equal((await ask('GET', '/truepeer/v1/audit', token('admin'))).status, 200)
})

test('an edge of a name that is connected is told so, and so is its report', async (t) => {
  const { ask, hub, token } = await serve(t, LOOPBACK)
  const events = hub.follow('edge-1', undefined, { write: () => true, end: () => {} }, 'a')
  assert.ok(typeof events === 'object')
  const edge = token('edge', 'edge-1')
  const report = JSON.stringify({ applied: { generation: 'g', version: 1 }, health: {}, sources: [] })
  for (const query of ['', '&process=b']) {
    const answer = await ask('GET', `/truepeer/v1/watch?name=edge-1${query}`, edge)
    assert.equal(reasonOf(answer), '409 alreadyExists')
    assert.match(answer.text, /Another edge follows as ."edge-1."; give each edge a --name of its own/)
    const path = `/truepeer/v1/edges/edge-1/status?${query}`
    assert.equal(reasonOf(await ask('POST', path, edge, report)), '409 alreadyExists')
  }
  assert.equal((await ask('POST', '/truepeer/v1/edges/edge-1/status?process=a', edge, report)).status, 200)
  assert.equal(reasonOf(await ask('GET', '/truepeer/v1/watch?name=edge-1&process=A', edge)), '400 invalid')
})

test('an agent follows the addresses of edges, and an edge that is connected is not forgotten', async (t) => {
  const { hub, token, server, sources, ask } = await serve(t, LOOPBACK)
  await sources.set('edge-1', ['192.0.2.1'])
  const where = {
    ...locationOf(server.url),
    path: '/truepeer/v1/sources',
    agent: false,
    headers: token('agent', 'web'),
  }
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    requestHttp(where, resolve).on('error', reject).end()
  })
  assert.equal(response.headers['content-type'], 'application/x-ndjson')
  const [line] = (await once(response.setEncoding('utf8'), 'data')) as [string]
  assert.deepEqual(JSON.parse(line), { type: 'sources', generation: '', addresses: ['192.0.2.1'] })
  response.destroy()

  const events = hub.follow('edge-1', undefined, { write: () => true, end: () => {} }, 'a')
  assert.ok(typeof events === 'object')
  assert.equal(reasonOf(await ask('DELETE', '/truepeer/v1/edges/edge-1', token('admin'))), '409 conditionNotMet')
  events.onEnd()
  assert.equal((await ask('DELETE', '/truepeer/v1/edges/edge-1', token('admin'))).status, 200)
  assert.deepEqual([sources.addresses(), hub.edges()], [[], []])
  assert.equal(reasonOf(await ask('DELETE', '/truepeer/v1/edges/edge-1', token('admin'))), '404 notFound')
})

test('a person may ask an edge why, and the answer is that of this edge; nobody else may ask or answer', async (t) => {
  const { ask, hub, token } = await serve(t, LOOPBACK)
  const path = '/truepeer/v1/edges/edge-1/why?client=192.0.2.7'
  assert.equal(reasonOf(await ask('GET', path, token('viewer'))), '404 notFound')
  const lines: string[] = []
  const sink = { write: (line: string) => lines.push(line) > 0, end: () => {} }
  assert.equal(typeof hub.follow('edge-1', undefined, sink), 'object')
  for (const role of ['edge', 'agent'] as const) {
    assert.equal(reasonOf(await ask('GET', path, token(role, 'edge-1'))), '403 forbidden')
  }
  assert.equal(reasonOf(await ask('GET', '/truepeer/v1/edges/edge-1/why', token('viewer'))), '400 invalid')
  for (const [answer, status] of [
    [{ kind: 'explained', explanations: [] }, 200],
    [{ kind: 'refused', problem: 'there is no such frontend' }, 400],
  ] as const) {
    const asked = ask('GET', path, token('viewer'))
    await eventually(() => lines.some((line) => line.includes('"why"')))
    const [question] = lines.splice(0).filter((line) => line.includes('"why"'))
    const { id } = JSON.parse(question) as { readonly id: string }
    const answers = `/truepeer/v1/edges/edge-1/answers/${id}`
    const body = JSON.stringify(answer)
    assert.equal(reasonOf(await ask('POST', answers, token('edge', 'edge-2'), body)), '403 forbidden')
    assert.equal((await ask('POST', answers, token('edge', 'edge-1'), body)).status, 200)
    assert.equal((await asked).status, status)
    assert.equal(reasonOf(await ask('POST', answers, token('edge', 'edge-1'), body)), '404 notFound')
  }
})

test('what an edge says instead of an answer is refused, and whoever asked hears at once that there is none', async (t) => {
  const { ask, hub, token } = await serve(t, LOOPBACK)
  const path = '/truepeer/v1/edges/edge-1/why?client=192.0.2.7'
  const ids: string[] = []
  const write = (line: string): boolean => {
    const { type, id } = JSON.parse(line) as { readonly type: string; readonly id: string }
    if (type === 'why') ids.push(id)
    return true
  }
  assert.equal(typeof hub.follow('edge-1', undefined, { write, end: () => {} }, 'a1'), 'object')
  const [viewer, edge] = [token('viewer'), token('edge', 'edge-1')]
  for (const query of ['client=', `client=${'x'.repeat(129)}`, 'client=192.0.2.7&frontend=']) {
    assert.equal(reasonOf(await ask('GET', `/truepeer/v1/edges/edge-1/why?${query}`, viewer)), '400 invalid', query)
  }
  const deep = `{"kind":"explained","explanations":[],"more":${'['.repeat(200_000)}${']'.repeat(200_000)}}`
  for (const body of [
    '{"kind":"refused","problem":{"toString":1}}',
    '{"kind":"refused"}',
    '{"kind":"explained","explanations":[{}]}',
    'null',
    '[]',
    '5',
    '',
    '{',
    deep,
  ]) {
    const asked = ask('GET', path, viewer)
    await eventually(() => ids.length > 0)
    const answers = `/truepeer/v1/edges/edge-1/answers/${ids.shift()}`
    const shownBody = body.slice(0, 50)
    assert.equal(reasonOf(await ask('POST', `${answers}?process=b2`, edge, body)), '409 alreadyExists', shownBody)
    assert.equal(reasonOf(await ask('POST', `${answers}?process=a1`, edge, body)), '400 invalid', shownBody)
    const { status, text } = await asked
    assert.equal(status, 502, shownBody)
    assert.match(text, /has not given an answer of this version/)
  }
  const long = JSON.stringify({ kind: 'refused', problem: 'x'.repeat(1024 * 1024) })
  const id = crypto.randomUUID()
  assert.equal((await ask('POST', `/truepeer/v1/edges/edge-1/answers/${id}?process=a1`, edge, long)).status, 413)
})

test('addresses beyond a limit are answered with 429, and the rest of the report counts', async (t) => {
  const { ask, hub, token, sources } = await serve(t, LOOPBACK)
  sources.set = () => Promise.resolve('too often')
  const report = JSON.stringify({ applied: { generation: 'g', version: 7 }, health: {}, sources: ['192.0.2.1'] })
  const answer = await ask('POST', '/truepeer/v1/edges/edge-1/status', token('admin'), report)
  assert.equal(reasonOf(answer), '429 rateLimitExceeded')
  assert.match(answer.text, /The addresses of ."edge-1." are not taken: too often/)
  assert.equal(hub.edges()[0]?.report?.applied.version, 7)
})

test('a report that is none is refused with the field', async (t) => {
  const { ask, token } = await serve(t, LOOPBACK)
  const admin = token('admin')
  const applied = { generation: 'g', version: 1 }
  for (const [report, field] of [
    [undefined, 'body'],
    [[], 'body'],
    [{ health: {} }, 'applied'],
    [{ applied: { generation: 1, version: 1 }, health: {} }, 'applied.generation'],
    [{ applied: { generation: 'g', version: 0.5 }, health: {} }, 'applied.version'],
    [{ applied, health: null }, 'health'],
    [{ applied, health: { a: 'GOOD' } }, 'health["a"]'],
    [{ applied, health: {}, refused: { ...applied, problems: 'x' } }, 'refused.problems'],
    [{ applied, health: {}, refused: { ...applied, problems: [{ toString: 1 }] } }, 'refused.problems'],
    [{ applied, health: {}, zone: 'A B' }, 'zone'],
    [{ applied, health: {}, sources: [{ toString: 1 }] }, 'sources'],
    [{ applied, health: {} }, 'sources'],
    [{ applied, health: {}, sources: ['0.0.0.0/0'] }, 'sources'],
    [{ applied, health: {}, sources: ['0.0.0.0'] }, 'sources'],
    [{ applied, health: {}, sources: ['127.0.0.1'] }, 'sources'],
    [{ applied, health: {}, sources: ['::1'] }, 'sources'],
    [{ applied, health: {}, sources: ['::'] }, 'sources'],
    [{ applied, health: {}, sources: ['::ffff:127.1.2.3'] }, 'sources'],
    [{ applied, health: {}, sources: ['64:ff9b::7f00:1'] }, 'sources'],
    [{ applied, health: {}, sources: ['2002:7f00:1::'] }, 'sources'],
    [{ applied, health: {}, sources: ['169.254.0.1'] }, 'sources'],
    [{ applied, health: {}, sources: ['fe80::1'] }, 'sources'],
    [{ applied, health: {}, sources: ['ff02::1'] }, 'sources'],
    [{ applied, health: {}, sources: ['192.0.2.0/24'] }, 'sources'],
    [{ applied, health: {}, sources: ['::/0'] }, 'sources'],
    [{ applied, health: {}, sources: ['192.0.2.1', '127.0.0.1'] }, 'sources'],
    [{ applied, health: {}, sources: Array(1_025).fill('192.0.2.1') }, 'sources'],
  ] as const) {
    const answer = await ask('POST', '/truepeer/v1/edges/e/status', admin, report && JSON.stringify(report))
    assert.equal(reasonOf(answer), '400 invalid')
    assert.ok(answer.text.includes(JSON.stringify(`'${field}'`).slice(1, -1)), answer.text)
  }
  assert.equal(reasonOf(await ask('POST', '/truepeer/v1/edges/E%20/status', admin, '{}')), '400 invalid')
  assert.equal(reasonOf(await ask('DELETE', '/truepeer/v1/audit')), '405 httpMethodNotAllowed')
  assert.equal(reasonOf(await ask('GET', '/truepeer/v1/nothing')), '404 notFound')
})

test('a report without health goes on from the one with the same healthId, and is refused where there is none', async (t) => {
  const { ask, hub, token } = await serve(t, LOOPBACK)
  const admin = token('admin')
  const send = (fields: object) => {
    const report = { applied: { generation: 'g', version: 1 }, sources: [], ...fields }
    return ask('POST', '/truepeer/v1/edges/e/status', admin, JSON.stringify(report))
  }
  const health = { 's/g/b': 'HEALTHY' }
  const kept = () => hub.edges().map(({ report }) => [report?.applied.version, report?.health])
  assert.equal(reasonOf(await send({ healthId: 'one' })), '409 conditionNotMet')
  assert.equal((await send({ healthId: 'one', health })).status, 200)
  assert.equal((await send({ healthId: 'one', applied: { generation: 'g', version: 2 } })).status, 200)
  assert.deepEqual(kept(), [[2, health]])
  assert.equal(reasonOf(await send({ healthId: 'two' })), '409 conditionNotMet')
  assert.equal(reasonOf(await send({})), '400 invalid')
  assert.equal(reasonOf(await send({ healthId: 7 })), '400 invalid')
  // As an older edge reports: the name that a newer one gave means nothing any more.
  assert.equal((await send({ health: {} })).status, 200)
  assert.equal(reasonOf(await send({ healthId: 'one' })), '409 conditionNotMet')
  assert.deepEqual(kept(), [[1, {}]])
})

test('what is known of an instance is for agents and admins', async (t) => {
  const { ask, token } = await serve(t, LOOPBACK)
  const path = '/truepeer/v1/instances/web-1'
  const report = JSON.stringify({ applied: { generation: 'g', version: 1 }, health: {}, sources: ['192.0.2.1'] })
  assert.equal((await ask('POST', '/truepeer/v1/edges/edge-1/status', token('edge', 'edge-1'), report)).status, 200)
  for (const role of ['agent', 'admin'] as const) {
    assert.equal((await ask('GET', path, token(role))).text, '{"instances":[],"edges":["192.0.2.1"]}')
  }
  for (const role of ['edge', 'viewer', 'operator'] as const) {
    assert.equal(reasonOf(await ask('GET', path, token(role))), '403 forbidden')
  }
  assert.equal(reasonOf(await ask('GET', '/truepeer/v1/instances/A_', token('agent'))), '400 invalid')
  assert.equal(reasonOf(await ask('POST', path, token('agent'), '{}')), '405 httpMethodNotAllowed')
})

test('the audit log is for admins', async (t) => {
  const { ask, token } = await serve(t, LOOPBACK)
  assert.equal(reasonOf(await ask('GET', '/truepeer/v1/audit', token('operator'))), '403 forbidden')
  assert.equal((await ask('GET', '/truepeer/v1/audit?count=5', token('admin'))).text, '{"items":[]}')
  assert.equal(reasonOf(await ask('GET', '/truepeer/v1/audit?count=x', token('admin'))), '400 invalid')
})

test('what is answered besides the API is told, too: refusals at the door, and the routes of our own', async (t) => {
  const { ask, token, answers } = await serve(t, LOOPBACK)
  await ask('GET', '/x', { host: 'evil.example' })
  await ask('GET', '/x', { authorization: `${token('admin').authorization}x` })
  await ask('GET', '/x', token('edge'))
  await ask('POST', '/x', {}, Buffer.alloc(BODY_BYTES_MAX + 1))
  await ask('GET', '/truepeer/v1/edges')
  await ask('GET', '/truepeer/v1/nothing')
  await ask('GET', '/x')
  assert.deepEqual(answers, ['none 403', 'none 401', 'none 403', 'none 413', 'truepeer 200', 'truepeer 404'])
})

test('answers that are not read are bounded: nothing more is carried out, and who does not read is cut off', async (t) => {
  const { ask, answerWith, requests, logged, server } = await serve(t, LOOPBACK, undefined, {
    answerLimits: { unsentBytesMax: 1024 * 1024, sendMsMin: 300, bytesPerMs: Number.POSITIVE_INFINITY },
  })
  answerWith(() => ({ status: 200, contentType: 'text/plain', bytes: 'x'.repeat(32 * 1024 * 1024) }))
  const { host, port } = locationOf(server.url)
  const silent = connect({ host, port })
  t.after(() => silent.destroy())
  silent.on('error', () => {})
  silent.write(`GET / HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`)
  // Its answer has begun; the rest stays unread.
  await once(silent, 'readable')
  answerWith(() => ({ status: 200, body: {} }))
  assert.equal(reasonOf(await ask('POST', '/compute/v1/a')), '503 backendError')
  assert.equal(requests.length, 1, 'what is refused is not carried out')
  await eventually(() => logged.some(([message]) => message.startsWith('a client was cut off')))
  assert.equal((await ask('GET', '/compute/v1/a')).status, 200)
  assert.ok(logged.some(([message]) => message.startsWith('requests are refused')))
})

async function eventually(isTrue: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 30_000; !isTrue(); await setImmediate()) assert.ok(performance.now() < endMs)
}

test('requests that are sent without waiting are answered one after the other, in their order', async (t) => {
  const { server, requests, answerWith } = await serve(t, LOOPBACK)
  const done: string[] = []
  answerWith(async ({ path }) => {
    // The first takes longer than all that come behind it.
    for (let turn = path === '/a' ? 50 : 0; turn > 0; turn--) await setImmediate()
    done.push(path)
    return { status: 200, body: path }
  })
  const { host, port } = locationOf(server.url)
  const socket = connect(port, host)
  socket.write(['/a', '/b', '/c'].map((path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''))
  let text = ''
  for await (const part of socket) {
    text += String(part)
    if (text.includes('"/c"')) break
  }
  assert.deepEqual(
    [done, requests.map(({ path }) => path)],
    [
      ['/a', '/b', '/c'],
      ['/a', '/b', '/c'],
    ],
  )
})

test('behind an answer that is the last one of its connection nothing is carried out', async (t) => {
  const { server, requests } = await serve(t, LOOPBACK)
  const { host, port } = locationOf(server.url)
  const change = 'POST /compute/v1/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}'
  const socket = connect(port, host)
  socket.write(`GET /first HTTP/1.1\r\nHost: evil.example\r\n\r\n${change}`)
  let text = ''
  for await (const part of socket) text += String(part)
  assert.match(text, /^HTTP\/1\.1 403/)
  assert.deepEqual([text.match(/HTTP\/1\.1/g)?.length, requests], [1, []])
})

test('a body may be compressed, and is bounded as it is when it is not', async (t) => {
  const { ask, requests } = await serve(t, LOOPBACK)
  const body = '{"name":"é"}'
  for (const [encoding, bytes] of [
    ['gzip', gzipSync(body)],
    ['deflate', deflateSync(body)],
    ['identity', Buffer.from(body)],
  ] as const) {
    assert.equal((await ask('POST', '/x', { 'content-encoding': encoding }, bytes)).status, 200, encoding)
    assert.deepEqual(requests.at(-1)?.body, { name: 'é' }, encoding)
    assert.equal(Buffer.from(requests.at(-1)?.rawBody ?? []).toString(), body)
  }
  const bomb = gzipSync(Buffer.alloc(BODY_BYTES_MAX + 1))
  assert.equal(reasonOf(await ask('POST', '/x', { 'content-encoding': 'gzip' }, bomb)), '413 uploadTooLarge')
  assert.equal(reasonOf(await ask('POST', '/x', { 'content-encoding': 'gzip' }, '{}')), '400 badRequest')
  assert.equal(reasonOf(await ask('POST', '/x', { 'content-encoding': 'br' }, '{}')), '415 unsupportedMediaType')
})

test('a POST may stand for another method, and HEAD is the head of a GET', async (t) => {
  const { ask, requests } = await serve(t, LOOPBACK)
  await ask('POST', '/x', { 'x-http-method-override': 'patch' }, '{}')
  const { status, text, headers } = await ask('HEAD', '/x')
  assert.deepEqual([status, text, Number(headers['content-length']) > 0], [200, '', true])
  await ask('GET', '/x', { 'x-http-method-override': 'DELETE' })
  assert.deepEqual(
    requests.map(({ method }) => method),
    ['PATCH', 'GET', 'GET'],
  )
})

test('on loopback with a certificate, names of others may be asked for: no page can have that certificate', async (t) => {
  const { ask, requests } = await serve(t, LOOPBACK, certificate(t))
  assert.equal((await ask('GET', '/x', { host: 'compute.googleapis.com' })).status, 200)
  assert.equal(requests[0].baseUrl, 'https://www.googleapis.com')
})
