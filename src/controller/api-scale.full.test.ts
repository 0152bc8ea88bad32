import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SqliteStore } from './sqlite-store.ts'
import { TestApi } from './test-api.ts'

/** Each chain is five instances, their group, health check, service, proxy and forwarding rule. */
const CHAIN_COUNT = 1000
const RESOURCE_COUNT = CHAIN_COUNT * 10
const P99_MS_MAX = 50
const PUBLISH_MS_MAX = 100
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

/** The 99th percentile of the best of some rounds: others may use the machine meanwhile. */
async function p99Of(
  t: TestContext,
  what: string,
  count: number,
  run: (index: number) => Promise<unknown>,
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
    rounds.push(times[Math.floor(0.99 * (count - 1))])
  }
  t.diagnostic(`${what}: p99 of each round ${rounds.map((ms) => ms.toFixed(1)).join(', ')} ms`)
  return Math.min(...rounds)
}

test('with 10,000 resources, list, get and patch stay below 50 ms, and a change is compiled in 100 ms', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-scale-'))
  const store = new SqliteStore(directory)
  t.after(() => {
    store.close()
    rmSync(directory, { recursive: true })
  })
  const api = new TestApi({ store, addressPools: ['203.0.0.0/16'] })
  for (let index = 0; index < CHAIN_COUNT; index++) await makeChain(api, index)
  assert.ok(store.all().length >= RESOURCE_COUNT)
  assert.equal(api.api.publication().snapshot.frontends.length, CHAIN_COUNT)
  const measured = {
    list: await p99Of(t, 'list', 200, () => api.get(`${zone}/instances?maxResults=500`)),
    filter: await p99Of(t, 'list with a filter', 200, (index) =>
      api.get(`${zone}/instances?filter=name%3Di${index * 25}`),
    ),
    aggregated: await p99Of(t, 'aggregated list', 200, () => api.get('aggregated/instances?includeAllScopes=True')),
    get: await p99Of(t, 'get', 1000, (index) => api.get(`global/backendServices/b${index % CHAIN_COUNT}`)),
    patch: await p99Of(t, 'patch', 1000, (index) => {
      return api.change('PATCH', `global/backendServices/b${index % CHAIN_COUNT}`, { timeoutSec: index + 1 })
    }),
  }
  for (const [what, p99] of Object.entries(measured)) assert.ok(p99 < P99_MS_MAX, `${what}: ${p99} ms`)
  const publish = await p99Of(t, 'patch and compile', 100, async (index) => {
    await api.change('PATCH', `global/backendServices/b${index}`, { timeoutSec: index + 2 })
    assert.equal(api.api.publication().version, store.revision())
  })
  assert.ok(publish < PUBLISH_MS_MAX, `${publish} ms`)
})
