import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Mapping } from '../../compute/json-value.ts'
import { anyTexts, soundValues } from '../../compute/test-values.ts'
import { type Method, methods, storedCollection } from '../methods/methods.ts'
import { makeCertificate, TestApi } from './test-api.ts'

/** A request of a fuzz run. */
export type FuzzRequest = { readonly method: string; readonly path: string; readonly body: unknown }

const SCOPES = { global: 'global', region: 'regions/us-central1', zone: 'zones/us-central1-b' } as const
/** The names that the fuzzer's references lead to, and one that is often free. */
const NAMES = ['n', 'm'] as const
const EVIL = [
  null,
  '',
  '__proto__',
  'constructor',
  0,
  -1,
  1e308,
  2 ** 53,
  true,
  [],
  {},
  [[[]]],
  'x'.repeat(5000),
  '\ud800',
  '\u0000',
  '../../../etc/passwd',
  'https://h/compute/v1/projects/p/global/healthChecks/n',
  { toString: null },
  JSON.parse('{"__proto__": {"name": "n"}}'),
]
const QUERIES = [
  '',
  'requestId=x',
  'filter=name%20eq%20(',
  'filter=a%3Db',
  'maxResults=1',
  'pageToken=e30',
  'orderBy=x',
  'networkInterface=nic0&accessConfig=External%20NAT',
  'fields=name,kind,items(*/name)',
  'fields=a(',
  '%',
  '%00=%ff',
]

/** An API with one resource called `n` in every collection and scope. */
export async function makeFuzzApi(certificate: Mapping): Promise<TestApi> {
  const api = new TestApi()
  const name = 'n'
  const zone = SCOPES.zone
  const bodies: readonly (readonly [string, Mapping])[] = [
    [`${zone}/instances`, { name }],
    [`${zone}/instanceGroups`, { name, namedPorts: [{ name: 'n', port: 110 }] }],
    [`${zone}/networkEndpointGroups`, { name }],
    ['global/healthChecks', { name, type: 'TCP', tcpHealthCheck: {} }],
    ['global/backendServices', { name, portName: 'n', healthChecks: ['n'] }],
    ['global/targetTcpProxies', { name, service: 'n' }],
    ['global/sslCertificates', { name, ...certificate }],
    ['global/sslPolicies', { name }],
    ['global/targetSslProxies', { name, service: 'n', sslCertificates: ['n'] }],
    ['global/addresses', { name }],
    ['global/firewalls', { name, allowed: [{ IPProtocol: 'tcp' }] }],
    ['global/forwardingRules', { name, target: 'targetTcpProxies/n', portRange: '110' }],
  ]
  for (const [path, body] of bodies) await api.change('POST', path, body)
  return api
}

/** Requests for every method: bodies that are nearly sound, bodies that are anything, and odd queries and names. */
export function fuzzRequests(certificate: Mapping): fc.Arbitrary<FuzzRequest> {
  return fc.constantFrom(...methods).chain((method) => {
    const scope = fc.constantFrom(...method.scopes.map((kind) => SCOPES[kind]))
    const name = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...NAMES) }, fc.string().map(encodeURIComponent))
    const query = fc.oneof({ weight: 9, arbitrary: fc.constant('') }, fc.constantFrom(...QUERIES))
    return fc
      .record({ scope, name, query, body: bodiesOf(method, certificate) })
      .map(({ scope, name, query, body }) => {
        return { method: method.http, path: pathOf(method, scope, name, query), body }
      })
  })
}

/**
 * Sends requests, one after the other, and holds each to what has to be true whatever it was.
 *
 * Never status 500; what was refused stored nothing; what was acknowledged is stored; no answer has the private key; and
 * what is stored can always be published and listed.
 */
