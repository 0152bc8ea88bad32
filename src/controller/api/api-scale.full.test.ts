import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import Libsql from 'libsql'
import { databasePath } from '../store/data-directory.ts'
import { SqliteStore } from '../store/sqlite-store.ts'
import { TestApi } from './test-api.ts'

/** Each chain is five instances, their group, health check, service, proxy and forwarding rule. */
const CHAIN_COUNT = 1000
const RESOURCE_COUNT = CHAIN_COUNT * 10
const P99_MS_MAX = 50
const PUBLISH_MS_MAX = 100
const OPERATION_COUNT = 100_000
/** Of a list whose filter leaves nothing, which looks at 10,000 before it ends a page. */
const FILTER_MS_MAX = 500
/** For a page of operations: looking at all of them takes a second. */
const PAGE_MS_MAX = 150
/** Half of the time, for one operation: looking at all of its scope takes longer. */
const ONE_MS_MAX = 3
const ROUNDS = 3
const zone = 'zones/us-central1-b'

async function makeChain(api: TestApi, index: number): Promise<void> {
  const instances = [0, 1, 2, 3, 4].map((member) => `i${index * 5 + member}`)
  for (const [member, name] of instances.entries()) {
    const number = index * 5 + member
    const networkIP = `10.1.${number >> 8}.${number & 255}`
    await api.change('POST', `${zone}/instances`, { name, networkInterfaces: [{ networkIP }] })
  }
  const namedPorts = [{ name: 'app', port: 110 }]
  await api.change('POST', `${zone}/instanceGroups`, { name: `g${index}`, namedPorts, instances })
  await api.change('POST', 'global/healthChecks', { name: `h${index}`, type: 'TCP', tcpHealthCheck: { port: 110 } })
  const service = {
    portName: 'app',
    healthChecks: [`h${index}`],
    backends: [{ group: `${zone}/instanceGroups/g${index}` }],
  }
  await api.change('POST', 'global/backendServices', { name: `b${index}`, ...service })
  await api.change('POST', 'global/targetTcpProxies', { name: `t${index}`, service: `b${index}` })
  await api.change('POST', 'global/forwardingRules', { name: `r${index}`, target: `t${index}`, portRange: '110' })
}

/** The 99th percentile, or another, of the best of some rounds: others may use the machine meanwhile. */
async function timeOf(
  t: TestContext,
  what: string,
  count: number,
  run: (index: number) => Promise<unknown>,
  quantile = 0.99,
): Promise<number> {
  const rounds: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const times: number[] = []
    for (let index = 0; index < count; index++) {
      const start = performance.now()
      await run(index + round)
      times.push(performance.now() - start)
    }
    times.sort((a, b) => a - b)
    rounds.push(times[Math.floor(quantile * (count - 1))])
  }
  t.diagnostic(`${what}: p${quantile * 100} of each round ${rounds.map((ms) => ms.toFixed(1)).join(', ')} ms`)
  return Math.min(...rounds)
}

/** A store of its own, whose database may be filled before it is opened. */
function openStore(t: TestContext, fill: (path: string) => void): SqliteStore {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-scale-'))
  new SqliteStore(directory).close()
  fill(databasePath(directory))
  const store = new SqliteStore(directory)
  t.after(() => {
    store.close()
    rmSync(directory, { recursive: true })
  })
  return store
}

test('with 10,000 resources, list, get and patch stay below 50 ms, and a change is compiled in 100 ms', async (t) => {
  const store = openStore(t, () => {})
  const api = new TestApi({ store, addressPools: ['203.0.0.0/16'] })
  for (let index = 0; index < CHAIN_COUNT; index++) await makeChain(api, index)
  assert.ok(store.all().length >= RESOURCE_COUNT)
  assert.equal(api.publication().snapshot.frontends.length, CHAIN_COUNT)
  const measured = {
    list: await timeOf(t, 'list', 200, () => api.get(`${zone}/instances?maxResults=500`)),
    filter: await timeOf(t, 'list with a filter', 200, (index) =>
      api.get(`${zone}/instances?filter=name%3Di${index * 25}`),
    ),
    aggregated: await timeOf(t, 'aggregated list', 200, () => api.get('aggregated/instances?includeAllScopes=True')),
    get: await timeOf(t, 'get', 1000, (index) => api.get(`global/backendServices/b${index % CHAIN_COUNT}`)),
    patch: await timeOf(t, 'patch', 1000, (index) => {
      return api.changeAsItIs('PATCH', `global/backendServices/b${index % CHAIN_COUNT}`, { timeoutSec: index + 1 })
    }),
  }
  for (const [what, p99] of Object.entries(measured)) assert.ok(p99 < P99_MS_MAX, `${what}: ${p99} ms`)
  const publish = await timeOf(t, 'patch and compile', 100, async (index) => {
    await api.changeAsItIs('PATCH', `global/backendServices/b${index}`, { timeoutSec: index + 2 })
    assert.equal(api.publication().version, store.revision())
  })
  assert.ok(publish < PUBLISH_MS_MAX, `${publish} ms`)
})

