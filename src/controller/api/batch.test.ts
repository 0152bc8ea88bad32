import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OPENAPI_PATH } from '../methods/route.ts'
import { SlowStore } from '../store/test-slow-store.ts'
import { TestApi } from './test-api.ts'

const BOUNDARY = '===============8153949208226538316=='
const CONTENT_TYPE = `multipart/mixed; boundary="${BOUNDARY}"`

/** As gcloud writes it. */
function batchOf(...requests: readonly (readonly [line: string, body: string])[]): string {
  const parts = requests.map(([line, body], index) =>
    [
      `--${BOUNDARY}`,
      'Content-Type: application/http',
      'MIME-Version: 1.0',
      'Content-Transfer-Encoding: binary',
      `Content-ID: <9f8df752-f4fc-43f0-ba35-4798d524ea7e+${index}>`,
      '',
      `${line} HTTP/1.1`,
      'Content-Type: application/json',
      `content-length: ${body.length}`,
      'Host: 127.0.0.1:18080',
      '',
      body,
    ].join('\n'),
  )
  return `${parts.join('\n')}\n--${BOUNDARY}--\n`
}

const PREFIX = '/compute/v1/projects/p/global/healthChecks'
const check = (name: string) => JSON.stringify({ name, type: 'TCP', tcpHealthCheck: {} })

test('each part is answered with its content id, its status and its body, in order', async () => {
  const api = new TestApi()
  const text = batchOf(
    [`POST ${PREFIX}?alt=json`, check('h1')],
    [`POST ${PREFIX}?alt=json`, check('Bad')],
    [`GET ${PREFIX}/h1?alt=json`, ''],
    [`DELETE ${PREFIX}/h2?alt=json`, ''],
  )
  for (const body of [text, text.replaceAll('\n', '\r\n')]) {
    const answer = await api.batch(CONTENT_TYPE, body)
    assert.equal(answer.status, 200)
    const statuses = [
      ...answer.text.matchAll(
        /Content-ID: <response-9f8df752-f4fc-43f0-ba35-4798d524ea7e\+(\d)>\r\n\r\nHTTP\/1.1 (\d+) /g,
      ),
    ]
    const first = body === text ? '200' : '409'
    assert.deepEqual(
      statuses.map(([, index, status]) => [index, status]),
      [
        ['0', first],
        ['1', '400'],
        ['2', '200'],
        ['3', '404'],
      ],
    )
    assert.match(answer.text, /"kind": "compute#healthCheck"/)
    assert.match(answer.text, /\r\n--batch_[0-9a-f]{32}--\r\n$/)
  }
})

test('each part sees what those before it have stored, and a part that waits for edges does not hold up the others', async () => {
  const store = new SlowStore()
  // Edges have applied the first change only when the second is stored.
  const applied = () =>
    new Promise<readonly string[]>((resolve) => {
      const look = (): void => {
        if (store.get('p', 'healthChecks', 'global', 'h1') !== undefined) resolve([])
      }
      store.follow(look)
      look()
    })
  const api = new TestApi({ store, hub: { applied, hasEdges: () => true, isHeldUp: () => false } })
  await api.change('POST', 'global/healthChecks', { name: 'h0', type: 'TCP', tcpHealthCheck: {} })
  await api.change('POST', 'global/backendServices', { name: 's', healthChecks: ['h0'] })
  await api.change('POST', 'global/targetTcpProxies', { name: 't', service: 's' })
  const rule = JSON.stringify({ name: 'r', target: 'global/targetTcpProxies/t', portRange: '110' })
  const { text } = await api.batch(
    CONTENT_TYPE,
    batchOf(
      ['POST /compute/v1/projects/p/global/forwardingRules', rule],
      [`POST ${PREFIX}`, check('h1')],
      [`GET ${PREFIX}/h1`, ''],
      [`DELETE ${PREFIX}/h1`, ''],
      [`GET ${PREFIX}/h1`, ''],
      [`POST ${PREFIX}`, check('h1')],
      [`GET ${PREFIX}/h1`, ''],
    ),
  )
  const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status)
  assert.deepEqual(statuses, ['200', '200', '200', '200', '404', '200', '200'])
})

