// What every store has to do; run on each of them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditRecord, Change, ResourceKey, Store, StoredOperation } from './store.ts'

/** When everything in these tests was made. */
export const CREATED = '2026-01-02T03:04:05.678Z'

/** A resource to put. */
export function put(name: string, fields: Partial<ResourceKey> & { readonly value?: string } = {}): Change {
  const { value = '', project = 'lab', collection = 'healthChecks', scope = 'global' } = fields
  return {
    put: { project, collection, scope, name, id: `1${name.length}`, created: CREATED, resource: { name, value } },
  }
}

/** The deletion of what {@link put} puts. */
export function remove(name: string): Change {
  return { delete: { project: 'lab', collection: 'healthChecks', scope: 'global', name } }
}

/** An operation as the API would store it. */
export function operation(name: string, fields: Partial<StoredOperation> = {}): StoredOperation {
  const resource = { name, status: 'DONE' }
  return { project: 'lab', scope: 'global', name, id: `9${name}`, isDone: true, inserted: CREATED, resource, ...fields }
}

function auditRecord(target: string): AuditRecord {
  return {
    time: new Date().toISOString(),
    user: 'root',
    action: 'healthChecks.insert',
    target,
    before: null,
    after: { a: [1] },
  }
}

function names(store: Store): string[] {
  return store.list('lab', 'healthChecks').map(({ scope, name }) => `${scope}/${name}`)
}