/** Without the API: each change of its own would wait for the disk. Nine of ten are in one zone, the rest global. */
function fillOperations(path: string): void {
  const database = new Libsql(path)
  const insert = database.prepare(
    "INSERT INTO operations (project, scope, name, id, is_done, inserted, resource) VALUES ('p', ?, ?, ?, 1, ?, ?)",
  )
  database.exec('BEGIN')
  for (let index = 0; index < OPERATION_COUNT; index++) {
    const scope = index % 10 === 0 ? 'global' : zone
    const name = nameOf(index)
    const inserted = new Date(Date.UTC(2026, 10, 20) + index * 1000).toISOString()
    const id = String(10 ** 9 + index)
    const resource = { kind: 'compute#operation', id, name, insertTime: inserted, status: 'DONE', progress: 100 }
    const links = { targetLink: `projects/p/${scope}/instances/i${index}`, selfLink: `projects/p/${scope}/${name}` }
    insert.run(scope, name, id, inserted, JSON.stringify({ ...resource, ...links, operationType: 'insert' }))
  }
  database.exec('COMMIT')
  database.close()
}

function nameOf(index: number): string {
  return `operation-${Date.UTC(2026, 10, 20) + index * 1000}-0123456789abc-01234567-01234567`
}

test('with 100,000 operations, neither a page of them nor one of them nor a filter looks at all', async (t) => {
  const api = new TestApi({ store: openStore(t, fillOperations) })
  const operations = `${zone}/operations`
  const middle = await api.get(`${operations}?maxResults=1&filter=${encodeURIComponent(`name=${nameOf(9_001)}`)}`)
  assert.equal((middle.items as readonly unknown[]).length, 1)
  const newest = await api.get(`${operations}?maxResults=2&orderBy=creationTimestamp%20desc`)
  const [latest] = newest.items as readonly { readonly name: string }[]
  assert.equal(latest.name, nameOf(OPERATION_COUNT - 1))
  const byTime = `orderBy=creationTimestamp%20desc&pageToken=${newest.nextPageToken}`
  const pages = {
    list: () => `${operations}?maxResults=500`,
    later: () => `${operations}?pageToken=${middle.nextPageToken}`,
    latest: () => `${operations}?${byTime}`,
    aggregated: () => 'aggregated/operations?includeAllScopes=True',
  }
  const single = {
    'by name': (index: number) => `${zone}/operations/${nameOf(index * 13 * 10 + 1)}`,
    'by id': (index: number) => `${zone}/operations/${10 ** 9 + index * 13 * 10 + 1}`,
  }
  for (const [what, pathOf] of Object.entries(pages)) {
    const p99 = await timeOf(t, `operations, ${what}`, 100, () => api.get(pathOf()))
    assert.ok(p99 < PAGE_MS_MAX, `${what}: ${p99} ms`)
  }
  for (const [what, pathOf] of Object.entries(single)) {
    const median = await timeOf(t, `operation ${what}`, 100, (index) => api.get(pathOf(index)), 0.5)
    assert.ok(median < ONE_MS_MAX, `${what}: ${median} ms`)
  }
  const filtered = await timeOf(t, 'operations, nothing left by a filter', 5, async () => {
    const { items, nextPageToken } = await api.get(`${operations}?filter=name%3Dx`)
    assert.deepEqual([items, typeof nextPageToken], [undefined, 'string'])
  })
  assert.ok(filtered < FILTER_MS_MAX, `${filtered} ms`)
})
