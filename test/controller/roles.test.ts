// What each kind of client can do to a controller that it should not be able to: every role, and strangers, try all of it.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createToken } from '../../src/controller/store/tokens.ts'
import { makeCertificate } from '../rig/certificate.ts'
import { type LiveController, PROJECT, startController, TEST_ZONE } from '../rig/controller.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually } from '../rig/eventually.ts'

type Client = {
  readonly name: string
  readonly url: string
  readonly ca: string | undefined
  readonly headers: Readonly<Record<string, string>>
}
type Answered = { readonly status: number; readonly text: string }

/** Sends a request and reads its answer, of one without end the first line. */
function send({ url, ca, headers }: Client, method: string, path: string, body?: unknown): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const isBatch = typeof body === 'string'
    const kind = isBatch ? 'multipart/mixed; boundary="b"' : 'application/json'
    const type = body === undefined ? {} : { 'content-type': kind }
    const options = { method, agent: false, headers: { ...headers, ...type } } as const
    const asked = ca === undefined ? requestHttp(url + path, options) : requestHttps(url + path, { ...options, ca })
    asked.on('error', reject)
    asked.on('response', (response: IncomingMessage) => {
      let text = ''
      const done = (): void => resolve({ status: response.statusCode ?? 0, text })
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
        if (response.headers['content-type'] !== 'application/x-ndjson' || !part.includes('\n')) return
        done()
        response.destroy()
      })
      response.on('end', done)
    })
    asked.end(isBatch || body === undefined ? body : JSON.stringify(body))
  })
}

/** The body of a batch. */
function batchOf(...requests: readonly (readonly [line: string, body: string])[]): string {
  const parts = requests.map(([line, body], index) =>
    [
      '--b\r\nContent-Type: application/http',
      `Content-ID: <${index}>`,
      '',
      `${line} HTTP/1.1`,
      'Content-Type: application/json',
      '',
      body,
    ].join('\r\n'),
  )
  return `${parts.join('\r\n')}\r\n--b--\r\n`
}

const ROLES = ['viewer', 'operator', 'admin', 'edge', 'agent'] as const
type Role = (typeof ROLES)[number]
/** Those without a token of ours: by TLS, and on loopback, also as gcloud and a web page ask there. */
const STRANGERS = ['stranger by TLS', 'stranger on loopback', 'gcloud on loopback'] as const
type Who = Role | (typeof STRANGERS)[number]

async function startAll(t: TestContext) {
  const directory = testDirectory(t)
  const data = join(directory, 'data')
  const [cert, key] = await makeCertificate(directory, '127.0.0.1')
  const tls = ['--listen', '0.0.0.0:0', '--tls-cert', cert, '--tls-key', key]
  const args = ['--listen', '127.0.0.1:0', ...tls, '--addresses', '203.0.113.10']
  const controller = await startController(undefined, data, args)
  t.after(() => controller.program.kill())
  const [line] = controller.program.texts().filter((text) => text.includes('"msg":"listening"'))
  const { urls } = JSON.parse(line) as { readonly urls: readonly string[] }
  const loopback = urls.find((url) => url.startsWith('http:')) ?? ''
  const open = (urls.find((url) => url.startsWith('https:')) ?? '').replace('0.0.0.0', '127.0.0.1')
  const ca = readFileSync(cert, 'utf8')
  const withToken = ROLES.map((role): Client => {
    const token = createToken(data, { user: `${role}-1`, role })
    return { name: role, url: open, ca, headers: { authorization: `Bearer ${token}` } }
  })
  const clients: readonly Client[] = [
    ...withToken,
    { name: 'stranger by TLS', url: open, ca, headers: {} },
    { name: 'stranger on loopback', url: loopback, ca: undefined, headers: {} },
    { name: 'gcloud on loopback', url: loopback, ca: undefined, headers: { authorization: 'Bearer ya29.google' } },
  ]
  return { controller, clients, loopback }
}

