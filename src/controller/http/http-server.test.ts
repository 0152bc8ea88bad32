import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, type RequestOptions, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseEndpoint } from '../../address/endpoint.ts'
import { EMPTY_SNAPSHOT } from '../../snapshot/snapshot.ts'
import type { ListenAddress } from '../../telemetry/listen.ts'
import type { Log, LogFields } from '../../telemetry/log.ts'
import type { ApiRequest, ApiResponse } from '../methods/api-request.ts'
import { EdgeHub } from '../publish/edge-hub.ts'
import { EdgeSources } from '../publish/edge-sources.ts'
import { MemoryStore } from '../store/memory-store.ts'
import type { Role } from '../store/store.ts'
import { makeToken } from '../store/token.ts'
import { Door } from './door.ts'
import { BODY_BYTES_MAX, startHttpServer, type TlsIdentity } from './http-server.ts'
import { OwnRoutes } from './own-routes.ts'

type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly text: string }

/** A server in front of an API that says what it was asked. */
async function serve(t: TestContext, address: ListenAddress, tls?: TlsIdentity) {
  const store = new MemoryStore()
  const requests: ApiRequest[] = []
  const answers: string[] = []
  const logged: (readonly [message: string, fields: LogFields | undefined])[] = []
  let answer: (request: ApiRequest) => ApiResponse = () => ({ status: 200, body: {} })
  const log: Log = (_level, message, fields) => void logged.push([message, fields])
  const hub = new EdgeHub({
    publication: () => ({ version: 1, snapshot: EMPTY_SNAPSHOT, leftOut: [] }),
    generation: 'g',
    log,
    clock: Date.now,
  })
  const sources = new EdgeSources(store, log)
  const server = await startHttpServer({
    address,
    tls,
    door: new Door(
      store,
      () => performance.now(),
      () => {},
    ),
    api: {
      async handle(request) {
        requests.push(request)
        return answer(request)
      },
    },
    ownRoutes: new OwnRoutes(hub, sources, store),
    onAnswer: (method, status) => void answers.push(`${method} ${status}`),
    log,
  })
  t.after(async () => {
    hub.close()
    sources.close()
    await server.close()
  })
  const where = address.kind === 'unix' ? { socketPath: address.path } : locationOf(server.url)
  return {
    server,
    hub,
    requests,
    logged,
    answers,
    answerWith: (next: typeof answer): void => {
      answer = next
    },
    token(role: Role, user: string = role): { authorization: string } {
      const { text, stored } = makeToken({ user, role }, '', randomBytes)
      store.addToken(stored)
      return { authorization: `Bearer ${text}` }
    },
    ask: (method: string, path: string, headers: Record<string, string> = {}, body?: string | Buffer) =>
      ask({ ...where, method, path, headers, agent: false }, body, tls),
  }
}

function locationOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url)
  return { host: hostname.replace('0.0.0.0', '127.0.0.1'), port: Number(port) }
}

function ask(options: RequestOptions, body: string | Buffer | undefined, tls?: TlsIdentity): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = tls === undefined ? requestHttp(options) : requestHttps({ ...options, ca: tls.cert })
    asked.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

function reasonOf({ text }: Answer): string {
  const { error } = JSON.parse(text) as { error: { code: number; message: string; errors: { reason: string }[] } }
  assert.equal(typeof error.message, 'string')
  return `${error.code} ${error.errors[0].reason}`
}

function tcp(text: string): ListenAddress {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint)
  return { kind: 'tcp', endpoint }
}

const LOOPBACK = tcp('127.0.0.1:0')

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
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
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
  assert.deepEqual([body, contentType, user, role], [{ name: 'é' }, 'application/json', 'local', 'admin'])
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

test('a report that is none is refused with the field', async (t) => {
  const { ask } = await serve(t, LOOPBACK)
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
    [{ applied, health: {}, zone: 'A B' }, 'zone'],
    [{ applied, health: {} }, 'sources'],
    [{ applied, health: {}, sources: ['0.0.0.0/0'] }, 'sources'],
    [{ applied, health: {}, sources: ['0.0.0.0'] }, 'sources'],
  ] as const) {
    const answer = await ask('POST', '/truepeer/v1/edges/e/status', {}, report && JSON.stringify(report))
    assert.equal(reasonOf(answer), '400 invalid')
    assert.ok(answer.text.includes(JSON.stringify(`'${field}'`).slice(1, -1)), answer.text)
  }
  assert.equal(reasonOf(await ask('POST', '/truepeer/v1/edges/E%20/status', {}, '{}')), '400 invalid')
  assert.equal(reasonOf(await ask('DELETE', '/truepeer/v1/audit')), '405 httpMethodNotAllowed')
  assert.equal(reasonOf(await ask('GET', '/truepeer/v1/nothing')), '404 notFound')
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
  assert.equal(reasonOf(await ask('GET', '/truepeer/v1/audit?count=x')), '400 invalid')
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