test('a batch of a viewer changes nothing', async () => {
  const api = new TestApi({ role: 'viewer' })
  const { text } = await api.batch(CONTENT_TYPE, batchOf([`POST ${PREFIX}`, check('h1')]))
  assert.match(text, /HTTP\/1.1 403 Forbidden/)
})

test('a batch inside a batch is not there', async () => {
  const { text } = await new TestApi().batch(CONTENT_TYPE, batchOf(['POST /batch/compute/v1', '']))
  assert.match(text, /HTTP\/1.1 404 Not Found/)
})

test('what is no batch is refused as a whole', async () => {
  const api = new TestApi()
  const whole = batchOf([`POST ${PREFIX}`, check('h1')])
  const wrong: readonly (readonly [contentType: string, text: string, message: RegExp])[] = [
    ['application/json', whole, /multipart\/mixed with a boundary/],
    [CONTENT_TYPE, '', /no end/],
    [CONTENT_TYPE, whole.slice(0, -60), /no end/],
    [CONTENT_TYPE, whole.replace('POST', 'post'), /must begin with a request/],
    [CONTENT_TYPE, `--${BOUNDARY}\n\n--${BOUNDARY}--`, /must begin with a request/],
    [CONTENT_TYPE, `${`--${BOUNDARY}\n`.repeat(1001)}--${BOUNDARY}--`, /1001 parts, more than 1000/],
  ]
  for (const [contentType, text, message] of wrong) {
    const answer = await api.batch(contentType, text)
    assert.equal(answer.status, 400, text.slice(0, 80))
    assert.match(answer.text, message)
  }
  assert.equal(api.store.list('p', 'healthChecks').length, 0)
})

test('a content id is answered as it came: with its spaces, in lines, without brackets, or not at all', async () => {
  const given = '<9f8df752-f4fc-43f0-ba35-4798d524ea7e+0>'
  for (const [sent, answered] of [
    // As Python's and Ruby's clients write it, and take it apart.
    ['<b29c5de2-0db4-490b-b421-6a51b598bd22 + 3>', '<response-b29c5de2-0db4-490b-b421-6a51b598bd22 + 3>'],
    ['\n <b29c5de2 + 3>', '<response-b29c5de2 + 3>'],
    ['item1:12930812@example.com', 'response-item1:12930812@example.com'],
    ['<é>', '<response-é>'],
    ['<a\u0000b\u0085c d>', '<response-abc d>'],
  ]) {
    const answer = await new TestApi().batch(CONTENT_TYPE, batchOf([`GET ${PREFIX}`, '']).replace(given, sent))
    assert.ok(answer.text.includes(`\r\nContent-ID: ${answered}\r\n`), answer.text)
  }
  const { text } = await new TestApi().batch(CONTENT_TYPE, batchOf([`GET ${PREFIX}`, '']).replace(/Content-ID.*\n/, ''))
  assert.match(text, /^HTTP\/1\.1 200 OK/m)
  assert.doesNotMatch(text, /content-id/i)
})

test('the boundary of an answer has no quotes', async () => {
  const { contentType } = await new TestApi().batch(CONTENT_TYPE, batchOf([`GET ${PREFIX}`, '']))
  assert.match(contentType, /^multipart\/mixed; boundary=batch_[0-9a-f]{32}$/)
})

const ANSWERS_LENGTH_MAX = 17 * 1024 * 1024