const EDGES = '/truepeer/v1/edges'
const WATCH = '/truepeer/v1/watch?name=edge-1'
const STATUS = `${EDGES}/edge-1/status`
const instances = `${PROJECT}/zones/${TEST_ZONE}/instances`
const groups = `${PROJECT}/zones/${TEST_ZONE}/networkEndpointGroups`
const rules = `${PROJECT}/global/forwardingRules`
const CHECKS = `${PROJECT}/global/healthChecks`
const HOSTILE_FILTER = new URLSearchParams({
  filter: Array(40).fill('selfLink eq "((((.?){99}){99}){99}){99}#"').join(' OR '),
}).toString()

/** What is tried, and who gets 200; all others are refused. */
const READ_AND_CHANGE: readonly Who[] = ['operator', 'admin', 'stranger on loopback', 'gcloud on loopback']
type Attempt = readonly [what: string, allowed: readonly Who[], method: string, path: string, body?: unknown]

const applied = { generation: '', version: 0 }
const reportOf = (...sources: readonly string[]): object => ({ applied, health: {}, sources })
const instanceAt = (networkIP: string): object => ({
  name: 'web',
  machineType: `zones/${TEST_ZONE}/machineTypes/e2-micro`,
  networkInterfaces: [{ networkIP }],
})
const ruleAt = (IPAddress: string): object => ({
  name: 'rule',
  IPAddress,
  portRange: '443',
  target: 'global/targetTcpProxies/proxy',
})

const ATTEMPTS: readonly Attempt[] = [
  // A9, A10: what gives away keys, trust, or who did what.
  ['follows as an edge of its name', ['edge', 'admin'], 'GET', '/truepeer/v1/watch?name=edge-1'],
  ['follows as another edge', ['admin'], 'GET', '/truepeer/v1/watch?name=edge-2'],
  ['reports as an edge of its name', ['edge', 'admin'], 'POST', STATUS, reportOf('192.0.2.1')],
  ['reports as another edge', ['admin'], 'POST', `${EDGES}/edge-2/status`, reportOf('192.0.2.2')],
  ...[
    '127.0.0.1',
    '::1',
    '::ffff:127.0.0.1',
    '0.0.0.0',
    '::',
    '0.0.0.0/0',
    '192.0.2.0/24',
    '169.254.0.1',
    'ff02::1',
  ].map((source): Attempt => [`has agents trust ${source}`, [], 'POST', STATUS, reportOf(source)]),
  ['has agents trust thousands', [], 'POST', STATUS, reportOf(...Array(2_000).fill('192.0.2.1'))],
  ['follows as an agent', ['agent', 'admin'], 'GET', '/truepeer/v1/sources'],
  ['asks for an instance', ['agent', 'admin'], 'GET', '/truepeer/v1/instances/web'],
  ['reads the audit log', ['admin'], 'GET', '/truepeer/v1/audit'],
  ['lists edges', ['viewer', ...READ_AND_CHANGE], 'GET', EDGES],
  ['has an edge forgotten', ['admin'], 'DELETE', `${EDGES}/edge-2`],
  ['comes as a web page', [], 'GET', `${PROJECT}/global/healthChecks#origin`],
  // A2: backends that lead to the host of an edge, or to its cloud's secrets.
  ...[
    '127.0.0.1',
    '::1',
    '::ffff:127.0.0.1',
    '64:ff9b::7f00:1',
    '169.254.169.254',
    'fe80::1',
    '0.0.0.0',
    '::',
    '224.0.0.1',
  ].flatMap((address): readonly Attempt[] => [
    [`an instance at ${address}`, [], 'POST', instances, instanceAt(address)],
    [
      `an endpoint at ${address}`,
      [],
      'POST',
      groups,
      { name: 'neg', networkEndpoints: [{ ipAddress: address, port: 1 }] },
    ],
  ]),
  // A6: addresses that an edge would put on its host.
  ...['8.8.8.8', '0.0.0.0', '::', '127.0.0.1', '203.0.113.11', '2001:db8::1'].flatMap((address): readonly Attempt[] => [
    [`a rule at ${address}`, [], 'POST', rules, ruleAt(address)],
    [`the reservation of ${address}`, [], 'POST', `${PROJECT}/global/addresses`, { name: 'a', address }],
  ]),
  // A3: patterns that would keep the controller busy. Whoever may not read hears nothing of them.
  ['filters by a pattern that is too large', [], 'GET', `${PROJECT}/global/healthChecks?${HOSTILE_FILTER}`],
  ['filters all collections by it', [], 'GET', `${PROJECT}/aggregated/backendServices?${HOSTILE_FILTER}`],
  // A8: lists without an end.
  ['reads the whole audit log', [], 'GET', '/truepeer/v1/audit?count=10001'],
  ['reads the audit log without a count', [], 'GET', '/truepeer/v1/audit?count=-1'],
  // A13: texts that would end a line of a protocol, towards backends.
  ...[
    { type: 'HTTP', httpHealthCheck: { port: 80, host: 'a\r\nX: y' } },
    { type: 'HTTP', httpHealthCheck: { port: 80, host: 'a b' } },
    { type: 'HTTP', httpHealthCheck: { port: 80, requestPath: '/ HTTP/1.1\r\nX: y' } },
    { type: 'HTTP2', http2HealthCheck: { port: 80, host: 'a\nb' } },
    { type: 'HTTPS', httpsHealthCheck: { port: 80, host: 'a\0b' } },
    { type: 'GRPC', grpcHealthCheck: { port: 80, grpcServiceName: 'a\u0001' } },
  ].map((check): Attempt => {
    return [`a health check of ${JSON.stringify(check)}`, [], 'POST', CHECKS, { name: 'c', ...check }]
  }),
  // A18: what is kept of tokens, and of the keys that edges have.
  ['reads tokens', [], 'GET', '/truepeer/v1/tokens'],
  ['reads ticket keys', [], 'GET', '/truepeer/v1/tickets'],
  // What is right, by the same ways.
  ['reads resources', ['viewer', ...READ_AND_CHANGE], 'GET', `${PROJECT}/global/healthChecks`],
]

