import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttp2Server, createSecureServer, type ServerHttp2Stream } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import type { Server, Socket } from 'node:net'
import { before, type TestContext, test } from 'node:test'
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls'
import { eventually, pause } from '../../../test/rig/eventually.ts'
import { openSockets } from '../../../test/rig/process.ts'
import { TestApp } from '../../dataplane/connection/test-loop.ts'
import type { Probe } from '../../snapshot/snapshot.ts'
import { LoopLag } from '../conversation/loop-lag.ts'
import { runProbe } from './probe.ts'
import { listen, makeCertificate, NEVER, NO_LAG, probe, startBackend, TCP, testCheck } from './test-backends.ts'

let certificate: TlsOptions

before(() => {
  certificate = makeCertificate()
})

const HTTP: Probe = { kind: 'HTTP', host: '', requestPath: '/', response: '' }
const HTTPS: Probe = { ...HTTP, kind: 'HTTPS' }
const HTTP2: Probe = { ...HTTP, kind: 'HTTP2' }
const SSL: Probe = { kind: 'SSL', request: '', response: '' }
const GRPC: Probe = { kind: 'GRPC', serviceName: '' }
const GRPC_WITH_TLS: Probe = { kind: 'GRPC_WITH_TLS', serviceName: '' }
const ALL = [TCP, SSL, HTTP, HTTPS, HTTP2, GRPC, GRPC_WITH_TLS]
const PING: Probe = { kind: 'TCP', request: 'PING\r\n', response: '+PONG' }
const IMPATIENT = { timeoutMs: 60 }
/** Nobody listens there. */
const CLOSED_PORT = 1

function startTls(t: TestContext, options: TlsOptions, serve: (socket: TLSSocket) => void = () => {}): Promise<number> {
  const server = createTlsServer({ ...certificate, ...options }, serve)
  server.on('tlsClientError', () => {})
  return listen(t, server)
}

function startHttp(t: TestContext, serve: RequestListener): Promise<number> {
  return listen(t, createHttpServer(serve))
}