test('a batch whose answers grow too long says of each part what is so: reads are refused, changes are told', async () => {
  const api = new TestApi()
  const description = 'x'.repeat(2_000)
  for (let index = 0; index < 20; index++) {
    await api.change('POST', 'global/healthChecks', { name: `h${index}`, description, type: 'TCP', tcpHealthCheck: {} })
  }
  const lists = Array.from({ length: 400 }, () => [`GET ${PREFIX}`, ''] as const)
  const { status, text } = await api.batch(
    CONTENT_TYPE,
    batchOf([`POST ${PREFIX}`, check('first')], ...lists, [`POST ${PREFIX}`, check('last')]),
  )
  assert.equal(status, 200)
  const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, one]) => one)
  assert.deepEqual(
    [statuses.length, statuses[0], statuses[1], statuses.at(-2), statuses.at(-1)],
    [402, '200', '200', '400', '200'],
  )
  assert.match(text, /The answers to the batch are longer than 16777216 characters; ask for less/)
  assert.ok(text.length < ANSWERS_LENGTH_MAX, `${text.length}`)
  for (const name of ['first', 'last']) assert.ok(api.store.get('p', 'healthChecks', 'global', name), name)
})

test('a filter of many patterns over many resources keeps nobody waiting for long, alone and in a batch', async () => {
  const api = new TestApi({ role: 'viewer' })
  const admin = new TestApi({ store: api.store })
  for (let index = 0; index < 5; index++) {
    await admin.change('POST', 'global/healthChecks', { name: `h${index}`, type: 'TCP', tcpHealthCheck: {} })
  }
  const filter = Array.from({ length: 40 }, () => 'selfLink eq "(.?){999}(.?){999}#"').join(' OR ')
  const parts = Array.from({ length: 2 }, () => [`GET ${PREFIX}?filter=${encodeURIComponent(filter)}`, ''] as const)
  const beganMs = performance.now()
  let longestMs = 0
  let lastMs = beganMs
  const watch = setInterval(() => {
    const nowMs = performance.now()
    longestMs = Math.max(longestMs, nowMs - lastMs)
    lastMs = nowMs
  }, 1)
  const { text } = await api.batch(CONTENT_TYPE, batchOf(...parts))
  clearInterval(watch)
  assert.doesNotMatch(text, /^HTTP\/1\.1 200/m)
  assert.ok(performance.now() - beganMs < 30_000)
  assert.ok(longestMs < 5_000, `nobody else had a turn for ${longestMs} ms`)
})

test('documents count in the answers to a batch like all that is read', async () => {
  const paths = ['/discovery/v1/apis/compute/v1/rest', OPENAPI_PATH]
  for (const path of paths) {
    const parts = Array.from({ length: 60 }, () => [`GET ${path}`, ''] as const)
    const { text } = await new TestApi().batch(CONTENT_TYPE, batchOf(...parts))
    const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status)
    assert.deepEqual([statuses.length, statuses[0], statuses.at(-1)], [60, '200', '400'], path)
    assert.ok(text.length < ANSWERS_LENGTH_MAX, `${text.length}`)
  }
})

test('nothing is read for a batch whose client has gone; what it changes is changed', async () => {
  const api = new TestApi()
  api.isGone = true
  const reads = [`${PREFIX}/h1`, '/discovery/v1/apis/compute/v1/rest', '/compute/v1/projects/p/global/operations/o']
  const parts = reads.map((path) => [`GET ${path}`, ''] as const)
  const { text } = await api.batch(CONTENT_TYPE, batchOf([`POST ${PREFIX}`, check('h1')], ...parts))
  const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status)
  assert.deepEqual(statuses, ['200', '400', '400', '400'])
  assert.equal(text.match(/The client of the batch has gone/g)?.length, 6, 'each says it as message and as error')
  assert.ok(api.store.get('p', 'healthChecks', 'global', 'h1'))
})

test('16 batches are answered at once', async () => {
  const api = new TestApi()
  const text = batchOf([`GET ${PREFIX}`, ''])
  const answers = await Promise.all(Array.from({ length: 17 }, () => api.batch(CONTENT_TYPE, text)))
  assert.deepEqual(
    answers.map(({ status }) => status),
    [...Array<number>(16).fill(200), 429],
  )
  assert.match(answers[16].text, /16 batches are being answered; nothing was carried out, try again later/)
  assert.equal((await api.batch(CONTENT_TYPE, text)).status, 200)
})
