// Changes that come at the same time, to one controller or to two on one store, where a commit really takes its time.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mapping } from '../../compute/json-value.ts'
import { ReferenceIndex } from '../model/reference-index.ts'
import { pathOf } from '../model/resource-paths.ts'
import { MemoryStore } from '../store/memory-store.ts'
import type { Commit } from '../store/store.ts'
import { SlowStore } from '../store/test-slow-store.ts'
import { TestApi } from './test-api.ts'

const zone = 'zones/us-central1-b'
const CHECKS = 'global/healthChecks'
const SERVICES = 'global/backendServices'
const ROUNDS = 20

/** Two APIs to send to: the same one twice, or two on one store. */
type Pair = { readonly store: SlowStore; readonly both: readonly [TestApi, TestApi] }

async function pairOf(kind: 'one controller' | 'two controllers'): Promise<Pair> {
  const store = new SlowStore()
  const options = { store, addressPools: ['203.0.113.0/28', '2001:db8::/64'] }
  const first = new TestApi(options)
  await first.get('')
  const second = kind === 'one controller' ? first : new TestApi(options)
  // Ids and names of operations are no secret: they only have to be different.
  if (second !== first) second.skipBytes(1_000_000)
  return { store, both: [first, second] }
}

type Request = readonly [method: string, path: string, body?: unknown]

/** Sends both at once; resolves with their statuses, the lower first. */
async function race({ both }: Pair, first: Request, second: Request): Promise<number[]> {
  const answers = await Promise.all([both[0].send(...first), both[1].send(...second)])
  return answers.map(({ status }) => status).sort((a, b) => a - b)
}

/** What is known from following is what is stored. */
function checkFollowed({ store, both }: Pair): void {
  const afresh = new ReferenceIndex(store.all())
  for (const api of both) {
    const { references } = api
    for (const path of store.all().map(pathOf)) {
      assert.deepEqual(references.usersOf(path), afresh.usersOf(path))
      assert.deepEqual(references.linksFrom(path), afresh.linksFrom(path))
    }
    assert.equal(api.publication().version, store.revision())
  }
}

/** A store to which another controller is faster a number of times. */
class OvertakingStore extends MemoryStore {
  overtakes = 0

  override async commit(commit: Commit): Promise<number> {
    if (this.overtakes > 0) {
      this.overtakes -= 1
      const key = { project: 'p', collection: 'healthChecks', scope: 'global', name: 'other' }
      await super.commit({ changes: [{ put: { ...key, id: '1', created: '', resource: {} } }] })
    }
    return super.commit(commit)
  }
}

const check = (name: string): Mapping => ({ name, type: 'TCP', tcpHealthCheck: {} })