const NS = `/ns/v1/${PROJECT.replace('/compute/v1/', '')}/locations`
const POLICIES = `${NS}/global/serviceLbPolicies`
const MAY_READ: readonly Who[] = ['viewer', ...READ_AND_CHANGE]

async function insertProxy(controller: LiveController): Promise<void> {
  for (const [path, body] of [
    ['healthChecks', { name: 'check', type: 'TCP', tcpHealthCheck: { port: 1 } }],
    ['backendServices', { name: 'service', protocol: 'TCP', healthChecks: ['global/healthChecks/check'] }],
    ['targetTcpProxies', { name: 'proxy', service: 'global/backendServices/service' }],
  ] as const) {
    assert.equal((await controller.ask('POST', `${PROJECT}/global/${path}`, body)).status, 200)
  }
}

test('a viewer, an operator, an edge, an agent and strangers get nothing that is not theirs', async (t) => {
  const { controller, clients } = await startAll(t)
  await insertProxy(controller)
  for (const [what, allowed, method, path, body] of ATTEMPTS) {
    for (const client of clients) {
      const [plain, mark] = path.split('#')
      const headers = mark === 'origin' ? { ...client.headers, origin: 'http://evil.example' } : client.headers
      const attempt = (): Promise<Answered> => send({ ...client, headers }, method, plain ?? '', body)
      if (allowed.includes(client.name as Who)) {
        // The one before may still be about to leave.
        await eventually(`${client.name} ${what}`, async () => (await attempt()).status === 200)
        continue
      }
      const { status, text } = await attempt()
      const told = `${client.name} ${what}: ${status} ${text.slice(0, 300)}`
      assert.ok([400, 401, 403, 404, 429].includes(status), told)
      // No answer that refuses says more than why.
      assert.match(text, /^\{\s*"error": ?\{\s*"code": ?\d+,\s*"message": ?"/, told)
    }
  }
  const { body } = await controller.ask('GET', '/truepeer/v1/audit?count=1000')
  const { items } = body as { readonly items: readonly { readonly action: string; readonly user: string }[] }
  assert.deepEqual(items.filter(({ action }) => action === 'tokens.create').length, ROLES.length)
  assert.ok(
    items.every(({ action }) => /^(tokens|healthChecks|backendServices|targetTcpProxies|projects)\./.test(action)),
  )
})

test('ticket keys go to edges alone, and a batch gives nobody what its requests do not', async (t) => {
  const { controller, clients } = await startAll(t)
  const { keys } = JSON.parse(readFileSync(join(controller.directory, 'ticket-keys.json'), 'utf8')) as {
    readonly keys: readonly string[]
  }
  const insert = JSON.stringify({ name: 'check', type: 'TCP', tcpHealthCheck: { port: 1 } })
  // A4: a change, and more reads behind it than any client needs.
  const batch = batchOf([`POST ${CHECKS}`, insert], ...Array(999).fill([`GET ${CHECKS}`, '']))
  const followed: string[] = []
  const changed: string[] = []
  for (const client of clients) {
    let watched: Answered = { status: 0, text: '' }
    await eventually('the one before has left', async () => {
      watched = await send(client, 'GET', WATCH)
      return watched.status !== 409
    })
    if (keys.some((key) => watched.text.includes(key))) followed.push(client.name)
    const answer = await send(client, 'POST', '/batch/compute/v1', batch)
    assert.ok(answer.text.length < 32 * 1024 * 1024)
    // What is not so is not said: the part of the change tells what has become of it.
    const [, first = ''] = /\r\n\r\nHTTP\/1\.1 (\d+) /.exec(answer.text) ?? []
    const { status } = await controller.ask('GET', `${CHECKS}/check`)
    assert.equal(first === '200', status === 200, `${client.name}: ${answer.status} ${answer.text.slice(0, 300)}`)
    if (status !== 200) continue
    changed.push(client.name)
    assert.equal((await controller.ask('DELETE', `${CHECKS}/check`)).status, 200)
  }
  assert.deepEqual(followed, ['admin', 'edge'])
  assert.deepEqual(changed, READ_AND_CHANGE)
})

test('service LB policies are for those who may read and change other resources', async (t) => {
  const { clients } = await startAll(t)
  for (const client of clients) {
    const who = client.name as Who
    const told = async (allowed: readonly Who[], method: string, path: string, body?: unknown): Promise<void> => {
      const { status, text } = await send(client, method, path, body)
      const isAllowed = allowed.includes(who)
      assert.ok(isAllowed ? status === 200 : status === 401 || status === 403, `${who} ${method} ${path}: ${text}`)
    }
    for (const path of [NS, `${NS}/global`, POLICIES, `${NS}/global/operations`]) await told(MAY_READ, 'GET', path)
    await told(READ_AND_CHANGE, 'POST', `${POLICIES}?serviceLbPolicyId=pol`, {})
    const isMade = READ_AND_CHANGE.includes(who)
    const { status } = await send(client, 'GET', `${POLICIES}/pol`)
    assert.equal(status, isMade ? 200 : who === 'viewer' ? 404 : status >= 401 && status <= 403 ? status : 0, who)
    const mask = 'updateMask=description'
    await told(READ_AND_CHANGE, 'PATCH', `${POLICIES}/pol?${mask}`, { description: who })
    await told(READ_AND_CHANGE, 'DELETE', `${POLICIES}/pol`)
  }
})

test('people may ask why an edge chooses as it does, and only that edge and an admin may answer', async (t) => {
  const { clients } = await startAll(t)
  const why = `${EDGES}/edge-1/why?client=192.0.2.7`
  const answers = `${EDGES}/edge-1/answers/00000000-0000-4000-8000-000000000000`
  const statuses = async (method: string, path: string, body?: unknown): Promise<Record<string, number>> =>
    Object.fromEntries(
      await Promise.all(clients.map(async (client) => [client.name, (await send(client, method, path, body)).status])),
    )
  const others = { 'stranger by TLS': 401, 'stranger on loopback': 401, 'gcloud on loopback': 401 }
  // There is no such edge, which only those hear who may ask; nobody waits for this answer, as the edge alone hears.
  assert.deepEqual(await statuses('GET', why), {
    ...{ viewer: 404, operator: 404, admin: 404, edge: 403, agent: 403 },
    ...{ 'stranger by TLS': 401, 'stranger on loopback': 404, 'gcloud on loopback': 404 },
  })
  assert.deepEqual(await statuses('POST', answers, { kind: 'explained', explanations: [] }), {
    ...{ viewer: 403, operator: 403, admin: 404, edge: 404, agent: 403 },
    ...others,
  })
  const other = answers.replace('edge-1', 'edge-2')
  assert.equal((await statuses('POST', other, {})).edge, 403)
})

test('who says nothing, or never ends, keeps nobody else from an answer', async (t) => {
  const { controller, clients } = await startAll(t)
  const [viewer] = clients
  // A12: more silent connections than one client needs, on both ports; they are closed in time (http-limits.full.test.ts).
  const { hostname, port } = new URL(viewer.url)
  const silent = Array.from({ length: 500 }, () => connect({ host: hostname, port: Number(port) }))
  t.after(() => {
    for (const socket of silent) socket.destroy()
  })
  for (const socket of silent) socket.on('error', () => undefined)
  await eventually('all are connected or refused', () => silent.every(({ connecting }) => !connecting))
  for (const client of clients) {
    const { status } = await send(client, 'GET', CHECKS)
    assert.ok(status === 200 || status === 401 || status === 403, `${client.name}: ${status}`)
  }
  assert.equal((await controller.ask('GET', CHECKS)).status, 200)
})

test('an edge that follows is not pushed out: not by its own token, an admin, or a stranger', async (t) => {
  const { controller, clients } = await startAll(t)
  const edge = clients.find(({ name }) => name === 'edge')
  const admin = clients.find(({ name }) => name === 'admin')
  assert.ok(edge !== undefined && admin !== undefined)
  const following = await new Promise<IncomingMessage>((resolve, reject) => {
    const options = { agent: false, headers: edge.headers, ca: edge.ca } as const
    requestHttps(`${edge.url}${WATCH}`, options, resolve).on('error', reject).end()
  })
  following.resume()
  for (const client of clients) {
    const { status } = await send(client, 'GET', WATCH)
    assert.equal(status, client === edge || client === admin ? 409 : status >= 400 ? status : 0, client.name)
  }
  const { body } = await controller.ask('GET', EDGES)
  assert.deepEqual((body as { items: object[] }).items, [{ name: 'edge-1', isConnected: true }])
  assert.equal(following.destroyed, false)
  following.destroy()
})

test('an edge that changes its addresses all the time is held to a rate, and costs no other request', async (t) => {
  const { controller, clients } = await startAll(t)
  const edge = clients.find(({ name }) => name === 'edge')
  assert.ok(edge !== undefined)
  const statuses = new Map<number, number>()
  for (let count = 0; count < 200; count++) {
    const { status } = await send(edge, 'POST', STATUS, reportOf(`198.51.100.${count}`))
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }
  const taken = statuses.get(200) ?? 0
  assert.ok(taken >= 20 && taken <= 40, JSON.stringify([...statuses]))
  assert.equal(taken + (statuses.get(429) ?? 0), 200)
  assert.match(
    controller.program.texts().join('\n'),
    /"problem":"they change too often.*addresses of an edge are not taken/,
  )
})
