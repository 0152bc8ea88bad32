import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { parseEndpoint } from '../address/endpoint.ts'
import { type AdminSource, startAdmin } from './admin.ts'
import type { AgentStatus } from './agent-status.ts'
import type { EdgeControl } from './edge-status.ts'
import { dataPlaneMetrics } from './registry.ts'

const LIVENESS = { workers: 2, stuck: [1], stalls: 3 }
const COUNTS = { read: () => 1, droppedRecords: () => 0, liveness: () => LIVENESS, version: '1.2.3' }
const NO_CONNECTIONS = { connections: [], next: undefined }
const SOURCE: AdminSource = {
  metrics: dataPlaneMetrics(COUNTS),
  connections: async () => NO_CONNECTIONS,
  isReady: () => true,
}

type Answer = { readonly status: number; readonly type: string; readonly body: string }

async function start(
  t: TestContext,
  source: AdminSource,
): Promise<(method: string, path: string, headers?: Record<string, string>) => Promise<Answer>> {
  const endpoint = parseEndpoint('127.0.0.1:0')
  assert.ok(endpoint)
  const server = await startAdmin({ kind: 'tcp', endpoint }, source)
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  return (method, path, headers = {}) =>
    new Promise((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text
        })
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', body })
        })
      })
      asked.on('error', reject).end()
    })
}

test('a request that a web page may have caused is refused: with an Origin, or with the name of its site', async (t) => {
  const ask = await start(t, SOURCE)
  const hosts = ['127.0.0.1:9112', '127.1.2.3', '[::1]:9112', 'localhost', 'LOCALHOST:80']
  for (const host of hosts) assert.equal((await ask('GET', '/healthz', { host })).status, 200, host)
  for (const host of ['evil.example', 'evil.example:9112', '10.0.0.1', '127.0.0.1.evil.example', 'localhost.']) {
    assert.equal((await ask('GET', '/healthz', { host })).status, 403, host)
  }
  for (const origin of ['http://evil.example', 'null', 'http://127.0.0.1:9112']) {
    assert.equal((await ask('GET', '/metrics', { origin })).status, 403, origin)
  }
})

test('each page has its status and its type', async (t) => {
  let isReady = true
  const open = [{ client: '192.0.2.1:1' }]
  const ask = await start(t, {
    ...SOURCE,
    connections: async () => ({ connections: open, next: undefined }),
    isReady: () => isReady,
  })
  const metrics = await ask('GET', '/metrics')
  assert.equal(metrics.status, 200)
  assert.match(metrics.type, /^text\/plain; version=0\.0\.4/)
  const TEXT = 'text/plain'
  assert.deepEqual(await ask('GET', '/healthz'), { status: 200, type: TEXT, body: 'ok\n' })
  assert.deepEqual(await ask('GET', '/readyz'), { status: 200, type: TEXT, body: 'ready\n' })
  isReady = false
  assert.deepEqual(await ask('GET', '/readyz'), { status: 503, type: TEXT, body: 'draining\n' })
  assert.deepEqual(await ask('GET', '/healthz'), { status: 200, type: TEXT, body: 'ok\n' })
  const connections = await ask('GET', '/connections')
  assert.deepEqual(connections, { status: 200, type: 'application/json', body: `${JSON.stringify(open)}\n` })
  assert.deepEqual(await ask('HEAD', '/healthz'), { status: 200, type: TEXT, body: '' })
  assert.deepEqual(await ask('POST', '/metrics'), { status: 405, type: TEXT, body: 'Only GET is answered here\n' })
})

test('what is not there is answered with what is', async (t) => {
  const pagesOf = async (source: AdminSource): Promise<string> => {
    const { status, body } = await (await start(t, source))('GET', '/')
    assert.equal(status, 404)
    return body
  }
  const { connections: _connections, ...controller } = SOURCE
  assert.equal(await pagesOf(controller), 'Here are /metrics, /healthz, /readyz\n')
  assert.equal((await (await start(t, controller))('GET', '/connections')).status, 404)
  assert.equal(await pagesOf(SOURCE), 'Here are /metrics, /healthz, /readyz, /connections\n')
  assert.match(
    await pagesOf({ ...SOURCE, edge: () => undefined }),
    /\/connections, \/status, \/why\?client=ADDRESS and, with POST, /,
  )
})

test('a page that cannot be made is answered with 500, and the next one is made', async (t) => {
  const ask = await start(t, { ...SOURCE, connections: () => Promise.reject(new Error('no worker answers')) })
  assert.deepEqual(await ask('GET', '/connections'), {
    status: 500,
    type: 'text/plain',
    body: 'no worker answers\n',
  })
  assert.equal((await ask('GET', '/healthz')).status, 200)
})

test('an edge says which backends it does not know, or cannot tell from one another', async (t) => {
  const control: EdgeControl = {
    status: () => assert.fail('nobody asked for it'),
    steer: (name) =>
      name === 'b'
        ? { kind: 'ambiguous', backends: ['s/g/b', 's/h/b'] }
        : { kind: 'unknown', backends: ['s/g/a', 's/g/b'] },
    why: () => assert.fail('nobody asked for it'),
  }
  const ask = await start(t, { ...SOURCE, edge: () => control })
  const unknown = await ask('POST', '/backends/c/drain')
  assert.equal(unknown.status, 404)
  assert.equal(JSON.parse(unknown.body).error, 'There is no backend "c"; give an address, or one of s/g/a, s/g/b')
  const ambiguous = await ask('POST', '/backends/b/enable')
  assert.equal(ambiguous.status, 409)
  assert.equal(JSON.parse(ambiguous.body).error, '"b" is more than one backend; name one in full: s/g/b, s/h/b')
  assert.deepEqual(JSON.parse(ambiguous.body).backends, ['s/g/b', 's/h/b'])
  assert.equal((await ask('GET', '/backends/b/drain')).status, 405)
})