/** Declares the tests of the contract for one kind of store; `open` makes an empty one. */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a list of tests
export function testStoreContract(kind: string, open: () => Store): void {
  const claim = (text: string, run: (store: Store) => void): void => {
    test(`${kind}: ${text}`, () => {
      const store = open()
      try {
        run(store)
      } finally {
        store.close()
      }
    })
  }

  claim('an empty store has revision 0 and nothing in it', (store) => {
    assert.equal(store.revision(), 0)
    assert.deepEqual(store.all(), [])
    assert.deepEqual(store.list('lab', 'healthChecks'), [])
    assert.equal(store.get('lab', 'healthChecks', 'global', 'a'), undefined)
    assert.deepEqual(store.operations('lab', undefined, undefined, 9), [])
    assert.deepEqual(store.unfinished(), [])
    assert.deepEqual(store.size().operations, { done: 0, running: 0 })
    assert.deepEqual(store.audit(10), [])
    assert.equal(store.meta('number'), undefined)
    assert.deepEqual(store.tokens(), [])
  })

  claim('what was put comes back with the revision of its commit, and without fields it did not have', (store) => {
    assert.equal(store.commit({ changes: [put('a'), put('b')] }), 1)
    assert.equal(store.commit({ changes: [put('b', { value: 'new' })] }), 2)
    const key = { project: 'lab', collection: 'healthChecks', scope: 'global' }
    const common = { ...key, id: '11', created: CREATED }
    assert.deepEqual(store.get('lab', 'healthChecks', 'global', 'a'), {
      ...common,
      name: 'a',
      revision: 1,
      resource: { name: 'a', value: '' },
    })
    assert.deepEqual(store.get('lab', 'healthChecks', 'global', 'b'), {
      ...common,
      name: 'b',
      revision: 2,
      resource: { name: 'b', value: 'new' },
    })
    assert.equal(store.revision(), 2)
  })

  claim('secrets and every kind of JSON value survive', (store) => {
    const resource = {
      text: 'é\u0000"\\ \u{1f600}',
      whole: 9_007_199_254_740_991,
      part: 0.1,
      none: null,
      list: [true, [], {}],
    }
    const place = { project: 'lab', collection: 'sslCertificates', scope: 'global', name: 'c' }
    store.commit({
      changes: [
        { put: { ...place, id: '18446744073709551615', created: CREATED, resource, secret: { privateKey: 'PEM' } } },
      ],
    })
    const stored = store.get('lab', 'sslCertificates', 'global', 'c')
    assert.deepEqual(stored?.resource, resource)
    assert.deepEqual(stored.secret, { privateKey: 'PEM' })
    assert.equal(stored.id, '18446744073709551615')
  })

  claim('lists are in the order of scope and name, by code units, of one project and collection', (store) => {
    const zonal = (zone: string) => ({ scope: `zones/${zone}` })
    store.commit({
      changes: [
        put('b'),
        put('a-1', zonal('z-b')),
        put('a'),
        put('a1', zonal('z-b')),
        put('a', zonal('z-a')),
        put('x', { project: 'other' }),
        put('y', { collection: 'addresses' }),
      ],
    })
    assert.deepEqual(names(store), ['global/a', 'global/b', 'zones/z-a/a', 'zones/z-b/a-1', 'zones/z-b/a1'])
    const inZone = store.list('lab', 'healthChecks', 'zones/z-b').map(({ name }) => name)
    assert.deepEqual(inZone, ['a-1', 'a1'])
    assert.deepEqual(store.list('lab', 'healthChecks', 'zones/z'), [])
    assert.deepEqual(
      store.all().map(({ project, collection, name }) => `${project} ${collection} ${name}`),
      [
        'lab addresses y',
        ...['a', 'b', 'a', 'a-1', 'a1'].map((name) => `lab healthChecks ${name}`),
        'other healthChecks x',
      ],
    )
  })

  claim('a delete removes, and a delete of nothing changes nothing at all', (store) => {
    store.commit({ changes: [put('a'), put('b')] })
    store.commit({ changes: [remove('a')] })
    assert.deepEqual(names(store), ['global/b'])
    assert.throws(
      () => store.commit({ changes: [put('c'), remove('a')], operation: operation('op'), meta: { m: '1' } }),
      /"a"/,
    )
    assert.deepEqual(names(store), ['global/b'])
    assert.equal(store.revision(), 2)
    assert.equal(store.operation('lab', 'global', 'op'), undefined)
    assert.equal(store.meta('m'), undefined)
  })

  claim('changes of one commit are made one after the other', (store) => {
    store.commit({ changes: [put('a', { value: '1' }), remove('a'), put('a', { value: '2' })] })
    assert.deepEqual(store.get('lab', 'healthChecks', 'global', 'a')?.resource, { name: 'a', value: '2' })
    assert.deepEqual(names(store), ['global/a'])
  })

  claim('what is read cannot be changed, and what was put can be without effect', (store) => {
    const resource = { list: [{ a: 1 }] }
    const place = { project: 'lab', collection: 'healthChecks', scope: 'global', name: 'a' }
    store.commit({ changes: [{ put: { ...place, id: '1', created: CREATED, resource } }] })
    resource.list[0].a = 2
    const stored = store.get('lab', 'healthChecks', 'global', 'a')
    assert.deepEqual(stored?.resource, { list: [{ a: 1 }] })
    const opened = stored as unknown as { resource: typeof resource }
    assert.throws(() => {
      opened.resource.list[0].a = 3
    }, TypeError)
  })

  claim('a list that was taken stays as it was', (store) => {
    store.commit({ changes: [put('a')] })
    const before = store.list('lab', 'healthChecks')
    store.commit({ changes: [put('b'), remove('a')] })
    assert.deepEqual(
      before.map(({ name }) => name),
      ['a'],
    )
  })

  claim('the revision grows only with changes of resources', (store) => {
    assert.equal(store.commit({ changes: [put('a')], operation: operation('op', { isDone: false }) }), 1)
    assert.equal(store.commit({ changes: [], operation: operation('op') }), 1)
    assert.equal(store.commit({ changes: [], audit: [auditRecord('a')], meta: { number: '7' } }), 1)
    assert.equal(store.revision(), 1)
  })

  claim('operations are found by name and by id, in their scope', (store) => {
    const regional = { scope: 'regions/r' }
    store.commit({ changes: [put('a')], operation: operation('op-1') })
    store.commit({ changes: [put('b')], operation: operation('op-2', regional) })
    store.commit({ changes: [put('c')], operation: operation('op-3') })
    store.commit({ changes: [put('d')], operation: operation('op-1', { project: 'other' }) })
    assert.deepEqual(store.operation('lab', 'global', 'op-1'), operation('op-1'))
    assert.deepEqual(store.operation('lab', 'global', '9op-1'), operation('op-1'))
    assert.equal(store.operation('lab', 'global', 'op-2'), undefined)
    assert.deepEqual(store.operation('lab', 'regions/r', '9op-2'), operation('op-2', regional))
  })

  claim('an operation is found by its request, also when it has gone on', (store) => {
    const begun = operation('op-1', { request: 'r 1', isDone: false })
    store.commit({ changes: [], operation: begun })
    store.commit({ changes: [], operation: operation('op-2') })
    assert.deepEqual(store.operationOfRequest('r 1'), begun)
    store.commit({ changes: [], operation: { ...begun, isDone: true } })
    assert.deepEqual(store.operationOfRequest('r 1'), { ...begun, isDone: true })
    assert.equal(store.operationOfRequest('r'), undefined)
  })

  claim('operations are listed page by page, by scope and name or the latest first', (store) => {
    const day = (number: number) => ({ inserted: `2026-01-0${number}T00:00:00.000Z` })
    const all = [
      operation('c', day(1)),
      operation('a', day(2)),
      operation('b', day(2)),
      operation('d', { ...day(1), scope: 'regions/r' }),
      operation('a', { ...day(3), project: 'other' }),
    ]
    for (const one of all) store.commit({ changes: [], operation: one })
    type Take = (last: StoredOperation | undefined) => readonly StoredOperation[]
    const pages = (take: Take, last?: StoredOperation): string[] => {
      const page = take(last)
      return page.length === 0 ? [] : [page.map(({ name }) => name).join(), ...pages(take, page.at(-1))]
    }
    assert.deepEqual(
      pages((last) => store.operations('lab', undefined, last, 3)),
      ['a,b,c', 'd'],
    )
    assert.deepEqual(
      pages((last) => store.operations('lab', 'global', last, 2)),
      ['a,b', 'c'],
    )
    assert.deepEqual(
      pages((last) => store.latestOperations('lab', 'global', last, 1)),
      ['a', 'b', 'c'],
    )
  })

  claim('an operation that goes on keeps its place, and is unfinished until it is done', (store) => {
    const running = { isDone: false, resource: { status: 'RUNNING' } }
    store.commit({ changes: [put('a')], operation: operation('op-1', running) })
    store.commit({ changes: [put('b')], operation: operation('op-2', running) })
    assert.deepEqual(
      store.unfinished().map(({ name }) => name),
      ['op-1', 'op-2'],
    )
    store.commit({ changes: [], operation: operation('op-1') })
    assert.deepEqual(store.size().operations, { done: 1, running: 1 })
    assert.deepEqual(
      store.unfinished().map(({ name }) => name),
      ['op-2'],
    )
    assert.deepEqual(
      store.operations('lab', 'global', undefined, 9).map(({ name }) => name),
      ['op-1', 'op-2'],
    )
    assert.deepEqual(store.operation('lab', 'global', 'op-1'), operation('op-1'))
  })

  claim('the audit log gives the latest records first', (store) => {
    const records = ['a', 'b', 'c'].map(auditRecord)
    store.commit({ changes: [put('a')], audit: records.slice(0, 2) })
    store.commit({ changes: [], audit: records.slice(2) })
    assert.deepEqual(store.audit(2), [records[2], records[1]])
    assert.deepEqual(store.audit(10), records.toReversed())
  })

  claim('facts are kept, replaced and taken away', (store) => {
    store.commit({ changes: [], meta: { number: '1', other: 'x' } })
    store.commit({ changes: [], meta: { number: '2', other: undefined } })
    assert.equal(store.meta('number'), '2')
    assert.equal(store.meta('other'), undefined)
  })

  claim('tokens are added, found and removed', (store) => {
    const token = { id: 'abc', hash: 'ff', user: 'edge-1', role: 'edge', created: CREATED } as const
    store.addToken(token)
    assert.deepEqual(store.token('abc'), token)
    assert.deepEqual(store.tokens(), [token])
    assert.equal(store.token('ab'), undefined)
    assert.equal(store.removeToken('abc'), true)
    assert.equal(store.removeToken('abc'), false)
    assert.equal(store.token('abc'), undefined)
  })
}