for (const kind of ['one controller', 'two controllers'] as const) {
  const claim = (text: string, run: (pair: Pair, round: number) => Promise<void>): void => {
    test(`${kind}: ${text}`, async () => {
      const pair = await pairOf(kind)
      for (let round = 0; round < ROUNDS; round++) await run(pair, round)
      checkFollowed(pair)
      if (kind === 'two controllers') assert.ok(pair.store.raceCount > 0, 'they came into each other’s way')
    })
  }

  claim('of two resources with the same name, one is there', async (pair, round) => {
    const one: Request = ['POST', CHECKS, check(`c${round}`)]
    assert.deepEqual(await race(pair, one, one), [200, 409])
  })

  claim('of two with the same address, one is there', async (pair, round) => {
    const address = `2001:db8::${round + 1}`
    const named = (name: string): Request => ['POST', 'global/addresses', { name: `${name}${round}`, address }]
    assert.deepEqual(await race(pair, named('a'), named('b')), [200, 400])
    const networkIP = `10.128.1.${round + 1}`
    const instance = (name: string): Request => [
      'POST',
      `${zone}/instances`,
      { name: `${name}${round}`, networkInterfaces: [{ networkIP }] },
    ]
    assert.deepEqual(await race(pair, instance('a'), instance('b')), [200, 400])
  })

  claim('a pool gives an address to one only, and the last one to one of two', async (pair, round) => {
    const take = (name: string): Request => ['POST', 'global/addresses', { name: `${name}${round}` }]
    const statuses = await race(pair, take('a'), take('b'))
    // Of its sixteen addresses a pool gives fourteen.
    assert.deepEqual(statuses, round < 7 ? [200, 200] : [403, 403])
    const taken = pair.store.list('p', 'addresses').map(({ resource }) => resource.address)
    assert.equal(new Set(taken).size, taken.length)
    if (round === ROUNDS - 1) {
      await pair.both[0].change('DELETE', 'global/addresses/a0')
      assert.deepEqual(await race(pair, take('x'), take('y')), [200, 403])
    }
  })

  claim('what another change begins to use is not deleted, or the other one is refused', async (pair, round) => {
    await pair.both[0].change('POST', CHECKS, check(`c${round}`))
    const uses: Request = ['POST', SERVICES, { name: `s${round}`, healthChecks: [`${CHECKS}/c${round}`] }]
    const deletes: Request = ['DELETE', `${CHECKS}/c${round}`]
    const [first, second] = await race(
      pair,
      ...(round % 2 === 0 ? ([uses, deletes] as const) : ([deletes, uses] as const)),
    )
    assert.deepEqual([first, second >= 400], [200, true])
  })

  claim('of two changes on top of the same fingerprint, one is made', async (pair, round) => {
    if (round === 0) await pair.both[0].change('POST', `${zone}/instanceGroups`, { name: 'g' })
    const { fingerprint } = await pair.both[0].get(`${zone}/instanceGroups/g`)
    const set = (port: number): Request => [
      'POST',
      `${zone}/instanceGroups/g/setNamedPorts`,
      { fingerprint, namedPorts: [{ name: 'a', port }] },
    ]
    assert.deepEqual(await race(pair, set(2 * round + 1), set(2 * round + 2)), [200, 412])
  })

  claim('patches of two fields of one resource are both made', async (pair, round) => {
    if (round === 0) await pair.both[0].change('POST', CHECKS, check('c'))
    const [checkIntervalSec, healthyThreshold] = [round + 10, (round % 9) + 1]
    const patch = (body: Mapping): Request => ['PATCH', `${CHECKS}/c`, body]
    assert.deepEqual(await race(pair, patch({ checkIntervalSec }), patch({ healthyThreshold })), [200, 200])
    const patched = await pair.both[1].get(`${CHECKS}/c`)
    assert.deepEqual([patched.checkIntervalSec, patched.healthyThreshold], [checkIntervalSec, healthyThreshold])
  })

  claim('a request that comes twice at once is carried out once', async (pair, round) => {
    const requestId = `12345678-1234-1234-1234-${String(round).padStart(12, '1')}`
    const path = `${CHECKS}?requestId=${requestId}`
    const before = pair.store.revision()
    const answers = await Promise.all(pair.both.map((api) => api.send('POST', path, check(`c${round}`))))
    assert.deepEqual(answers[0], answers[1])
    assert.equal(answers[0].status, 200)
    assert.equal(pair.store.revision(), before + 1)
  })
}

test('a change that loses ten races is refused with 503, and nothing of it is stored; one that loses nine is made', async () => {
  const store = new OvertakingStore()
  const api = new TestApi({ store })
  await api.get('')
  store.overtakes = 9
  assert.equal((await api.send('POST', CHECKS, check('a'))).status, 200)
  store.overtakes = 10
  const { status, body } = await api.send('POST', CHECKS, check('b'))
  assert.equal(status, 503)
  assert.match(JSON.stringify(body), /Other changes interfered repeatedly and nothing was changed/)
  assert.equal(store.get('p', 'healthChecks', 'global', 'b'), undefined)
  assert.equal((await api.send('POST', CHECKS, check('b'))).status, 200, 'the next one does not suffer')
})

test('changes of one controller are stored in the order in which they came', async () => {
  const api = new TestApi({ store: new SlowStore() })
  const names = Array.from({ length: 20 }, (_, index) => `c${index}`)
  await Promise.all(names.map((name) => api.send('POST', CHECKS, check(name))))
  const revisions = names.map((name) => api.store.get('p', 'healthChecks', 'global', name)?.revision)
  assert.deepEqual(
    revisions,
    names.map((_, index) => index + 2),
  )
})