test('only an edge has /status, the metrics of an edge, and backends to drain', async (t) => {
  const agent = await start(t, SOURCE)
  assert.equal((await agent('GET', '/status')).status, 404)
  assert.equal((await agent('POST', '/backends/b/drain')).status, 405)
  assert.doesNotMatch((await agent('GET', '/metrics')).body, /truepeer_backend_/)

  const steered: string[] = []
  const control: EdgeControl = {
    status: () => ({
      configuration: {
        version: 1,
        appliedAt: '1970-01-01T00:01:00Z',
        reloads: { ok: 2, failed: 3 },
        problems: [],
        unopened: ['taken'],
      },
      place: { region: undefined, zone: undefined, proximity: 'distance', edges: 1, regions: [] },
      frontends: [],
      services: [],
      leaving: [],
    }),
    why: ({ client, frontend }) =>
      frontend === 'x' ? { kind: 'refused', problem: `no x for ${client}` } : { kind: 'explained', explanations: [] },
    steer: (name, action) => {
      steered.push(`${action} ${name}`)
      return { kind: 'done', backend: name, availability: 'up', open: 0 }
    },
  }
  let edge: EdgeControl | undefined
  const metrics = dataPlaneMetrics({ ...COUNTS, edge: () => edge })
  const ask = await start(t, { ...SOURCE, metrics, edge: () => edge })
  assert.equal((await ask('GET', '/status')).status, 503, 'it has not come up')
  assert.equal((await ask('POST', '/backends/b/drain')).status, 503)
  assert.match((await ask('GET', '/metrics')).body, /^# TYPE truepeer_backend_connections_total counter$/m)
  edge = control
  assert.equal(JSON.parse((await ask('GET', '/status')).body).configuration.version, 1)
  assert.equal((await ask('POST', '/backends/web%2Fzone%2Fg%2F%5B%3A%3A1%5D:80/drain')).status, 200)
  assert.equal((await ask('POST', '/backends/%zz/enable')).status, 200)
  assert.deepEqual(JSON.parse((await ask('GET', '/why?client=192.0.2.7')).body), {
    kind: 'explained',
    explanations: [],
  })
  const refused = await ask('GET', '/why?client=192.0.2.7&frontend=x')
  assert.deepEqual([refused.status, JSON.parse(refused.body)], [400, { error: 'no x for 192.0.2.7' }])
  assert.deepEqual(steered, ['drain web/zone/g/[::1]:80', 'enable %zz'])
  const scraped = (await ask('GET', '/metrics')).body
  assert.match(scraped, /^truepeer_configuration_reloads_total\{result="failed"\} 3$/m)
  assert.match(scraped, /^truepeer_configuration_last_success_timestamp_seconds 60$/m)
})

test('whoever connects and says nothing takes no more descriptors than are kept back', async (t) => {
  const endpoint = parseEndpoint('127.0.0.1:0')
  assert.ok(endpoint)
  const server = await startAdmin({ kind: 'tcp', endpoint }, SOURCE)
  const { port } = server.address() as AddressInfo
  const sockets = Array.from({ length: 40 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const closed = sockets.map((socket) => once(socket.resume(), 'close'))
  await Promise.race(closed)
  await new Promise((resolve) => setImmediate(resolve))
  const count = await new Promise<number>((resolve, reject) =>
    server.getConnections((error, open) => (error === null ? resolve(open) : reject(error))),
  )
  assert.ok(count <= 24, `${count}`)
})

test('a process whose workers are stuck is neither well nor ready', async (t) => {
  let problem: string | undefined = 'workers that do not answer: 1'
  const ask = await start(t, { ...SOURCE, problem: () => problem })
  for (const path of ['/healthz', '/readyz']) {
    const { status, body } = await ask('GET', path)
    assert.deepEqual([status, body], [503, 'workers that do not answer: 1\n'])
  }
  problem = undefined
  for (const path of ['/healthz', '/readyz']) assert.equal((await ask('GET', path)).status, 200)
})

test('connections come in pages, each of which names the next one', async (t) => {
  const asked: unknown[] = []
  const connections = async (countMax: number, after?: string) => {
    asked.push([countMax, after])
    if (after === 'none') return undefined
    return { connections: [], next: after === undefined ? '0.50' : undefined }
  }
  const endpoint = parseEndpoint('127.0.0.1:0')
  assert.ok(endpoint)
  const server = await startAdmin({ kind: 'tcp', endpoint }, { ...SOURCE, connections })
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const read = (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
  const first = await read('/connections?limit=50')
  assert.deepEqual(
    [first.headers.get('link'), await first.json()],
    ['</connections?limit=50&after=0.50>; rel="next"', []],
  )
  assert.equal((await read('/connections?limit=50&after=0.50')).headers.get('link'), null)
  await read('/connections')
  assert.deepEqual(asked, [
    [50, undefined],
    [50, '0.50'],
    [1_000, undefined],
  ])
  for (const wrong of ['?limit=0', '?limit=1001', '?limit=x', '?from=1', '?after=none']) {
    assert.equal((await read(`/connections${wrong}`)).status, 400, wrong)
  }
})

test('many who ask for the status of an agent at once share it: they do not take its time', async (t) => {
  let made = 0
  const agentStatus = (): AgentStatus => {
    made += 1
    const untilMs = performance.now() + 50
    while (performance.now() < untilMs);
    return { listeners: [], connections: { open: made, accepted: made, ended: {} } }
  }
  const ask = await start(t, { ...SOURCE, agentStatus })
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask('GET', '/status')))
  assert.ok(answers.every(({ status }) => status === 200))
  assert.ok(made <= 4, `${made} were made`)
})