export async function fuzz(requests: Iterable<FuzzRequest>): Promise<ReadonlyMap<number, number>> {
  const certificate = makeCertificate()
  const secret = certificate.privateKey.split('\n')[1]
  let api = await makeFuzzApi(certificate)
  const statuses = new Map<number, number>()
  let count = 0
  for (const request of requests) {
    const revision = api.store.revision()
    const { status, body } = await api.send(request.method, request.path, request.body)
    const shown = `${request.method} ${request.path} ${JSON.stringify(request.body)?.slice(0, 2000)}: ${JSON.stringify(body).slice(0, 500)}`
    assert.deepEqual(api.errors, [], shown)
    assert.ok([200, 204, 400, 403, 404, 405, 409, 412, 501].includes(status), shown)
    assert.ok(!JSON.stringify(body).includes(secret), shown)
    if (status !== 200) assert.equal(api.store.revision(), revision, `refused, and yet stored: ${shown}`)
    if (api.store.revision() !== revision) {
      assert.equal(body.kind, 'compute#operation', shown)
      assert.ok(api.store.operation('p', scopeOf(request.path), String(body.name)), shown)
    }
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
    if (++count % 50 === 0) await checkWhole(api)
    // What was deleted comes back, and what piled up goes.
    if (count % 500 === 0) api = await makeFuzzApi(certificate)
  }
  await checkWhole(api)
  return statuses
}

async function checkWhole(api: TestApi): Promise<void> {
  const publication = api.publication()
  assert.equal(publication.version, api.store.revision())
  const afresh = new TestApi({ store: api.store }).publication()
  assert.deepEqual(publication.snapshot, afresh.snapshot, 'what was compiled piece by piece is what the whole would be')
  for (const method of methods.filter(({ action }) => action === 'list' || action === 'aggregatedList')) {
    for (const kind of method.shape === 'aggregated' ? (['global'] as const) : method.scopes) {
      await api.get(pathOf(method, SCOPES[kind], '', ''))
    }
  }
}

function scopeOf(path: string): string {
  return /^(global|(regions|zones)\/[^/?]+)/.exec(path)?.[1] ?? 'global'
}

function bodiesOf(method: Method, certificate: Mapping): fc.Arbitrary<unknown> {
  const schema = method.body
  if (schema === undefined) return fc.constantFrom(undefined, {}, '', 'x', [])
  const sound = soundValues(schema).map((body) => withEssentials(method, body, certificate))
  const evil = fc.oneof(fc.constantFrom<unknown>(...EVIL), fc.jsonValue(), anyTexts, fc.array(fc.constantFrom(...EVIL)))
  const spoiled = fc
    .tuple(sound, fc.string(), evil, fc.nat())
    .map(([body, key, value, index]) => spoil(body, key, value, index))
  return fc.oneof({ weight: 3, arbitrary: sound }, { weight: 3, arbitrary: spoiled }, { weight: 1, arbitrary: evil })
}

/** What keeps most bodies from being refused at the first look, so that the rest of a method runs, too. */
function withEssentials(method: Method, body: Mapping, certificate: Mapping): Mapping {
  const collection = storedCollection(method)
  if (method.action === 'insert' && collection !== undefined) {
    const keys = collection === 'sslCertificates' ? certificate : {}
    return { ...body, name: NAMES[1], ...keys }
  }
  const { name: _, fingerprint: _fingerprint, labelFingerprint: _labelFingerprint, ...rest } = body
  return rest
}

/** Puts a value in place of one field somewhere in a body, or beside the others. */
function spoil(body: Mapping, key: string, value: unknown, index: number): unknown {
  const names = Object.keys(body)
  const name = names.length === 0 || index % 5 === 0 ? key : names[index % names.length]
  const inner = body[name]
  const isMapping = typeof inner === 'object' && inner !== null && !Array.isArray(inner)
  const spoiled = isMapping && index % 2 === 0 ? spoil(inner as Mapping, key, value, index >> 1) : value
  return Object.fromEntries([...Object.entries(body).filter(([other]) => other !== name), [name, spoiled]])
}

function pathOf(method: Method, scope: string, name: string, query: string): string {
  const { shape, collection, action } = method
  const isPlaces = collection === 'zones' || collection === 'regions'
  const start = isPlaces ? collection : `${scope}/${collection}`
  const word = action === 'getSerialPortOutput' ? 'serialPort' : action
  const paths = {
    project: action === 'get' ? '' : action,
    aggregated: `aggregated/${collection}`,
    collection: start,
    'collection-action': `${start}/${action}`,
    resource: `${start}/${name}`,
    'resource-action': `${start}/${name}/${word}`,
  }
  return query === '' ? paths[shape] : `${paths[shape]}?${query}`
}
