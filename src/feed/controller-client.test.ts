import assert from 'node:assert/strict'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../test/rig/eventually.ts'
import { ControllerClient } from './controller-client.ts'

type Said = { readonly asked: number; readonly lines: readonly unknown[]; readonly problems: readonly unknown[] }

/** So that no test takes seconds. */
const QUICK = { answerMsMax: 300, silenceMsMax: 300 }

/** Writes a part every 50 ms for as long as somebody reads. */
function drip(response: Pick<ServerResponse, 'on' | 'write'> | Socket, part: string): void {
  const timer = setInterval(() => response.write(part), 50)
  response.on('error', () => {})
  response.on('close', () => clearInterval(timer))
}

/** Follows a server that answers like this, until it is over. */
async function follow(
  t: TestContext,
  answer: RequestListener,
  isOver: (said: Said) => boolean,
  { waits, lineBytesMax }: { readonly waits?: typeof QUICK; readonly lineBytesMax?: number } = {},
): Promise<Said> {
  let asked = 0
  const server = createServer((request, response) => {
    asked += 1
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const secrets = { readToken: () => undefined, readCa: () => undefined }
  const client = new ControllerClient({ kind: 'url', url }, secrets, waits)
  const [lines, problems]: [unknown[], unknown[]] = [[], []]
  const end = new AbortController()
  const log = (_level: string, _message: string, fields: { readonly problem?: unknown } = {}): void => {
    if (fields.problem !== undefined) problems.push(fields.problem)
  }
  const following = client.follow(
    { pathOf: () => '/', onLine: (line) => lines.push(line), lineBytesMax },
    { log, signal: end.signal },
  )
  await eventually('it is over', () => isOver({ asked, lines, problems }))
  end.abort()
  await following
  return { asked, lines, problems }
}

test('a controller that ends each connection after a line is asked ever more seldom', async (t) => {
  const startedMs = performance.now()
  // A second and a half: time is the subject.
  const isOver = ({ asked }: Said): boolean => asked >= 2 && performance.now() - startedMs > 1_500
  const { asked, lines } = await follow(t, (_request, response) => response.end('{"type":"alive"}\n'), isOver)
  assert.deepEqual(lines[0], { type: 'alive' })
  assert.ok(asked <= 8, `${asked}`)
})

test('what is no line is named once, and nothing of it is repeated', async (t) => {
  for (const text of [
    'secret',
    'null',
    '7',
    '{"secret":',
    '["secret"]',
    '{}',
    '{"type":null}',
    '{"type":["secret"]}',
  ]) {
    const { lines, problems } = await follow(
      t,
      (_request, response) => response.end(`${text}\n`),
      ({ asked }) => asked >= 2,
    )
    assert.deepEqual([lines, problems], [[], ['sent an invalid line; is it a controller?']])
  }
})

test('a refusal without a word of its own says what the answer is', async (t) => {
  for (const [status, headers, expected] of [
    [
      302,
      { location: 'https://elsewhere.example/' },
      'status 302: it is at "https://elsewhere.example/", which is not followed',
    ],
    [404, {}, 'status 404: Not Found'],
  ] as const) {
    const answer: RequestListener = (_request, response) => response.writeHead(status, headers).end()
    const { problems } = await follow(t, answer, (said) => said.problems.length > 0)
    assert.deepEqual(problems, [expected])
  }
})

test('an answer to a report is not read to an end that it has not', async (t) => {
  let isClosed = (): void => {}
  const closed = new Promise<void>((resolve) => {
    isClosed = resolve
  })
  const server = createServer((_request, response) => {
    const timer = setInterval(() => response.write('x'.repeat(10_000)), 10)
    response.on('close', () => {
      clearInterval(timer)
      isClosed()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = new ControllerClient({ kind: 'url', url }, { readToken: () => undefined, readCa: () => undefined })
  await client.post('/', '{}', new AbortController().signal)
  await closed
})

for (const [what, answer, expected] of [
  ['says nothing at all', () => {}, 'no answer within 0.3 s'],
  [
    'drips its headers',
    (_request, { socket }) => {
      socket?.write('HTTP/1.1 200 OK\r\n')
      if (socket) drip(socket, 'x: y\r\n')
    },
    'no answer within 0.3 s',
  ],
  [
    'promises an answer again and again',
    (_request, { socket }) => {
      if (socket) drip(socket, 'HTTP/1.1 103 Early Hints\r\n\r\n')
    },
    'no answer within 0.3 s',
  ],
  ['drips a refusal', (_request, response) => drip(response.writeHead(503), 'x'), 'no answer within 0.3 s'],
  ['drips a line without end', (_request, response) => drip(response.writeHead(200), 'x'), 'sent a line too slowly'],
  ['is silent once it has answered', (_request, response) => void response.write(' '), 'silent for 0.3 s'],
  [
    'sends a line that is too long',
    (_request, response) => response.end('x'.repeat(2 * 1024 * 1024)),
    'sent a line that is longer than 1 MiB',
  ],
  [
    'sends a line that is too long, and whole',
    (_request, response) => response.end(`"${'x'.repeat(1024 * 1024)}"\n`),
    'sent a line that is longer than 1 MiB',
  ],
] as const satisfies readonly (readonly [string, RequestListener, string])[]) {
  test(`a controller that ${what} is left in time, and named`, async (t) => {
    const limits = { waits: QUICK, lineBytesMax: 1024 * 1024 }
    const { lines, problems } = await follow(t, answer, (said) => said.problems.length > 0, limits)
    assert.deepEqual([lines, problems], [[], [expected]])
  })
}

test('lines without end leave time for others', async (t) => {
  const text = '{"type":"alive"}\n'.repeat(10_000)
  const flood: RequestListener = (_request, response) => {
    const more = (): void => {
      while (response.write(text)) {}
    }
    response.on('drain', more)
    more()
  }
  let idleMs = 0
  let busyMs = 0
  const timer = setInterval(() => {
    const { idle, active } = performance.eventLoopUtilization()
    idleMs = idle
    busyMs = active
  }, 50)
  const began = performance.eventLoopUtilization()
  const startedMs = performance.now()
  const { problems } = await follow(t, flood, () => performance.now() - startedMs > 500)
  clearInterval(timer)
  assert.deepEqual(problems, [])
  const share = (busyMs - began.active) / (busyMs - began.active + idleMs - began.idle)
  // Half of it at most reads; the server is in this process, too, and is held up by it.
  t.diagnostic(`busy ${Math.round(share * 100)} %`)
  assert.ok(share < 0.9, `${share}`)
})

test('a long line of a slow controller is waited for while it comes', async (t) => {
  const line = `{"type":"later","text":"${'x'.repeat(200_000)}"}\n`
  const slowly: RequestListener = (_request, response) => {
    let sent = 0
    const timer = setInterval(() => {
      response.write(line.slice(sent, sent + 20_000))
      sent += 20_000
      if (sent >= line.length) clearInterval(timer)
    }, 60)
  }
  const { lines, problems } = await follow(t, slowly, (said) => said.lines.length > 0, { waits: QUICK })
  assert.deepEqual([lines.length, problems], [1, []])
})

test('a client says where its controller is: by its name, and where it has answered', async (t) => {
  const server = createServer((_request, response) => response.end('{}'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const secrets = { readToken: () => undefined, readCa: () => undefined }
  const clientOf = (url: string) => new ControllerClient({ kind: 'url', url }, secrets)
  assert.deepEqual(await clientOf('https://192.0.2.7:8443').addresses(), ['192.0.2.7'])
  assert.deepEqual(await clientOf('https://[2001:db8::7]:8443').addresses(), ['2001:db8::7'])
  assert.deepEqual(await clientOf('https://nowhere.invalid').addresses(), [])
  assert.deepEqual(await new ControllerClient({ kind: 'unix', path: '/x' }, secrets).addresses(), [])
  const client = clientOf(`http://127.0.0.1:${port}`)
  await client.post('/', '{}', new AbortController().signal)
  assert.deepEqual(await client.addresses(), ['127.0.0.1', '127.0.0.1'])
})