async function startHttp2(
  t: TestContext,
  isSecure: boolean,
  serve: (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void,
): Promise<number> {
  const server = isSecure ? createSecureServer({ ...certificate } as object) : createHttp2Server()
  server.on('stream', (stream: ServerHttp2Stream, headers: Record<string, unknown>) => {
    stream.on('error', () => {})
    serve(stream, headers)
  })
  server.on('sessionError', () => {})
  return listen(t, server as unknown as Server)
}

/** Sends a text byte by byte, each in a packet of its own. */
async function sendSlowly(socket: Socket, text: string): Promise<void> {
  socket.setNoDelay(true)
  for (const byte of Buffer.from(text)) {
    if (socket.destroyed) return
    socket.write(Buffer.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
}

// Every kind

test('a port that nobody listens on is refused, whatever the check', async () => {
  for (const kind of ALL) assert.equal(await probe(CLOSED_PORT, kind), 'connection refused', kind.kind)
})

test('a backend that does not answer the SYN, or accepts and says nothing, has the timeout for the whole probe', async (t) => {
  const blackHole = new TestApp()
  blackHole.ignoreConnections()
  t.after(() => blackHole.close())
  const silent = await startBackend(t, (socket) => socket.resume())
  const startedMs = performance.now()
  await Promise.all(
    [...ALL.slice(1), PING].map(async (kind) => {
      assert.equal(await probe(blackHole.endpoint.port, kind, IMPATIENT), 'no answer within 60 ms', kind.kind)
      const what = /SSL|HTTPS|HTTP2|TLS/.test(kind.kind) ? 'TLS handshake' : 'answer'
      assert.equal(await probe(silent, kind, IMPATIENT), `accepted, but no ${what} within 60 ms`, kind.kind)
    }),
  )
  const elapsedMs = performance.now() - startedMs
  assert.ok(elapsedMs > 115 && elapsedMs < 1_000, `${elapsedMs}`)
})

test('the timeout is absolute: a backend that sends a byte now and then is late all the same', async (t) => {
  const port = await startBackend(t, (socket) => {
    const timer = setInterval(() => socket.write('x-drip: 1\r\n'), 5)
    socket.write('HTTP/1.1 200 OK\r\n')
    socket.once('close', () => clearInterval(timer)).resume()
  })
  assert.equal(await probe(port, HTTP, IMPATIENT), 'accepted, but no answer within 60 ms')
})

test('a deadline that was missed while this process was busy says nothing about the backend', async (t) => {
  const silent = await startBackend(t, (socket) => socket.resume())
  const target = { check: testCheck(PING, { timeoutMs: 50 }), address: '127.0.0.1', port: silent }
  const result = runProbe(target, NEVER, new LoopLag())
  await new Promise((resolve) => setImmediate(resolve))
  // Nothing runs meanwhile.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  assert.deepEqual(await result, { kind: 'discarded', error: 'this process was too busy to see the answer' })
})

test('an answer that was there in time counts, also when this process was too busy to look', async (t) => {
  const app = new TestApp()
  t.after(() => app.close())
  // From here on the event loop looks at its timers first, and at sockets after them.
  await new Promise((resolve) => setImmediate(resolve))
  const target = { check: testCheck(TCP, { timeoutMs: 20 }), address: '127.0.0.1', port: app.endpoint.port }
  const result = runProbe(target, NEVER, new LoopLag())
  await new Promise((resolve) => process.nextTick(resolve))
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 40)
  assert.equal((await result).kind, 'success')
})

test('a host whose ephemeral ports are all in use cannot tell, and says so', () => {
  // In a network of its own, because the range holds for everybody in it.
  const program = `
    import { createServer, connect } from 'node:net'
    import { once } from 'node:events'
    import { writeFileSync } from 'node:fs'
    import { probe, TCP } from '${new URL('./test-backends.js', import.meta.url)}'
    writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', '50000 50003')
    const server = createServer((socket) => socket.on('error', () => {}))
    await once(server.listen(9000, '0.0.0.0'), 'listening')
    for (let port = 0; port < 4; port++) await once(connect(9000, '127.0.0.1'), 'connect')
    console.log(await probe(9000, TCP))
    process.exit()
  `
  const shell = 'ip link set lo up && exec "$0" --input-type=module -e "$1"'
  const said = execFileSync('unshare', ['-n', 'sh', '-c', shell, process.execPath, program], { encoding: 'utf8' })
  assert.equal(said, 'discarded: all ephemeral ports of this host are in use\n')
})

test('a process that has no descriptor left cannot tell, and says so', async (t) => {
  const open = await startBackend(t, (socket) => socket.resume())
  const held: number[] = []
  // The runtime needs some of its own meanwhile: the limit is met by opening files until none can be opened.
  execFileSync('prlimit', [`--pid=${process.pid}`, '--nofile=200:'])
  try {
    while (true) held.push(openSync('/dev/null', 'r'))
  } catch {
    assert.equal(await probe(open, TCP), 'discarded: this process has too many files open')
  } finally {
    for (const fd of held) closeSync(fd)
    execFileSync('prlimit', [`--pid=${process.pid}`, '--nofile=1024:'])
  }
  assert.equal(await probe(open, TCP), 'success')
})

test('a probe that is called off ends at once and says nothing', async (t) => {
  const silent = await startBackend(t, (socket) => socket.resume())
  for (const kind of [PING, ...ALL.slice(1)]) {
    const stop = new AbortController()
    const result = runProbe({ check: testCheck(kind), address: '127.0.0.1', port: silent }, stop.signal, NO_LAG)
    void pause(5, 'the probe is under way').then(() => stop.abort())
    assert.deepEqual(await result, { kind: 'discarded', error: 'called off' }, kind.kind)
  }
})

test('the port of the check comes before that of the backend', async (t) => {
  const open = await startBackend(t, (socket) => socket.resume())
  assert.equal(await probe(CLOSED_PORT, TCP, { port: open }), 'success')
  assert.equal(await probe(open, TCP, { port: CLOSED_PORT }), 'connection refused')
})

test('a backend on IPv6 is probed, and its address is the Host', async (t) => {
  const hosts: unknown[] = []
  const server = createHttpServer((request, response) => {
    hosts.push(request.headers.host)
    response.end()
  })
  const port = await listen(t, server, '::1')
  const result = await runProbe({ check: testCheck(HTTP), address: '::1', port }, NEVER, NO_LAG)
  assert.deepEqual([result.kind, hosts], ['success', ['[::1]']])
})

test('with a PROXY header, every check begins with PROXY UNKNOWN, before TLS', async (t) => {
  for (const kind of ALL) {
    let received = ''
    const port = await startBackend(t, (socket) => {
      socket.on('data', (bytes: Buffer) => {
        received += bytes.toString('latin1')
        if (received.length > 'PROXY UNKNOWN\r\n'.length) socket.destroy()
      })
    })
    await probe(port, kind, { sendsProxyHeader: true })
    await eventually('the header has come', () => received.startsWith('PROXY UNKNOWN\r\n'))
    const next = received.slice('PROXY UNKNOWN\r\n'.length)
    const isTls = /SSL|HTTPS|HTTP2|TLS/.test(kind.kind)
    if (isTls) assert.ok(next.startsWith('\x16\x03'), `${kind.kind}: a ClientHello`)
    else if (kind === HTTP) assert.match(next, /^GET \/ HTTP\/1\.1\r\n/)
    else if (kind === GRPC) assert.match(next, /^PRI \* HTTP\/2\.0/)
    else assert.equal(next, '')
  }
})

// TCP and SSL

test('without a response, being accepted or the TLS handshake is enough', async (t) => {
  const open = await startBackend(t, (socket) => socket.resume())
  assert.equal(await probe(open, TCP), 'success')
  assert.equal(await probe(await startTls(t, {}), SSL), 'success')
})

test('a request is sent, and the first bytes of the answer have to be the response, in whatever pieces', async (t) => {
  let answer = '+PONG'
  const requests: string[] = []
  const serve = (socket: Socket): void => {
    socket.on('data', (bytes: Buffer) => {
      requests.push(bytes.toString())
      void sendSlowly(socket, answer).then(() => socket.end())
    })
  }
  const ports = { TCP: await startBackend(t, serve), SSL: await startTls(t, {}, serve) }
  for (const kind of ['TCP', 'SSL'] as const) {
    const ping: Probe = { kind, request: 'PING\r\n', response: '+PONG' }
    for (answer of ['+PONG', '+PONG\r\nand more']) assert.equal(await probe(ports[kind], ping), 'success')
    answer = '-ERR\x1b[31m\r\n'
    assert.match(await probe(ports[kind], ping), /^answered "-[^ ]*", expected "\+PONG"$/)
    answer = '+PO'
    assert.equal(await probe(ports[kind], ping), 'closed by the backend after "+PO", expected "+PONG"')
    answer = ''
    assert.equal(await probe(ports[kind], ping), 'closed by the backend')
  }
  assert.deepEqual(new Set(requests), new Set(['PING\r\n']))
})

test('without a request, the backend speaks first', async (t) => {
  const banner = await startBackend(t, (socket) => socket.end('220 mail.example ESMTP\r\n'))
  assert.equal(await probe(banner, { kind: 'TCP', request: '', response: '220' }), 'success')
  const expected = 'answered "220", expected "SSH"'
  assert.equal(await probe(banner, { kind: 'TCP', request: '', response: 'SSH' }), expected)
})

test('a response that is not ASCII is compared byte by byte', async (t) => {
  const greeting = await startBackend(t, (socket) => void sendSlowly(socket, 'grüß dich'))
  assert.equal(await probe(greeting, { kind: 'TCP', request: '', response: 'grüß' }), 'success')
})

test('a backend that resets is down where something is expected of it', async (t) => {
  const port = await startBackend(t, (socket) => socket.once('data', () => socket.resetAndDestroy()))
  assert.equal(await probe(port, PING), 'connection reset')
})

test('a backend that speaks no TLS is down for a check with TLS', async (t) => {
  const plain = await startBackend(t, (socket) =>
    socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
  )
  for (const kind of [SSL, HTTPS, HTTP2, GRPC_WITH_TLS]) {
    assert.equal(await probe(plain, kind), 'TLS handshake failed: wrong version number', kind.kind)
  }
  const closing = await startBackend(t, (socket) => socket.once('data', () => socket.end()))
  assert.equal(await probe(closing, SSL), 'closed during the TLS handshake')
})

test('TLS of an old version, with whatever certificate, is TLS', async (t) => {
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' } as const
  assert.equal(await probe(await startTls(t, old), SSL), 'success')
})

test('a probe ends with a FIN and takes what still comes, so that no app sees a reset', async (t) => {
  const seen: string[] = []
  const serve = (socket: Socket): void => {
    socket.on('error', (error) => seen.push(error.message))
    socket.on('end', () => {
      seen.push('FIN')
      // What an app says last must not meet a closed port.
      socket.write('221 bye\r\n', () => void pause(5, 'the end comes behind the last word').then(() => socket.end()))
    })
    socket.resume()
    socket.write('220 a banner that nobody asked for\r\n')
  }
  const ports = [await startBackend(t, serve), await startTls(t, { allowHalfOpen: true } as object, serve)]
  for (const [index, port] of ports.entries()) {
    const before = openSockets(process.pid)
    assert.equal(await probe(port, index === 0 ? TCP : SSL), 'success')
    await eventually('closed', () => openSockets(process.pid) <= before, 500)
  }
  assert.deepEqual(seen, ['FIN', 'FIN'])
})

test('a peer that does not close is left at once when it was late, and after a second when it was not', async (t) => {
  const port = await startBackend(t, (socket) => socket.resume())
  const before = openSockets(process.pid)
  assert.equal(await probe(port, PING, IMPATIENT), 'accepted, but no answer within 60 ms')
  await eventually('only the side of the peer is open', () => openSockets(process.pid) === before + 1, 500)
  assert.equal(await probe(port, TCP), 'success')
  assert.equal(openSockets(process.pid), before + 3)
  await eventually('only the sides of the peer are open', () => openSockets(process.pid) === before + 2)
})

test('what no conversation gets to see is bounded, too', async (t) => {
  for (const isTls of [false, true]) {
    const flood = (socket: Socket): void => {
      const pour = (): void => {
        while (!socket.destroyed && socket.write('HTTP/1.1 100 Continue\r\n\r\n'.repeat(1_000)));
      }
      socket.resume().on('drain', pour)
      pour()
    }
    const port = isTls ? await startTls(t, {}, flood) : await startBackend(t, flood)
    assert.equal(await probe(port, isTls ? HTTPS : HTTP), 'the backend sent more than 262144 bytes')
  }
})

// HTTP

test('status 200 is healthy, in HTTP and HTTPS, and the request names path and host', async (t) => {
  const seen: string[] = []
  const serve: RequestListener = (request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.host} ${request.headers['user-agent']}`)
    response.end('ok')
  }
  const servers = { HTTP: await startHttp(t, serve), HTTPS: await listen(t, createHttpsServer(certificate, serve)) }
  for (const kind of ['HTTP', 'HTTPS'] as const) {
    assert.equal(await probe(servers[kind], { ...HTTP, kind }), 'success')
    assert.equal(
      await probe(servers[kind], { ...HTTP, kind, host: 'a.example', requestPath: '/health?x=1' }),
      'success',
    )
  }
  const agent = 'truepeer-health-check'
  const once = [`GET / 127.0.0.1 ${agent}`, `GET /health?x=1 a.example ${agent}`]
  assert.deepEqual(seen, [...once, ...once])
})

test('a host that is a name goes into the TLS handshake, an address does not', async (t) => {
  const names: (string | false | null)[] = []
  const server = createHttpsServer(certificate, (_, response) => response.end())
  server.on('secureConnection', (socket: TLSSocket & { servername: string | false }) => names.push(socket.servername))
  const port = await listen(t, server)
  for (const host of ['a.example', '192.0.2.1', '']) assert.equal(await probe(port, { ...HTTPS, host }), 'success')
  assert.deepEqual(names, ['a.example', false, false])
})

test('without a host of its own a probe with TLS asks for the name that traffic asks for', async (t) => {
  const names: string[] = []
  const SNICallback: NonNullable<TlsOptions['SNICallback']> = (name, callback) => {
    names.push(name)
    callback(null, undefined)
  }
  const port = await startTls(t, { SNICallback, ALPNProtocols: ['h2', 'http/1.1'] }, (socket) => socket.end())
  const asked = async (check: Probe, serverName?: string): Promise<string | undefined> => {
    const target = { check: testCheck(check), address: '127.0.0.1', port, serverName }
    await runProbe(target, NEVER, NO_LAG)
    return names.splice(0)[0]
  }
  for (const check of [SSL, HTTPS, HTTP2, GRPC_WITH_TLS]) {
    assert.equal(await asked(check, 'app.example'), 'app.example', check.kind)
    assert.equal(await asked(check), undefined, check.kind)
  }
  assert.equal(await asked({ ...HTTP, kind: 'HTTPS', host: 'health.example' }, 'app.example'), 'health.example')
})

test('every status but 200 is a failure, and no redirect is followed', async (t) => {
  const paths: unknown[] = []
  let status = 0
  const port = await startHttp(t, (request, response) => {
    paths.push(request.url)
    response.writeHead(status, { location: '/elsewhere' }).end()
  })
  for (status of [201, 204, 301, 302, 404, 500, 503]) {
    assert.equal(await probe(port, HTTP), `status ${status}, expected 200`)
  }
  assert.deepEqual(new Set(paths), new Set(['/']))
})

test('an informational response is not the response', async (t) => {
  const port = await startBackend(t, (socket) => {
    socket.once('data', () => void sendSlowly(socket, 'HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n'))
  })
  assert.equal(await probe(port, HTTP), 'success')
})

test('the expected text has to be in the first 1,024 bytes of the body', async (t) => {
  let body = ''
  let isChunked = false
  const port = await startHttp(t, (_, response) => {
    if (!isChunked) response.setHeader('content-length', body.length)
    for (const character of body.slice(0, 1_100)) response.write(character)
    response.end(body.slice(1_100))
  })
  const kind: Probe = { ...HTTP, response: 'I am fine' }
  for (isChunked of [false, true]) {
    for (body of ['I am fine', 'well, I am fine, thanks', `${'x'.repeat(1_015)}I am fine`]) {
      assert.equal(await probe(port, kind), 'success', `${body.length} ${isChunked}`)
    }
    for (body of ['', 'I am ill', `${'x'.repeat(1_016)}I am fine`, 'x'.repeat(3_000)]) {
      const missing = '"I am fine" is not in the first 1024 bytes of the body'
      assert.equal(await probe(port, kind), missing, `${body.length} ${isChunked}`)
    }
  }
})

test('a page of HTTP/1.0, of LF alone, and one that ends with the connection are good enough', async (t) => {
  for (const page of ['HTTP/1.0 200 OK\r\n\r\nfine', 'HTTP/1.1 200 OK\n\nfine', 'HTTP/1.1 200\r\nx: y\r\n\r\nfine']) {
    const port = await startBackend(t, (socket) => socket.once('data', () => socket.end(page)))
    assert.equal(await probe(port, { ...HTTP, response: 'fine' }), 'success', page)
  }
})

test('what is no HTTP is a failure with a reason', async (t) => {
  const answers: [string, RegExp][] = [
    ['', /^closed by the backend without a response$/],
    ['SSH-2.0-OpenSSH_9.6\r\n', /^the answer is not HTTP: Expected HTTP\//],
    ['HTTP/1.1 200 OK\r\nx: y', /^closed by the backend without a response$/],
    [`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}`, /^the headers of the response are longer than 16384 bytes$/],
    ['HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n', /./],
  ]
  for (const [answer, expected] of answers) {
    const port = await startBackend(t, (socket) => socket.once('data', () => socket.end(answer)))
    assert.match(await probe(port, HTTP), expected, answer.slice(0, 40))
  }
})

test('a path or host that cannot be sent is a failure, not an exception', async (t) => {
  const port = await startHttp(t, (_, response) => response.end())
  assert.match(await probe(port, { ...HTTP, requestPath: '/a b' }), /^the probe could not be made: .*path/)
  assert.match(await probe(port, { ...HTTP, host: 'a\r\nx: y' }), /^the probe could not be made: .*header/)
})

// HTTP/2

test('HTTP/2 is agreed on with ALPN, and asks for path and host', async (t) => {
  const seen: string[] = []
  const port = await startHttp2(t, true, (stream, headers) => {
    seen.push(`${headers[':method']} ${headers[':scheme']} ${headers[':authority']} ${headers[':path']}`)
    stream.respond({ ':status': headers[':path'] === '/health' ? 200 : 503 })
    stream.end('I am fine')
  })
  assert.equal(await probe(port, { ...HTTP2, requestPath: '/health', response: 'fine' }), 'success')
  assert.equal(await probe(port, { ...HTTP2, requestPath: '/health', host: 'a.example' }), 'success')
  assert.equal(await probe(port, HTTP2), 'status 503, expected 200')
  const missing = '"ill" is not in the first 1024 bytes of the body'
  assert.equal(await probe(port, { ...HTTP2, requestPath: '/health', response: 'ill' }), missing)
  assert.deepEqual(seen.slice(0, 3), [
    'GET https 127.0.0.1 /health',
    'GET https a.example /health',
    'GET https 127.0.0.1 /',
  ])
})

test('a backend with TLS that does not choose h2 is down for HTTP2', async (t) => {
  const port = await listen(
    t,
    createHttpsServer(certificate, (_, response) => response.end()),
  )
  assert.match(await probe(port, HTTP2), /h2|no application protocol/)
  assert.match(await probe(await startTls(t, {}), HTTP2), /^TLS without HTTP\/2/)
})

test('a stream that is refused, and a session that is told to go away, are failures', async (t) => {
  const refusing = await startHttp2(t, true, (stream) => stream.close(7))
  assert.match(await probe(refusing, HTTP2), /NGHTTP2_REFUSED_STREAM/)
  for (const code of [0, 2, 11]) {
    const leaving = await startHttp2(t, true, (stream) => {
      stream.session?.goaway(code, 0)
      setImmediate(() => stream.session?.destroy())
    })
    const result = await probe(leaving, HTTP2)
    assert.match(result, /HTTP\/2 failed|closed by the backend/, `${code}`)
  }
})

// gRPC

function answerGrpc(stream: ServerHttp2Stream, message: Uint8Array, trailers: Record<string, string>): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers(trailers))
  for (const byte of message) stream.write(Buffer.of(byte))
  stream.end()
}

test('a gRPC server that is SERVING is healthy, with and without TLS, and is asked for the service by name', async (t) => {
  const asked: string[] = []
  for (const kind of [GRPC, GRPC_WITH_TLS]) {
    const port = await startHttp2(t, kind === GRPC_WITH_TLS, (stream, headers) => {
      stream.once('data', (bytes: Buffer) => {
        asked.push(`${headers[':path']} ${headers['content-type']} ${headers['te']} ${bytes.toString('hex')}`)
        answerGrpc(stream, Buffer.of(0, 0, 0, 0, 2, 8, 1), { 'grpc-status': '0' })
      })
    })
    assert.equal(await probe(port, { ...kind, serviceName: 'a.B' } as Probe), 'success')
    assert.equal(await probe(port, kind), 'success')
  }
  const request = '/grpc.health.v1.Health/Check application/grpc trailers'
  const once = [`${request} 00000000050a03612e42`, `${request} 0000000000`]
  assert.deepEqual(asked, [...once, ...once])
})

test('a gRPC server that is anything but SERVING is down, with a reason', async (t) => {
  const ok = { 'grpc-status': '0' }
  const cases: [Buffer, Record<string, string>, string][] = [
    [Buffer.of(0, 0, 0, 0, 2, 8, 2), ok, 'service "a.B" is NOT_SERVING, expected SERVING'],
    [Buffer.of(0, 0, 0, 0, 2, 8, 3), ok, 'service "a.B" is SERVICE_UNKNOWN, expected SERVING'],
    [Buffer.of(0, 0, 0, 0, 0), ok, 'service "a.B" is UNKNOWN, expected SERVING'],
    [Buffer.of(0, 0, 0, 0, 2, 8, 9), ok, 'service "a.B" is 9, expected SERVING'],
    [Buffer.of(0, 0, 0, 0, 9, 8, 1), ok, 'the answer is not a HealthCheckResponse of gRPC'],
    [Buffer.of(1, 0, 0, 0, 2, 8, 1), ok, 'the answer is not a HealthCheckResponse of gRPC'],
    [Buffer.alloc(2_000), ok, 'the answer is longer than 1024 bytes'],
    [Buffer.alloc(0), { 'grpc-status': '5' }, 'gRPC status 5 (NOT_FOUND), expected 0 (OK)'],
    [Buffer.of(0, 0, 0, 0, 2, 8, 1), { 'grpc-status': '14' }, 'gRPC status 14 (UNAVAILABLE), expected 0 (OK)'],
    [Buffer.alloc(0), { 'grpc-status': 'x' }, 'gRPC status "x", expected 0 (OK)'],
    [Buffer.of(0, 0, 0, 0, 2, 8, 1), { other: '1' }, 'closed by the backend without a response'],
  ]
  for (const [message, trailers, expected] of cases) {
    const port = await startHttp2(t, false, (stream) => answerGrpc(stream, message, trailers))
    assert.equal(await probe(port, { kind: 'GRPC', serviceName: 'a.B' }), expected)
  }
  const trailersOnly = await startHttp2(t, false, (stream) => {
    stream.respond({ ':status': 200, 'grpc-status': '12' }, { endStream: true })
  })
  assert.equal(await probe(trailersOnly, GRPC), 'gRPC status 12 (UNIMPLEMENTED), expected 0 (OK)')
  const web = await startHttp2(t, false, (stream) => stream.respond({ ':status': 404 }, { endStream: true }))
  assert.equal(await probe(web, GRPC), 'HTTP status 404, expected 200')
  const http1 = await startHttp(t, (_, response) => response.end())
  assert.match(await probe(http1, GRPC), /^HTTP\/2 failed|^connection reset|^closed/)
})

// Hostile peers

test('whatever a peer does, a probe ends, takes little, and leaves no socket open', async (t) => {
  const before = openSockets(process.pid)
  const flood = Buffer.alloc(64 * 1024, 'HTTP/1.1 200 OK\r\nx: y\r\n')
  const headers = 'HTTP/1.1 200 OK\r\n\r\n'
  let sentBytes = 0
  const pour = (bytes: Uint8Array, socket: Socket): void => {
    const more = (): void => {
      while (!socket.destroyed && socket.write(bytes)) sentBytes += bytes.length
    }
    socket.on('drain', more)
    more()
  }
  const peers: ((socket: Socket) => void)[] = [
    (socket) => socket.destroy(),
    (socket) => socket.resetAndDestroy(),
    (socket) => socket.end(),
    (socket) => socket.end(Buffer.alloc(300)),
    (socket) => pour(Buffer.alloc(64 * 1024), socket),
    (socket) => pour(flood, socket),
    (socket) => pour(Buffer.from('HTTP/1.1 100 Continue\r\n\r\n'.repeat(2_000)), socket),
    (socket) => {
      socket.write(`${headers}`)
      pour(Buffer.alloc(64 * 1024, 'body'), socket)
    },
    // An HTTP/2 server that says nothing but SETTINGS, and one that pings without end.
    (socket) => socket.write(Buffer.from('000000040000000000', 'hex')),
    (socket) => {
      socket.write(Buffer.from('000000040000000000', 'hex'))
      pour(Buffer.from('0000080600000000000000000000000000'.repeat(1_000), 'hex'), socket)
    },
  ]
  const uncaught: unknown[] = []
  const onUncaught = (error: unknown): void => void uncaught.push(error)
  process.on('uncaughtException', onUncaught)
  process.on('unhandledRejection', onUncaught)
  t.after(() => {
    process.off('uncaughtException', onUncaught)
    process.off('unhandledRejection', onUncaught)
  })
  await t.test('peers', async (t) => {
    for (const peer of peers) {
      const early = await startBackend(t, (socket) => {
        socket.resume().on('end', () => socket.destroy())
        peer(socket)
      })
      const late = await startBackend(t, (socket) => {
        socket.on('end', () => socket.destroy()).once('data', () => peer(socket))
      })
      const tls = await startTls(t, { ALPNProtocols: ['h2', 'http/1.1'] }, (socket) => {
        socket.on('error', () => {}).resume()
        peer(
          socket.constructor.name === 'TLSSocket'
            ? Object.assign(socket, { resetAndDestroy: () => socket.destroy() })
            : socket,
        )
      })
      const kinds = [...ALL, PING, { ...HTTP, response: 'fine' } as Probe]
      await Promise.all([early, late, tls].flatMap((port) => kinds.map((kind) => probe(port, kind, { timeoutMs: 80 }))))
    }
    await eventually('all probes have left', () => openSockets(process.pid) <= before + 3 * peers.length)
  })
  await eventually('no socket is open', () => openSockets(process.pid) <= before)
  assert.deepEqual(uncaught, [])
  assert.ok(sentBytes < 2 ** 30, `${sentBytes}`)
})
