// What every store has to do; run on each of them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type AuditRecord,
  type Change,
  CommitRaceError,
  type ResourceKey,
  type Store,
  type StoredOperation,
} from './store.ts'

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
  const claim = (text: string, run: (store: Store) => void | Promise<void>): void => {
    test(`${kind}: ${text}`, async () => {
      const store = open()
      try {
        await run(store)
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

  claim(
    'what was put comes back with the revision of its commit, and without fields it did not have',
    async (store) => {
      assert.equal(await store.commit({ changes: [put('a'), put('b')] }), 1)
      assert.equal(await store.commit({ changes: [put('b', { value: 'new' })] }), 2)
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
    },
  )

  claim('secrets and every kind of JSON value survive', async (store) => {
    const resource = {
      text: 'é\u0000"\\ \u{1f600}',
      whole: 9_007_199_254_740_991,
      part: 0.1,
      none: null,
      list: [true, [], {}],
    }
    const place = { project: 'lab', collection: 'sslCertificates', scope: 'global', name: 'c' }
    await store.commit({
      changes: [
        { put: { ...place, id: '18446744073709551615', created: CREATED, resource, secret: { privateKey: 'PEM' } } },
      ],
    })
    const stored = store.get('lab', 'sslCertificates', 'global', 'c')
    assert.deepEqual(stored?.resource, resource)
    assert.deepEqual(stored.secret, { privateKey: 'PEM' })
    assert.equal(stored.id, '18446744073709551615')
  })

  claim('lists are in the order of scope and name, by code units, of one project and collection', async (store) => {
    const zonal = (zone: string) => ({ scope: `zones/${zone}` })
    await store.commit({
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

  claim('a delete removes, and a delete of nothing changes nothing at all', async (store) => {
    await store.commit({ changes: [put('a'), put('b')] })
    await store.commit({ changes: [remove('a')] })
    assert.deepEqual(names(store), ['global/b'])
    await assert.rejects(
      store.commit({ changes: [put('c'), remove('a')], operation: operation('op'), meta: { m: '1' } }),
      /"a"/,
    )
    assert.deepEqual(names(store), ['global/b'])
    assert.equal(store.revision(), 2)
    assert.equal(store.operation('lab', 'global', 'op'), undefined)
    assert.equal(store.meta('m'), undefined)
  })

  claim('changes of one commit are made one after the other', async (store) => {
    await store.commit({ changes: [put('a', { value: '1' }), remove('a'), put('a', { value: '2' })] })
    assert.deepEqual(store.get('lab', 'healthChecks', 'global', 'a')?.resource, { name: 'a', value: '2' })
    assert.deepEqual(names(store), ['global/a'])
  })

  claim('what is read cannot be changed, and what was put can be without effect', async (store) => {
    const resource = { list: [{ a: 1 }] }
    const place = { project: 'lab', collection: 'healthChecks', scope: 'global', name: 'a' }
    await store.commit({ changes: [{ put: { ...place, id: '1', created: CREATED, resource } }] })
    resource.list[0].a = 2
    const stored = store.get('lab', 'healthChecks', 'global', 'a')
    assert.deepEqual(stored?.resource, { list: [{ a: 1 }] })
    const opened = stored as unknown as { resource: typeof resource }
    assert.throws(() => {
      opened.resource.list[0].a = 3
    }, TypeError)
  })

  claim('a list that was taken stays as it was', async (store) => {
    await store.commit({ changes: [put('a')] })
    const before = store.list('lab', 'healthChecks')
    await store.commit({ changes: [put('b'), remove('a')] })
    assert.deepEqual(
      before.map(({ name }) => name),
      ['a'],
    )
  })

  claim('the revision grows only with changes of resources', async (store) => {
    assert.equal(await store.commit({ changes: [put('a')], operation: operation('op', { isDone: false }) }), 1)
    assert.equal(await store.commit({ changes: [], operation: operation('op') }), 1)
    assert.equal(await store.commit({ changes: [], audit: [auditRecord('a')], meta: { number: '7' } }), 1)
    assert.equal(store.revision(), 1)
  })

  claim(
    'a commit that was checked at another revision changes nothing at all; checked at the latest it does',
    async (store) => {
      const checkedAt = await store.commit({ changes: [put('a')] })
      await store.commit({ changes: [put('b')] })
      const whole = { changes: [put('c')], operation: operation('op'), audit: [auditRecord('c')], meta: { m: '1' } }
      for (const other of [checkedAt, 0, 3]) {
        await assert.rejects(store.commit({ ...whole, checkedAt: other }), CommitRaceError)
      }
      await assert.rejects(store.commit({ changes: [], meta: { m: '1' }, checkedAt }), CommitRaceError)
      assert.deepEqual(names(store), ['global/a', 'global/b'])
      assert.deepEqual([store.revision(), store.operations('lab', undefined, undefined, 9).length], [2, 0])
      assert.deepEqual([store.audit(9).length, store.meta('m')], [0, undefined])
      assert.equal(await store.commit({ ...whole, checkedAt: 2 }), 3)
      assert.equal(await store.commit({ changes: [put('d')] }), 4, 'what is right whatever there is needs no revision')
    },
  )

  claim('of commits that were checked at the same revision, one becomes true', async (store) => {
    const checkedAt = store.revision()
    const commits = ['a', 'b', 'c'].map((name) => store.commit({ checkedAt, changes: [put(name)] }))
    const outcomes = (await Promise.allSettled(commits)).map(({ status }) => status)
    assert.deepEqual(outcomes.sort(), ['fulfilled', 'rejected', 'rejected'])
    assert.deepEqual([store.revision(), names(store).length], [1, 1])
  })

  claim(
    'whoever follows hears of each commit once, in order, when reads show it and before it resolves',
    async (store) => {
      await store.commit({ changes: [put('a')] })
      const heard: string[] = []
      const unfollow = store.follow(({ revision, changes, operation: one }) => {
        heard.push(`${revision} ${changes.length} ${one?.name} ${names(store)}`)
        assert.equal(store.revision(), revision)
      })
      const note = (commit: Promise<number>) => commit.then((revision) => heard.push(`resolved ${revision}`))
      await note(store.commit({ changes: [put('b'), remove('a')], operation: operation('op') }))
      await note(store.commit({ changes: [], operation: operation('op-2') }))
      await assert.rejects(store.commit({ changes: [remove('x')] }))
      await assert.rejects(store.commit({ changes: [put('x')], checkedAt: 1 }))
      unfollow()
      await store.commit({ changes: [put('c')] })
      assert.deepEqual(heard, ['2 2 op global/b', 'resolved 2', '2 0 op-2 global/b', 'resolved 2'])
    },
  )

  claim('a commit that a follower makes is heard of by all after the one before it', async (store) => {
    const heard: string[] = []
    let nested: Promise<number> | undefined
    store.follow(({ revision }) => {
      heard.push(`first ${revision}`)
      nested ??= store.commit({ changes: [put('b')] })
    })
    store.follow(({ revision }) => heard.push(`second ${revision}`))
    await store.commit({ changes: [put('a')] })
    assert.equal(await nested, 2)
    assert.deepEqual(heard, ['first 1', 'second 1', 'first 2', 'second 2'])
  })

  claim('operations are found by name and by id, in their scope', async (store) => {
    const regional = { scope: 'regions/r' }
    await store.commit({ changes: [put('a')], operation: operation('op-1') })
    await store.commit({ changes: [put('b')], operation: operation('op-2', regional) })
    await store.commit({ changes: [put('c')], operation: operation('op-3') })
    await store.commit({ changes: [put('d')], operation: operation('op-1', { project: 'other' }) })
    assert.deepEqual(store.operation('lab', 'global', 'op-1'), operation('op-1'))
    assert.deepEqual(store.operation('lab', 'global', '9op-1'), operation('op-1'))
    assert.equal(store.operation('lab', 'global', 'op-2'), undefined)
    assert.deepEqual(store.operation('lab', 'regions/r', '9op-2'), operation('op-2', regional))
  })

  claim('an operation that is taken away is found no more, neither by name nor by request', async (store) => {
    const done = operation('op-1', { request: 'r 1' })
    await store.commit({ changes: [], operation: done })
    await store.commit({ changes: [], operation: operation('op-2') })
    await store.commit({ changes: [], removedOperation: done })
    assert.equal(store.operation('lab', 'global', 'op-1'), undefined)
    assert.equal(store.operationOfRequest('r 1'), undefined)
    assert.deepEqual(store.operation('lab', 'global', 'op-2'), operation('op-2'))
    assert.equal(store.size().operations.done, 1)
  })

  claim('an operation is found by its request, also when it has gone on', async (store) => {
    const begun = operation('op-1', { request: 'r 1', isDone: false })
    await store.commit({ changes: [], operation: begun })
    await store.commit({ changes: [], operation: operation('op-2') })
    assert.deepEqual(store.operationOfRequest('r 1'), begun)
    await store.commit({ changes: [], operation: { ...begun, isDone: true } })
    assert.deepEqual(store.operationOfRequest('r 1'), { ...begun, isDone: true })
    assert.equal(store.operationOfRequest('r'), undefined)
  })

  claim('operations are listed page by page, by scope and name or the latest first', async (store) => {
    const day = (number: number) => ({ inserted: `2026-01-0${number}T00:00:00.000Z` })
    const all = [
      operation('c', day(1)),
      operation('a', day(2)),
      operation('b', day(2)),
      operation('d', { ...day(1), scope: 'regions/r' }),
      operation('a', { ...day(3), project: 'other' }),
    ]
    for (const one of all) await store.commit({ changes: [], operation: one })
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

  claim('an operation that goes on keeps its place, and is unfinished until it is done', async (store) => {
    const running = { isDone: false, resource: { status: 'RUNNING' } }
    await store.commit({ changes: [put('a')], operation: operation('op-1', running) })
    await store.commit({ changes: [put('b')], operation: operation('op-2', running) })
    assert.deepEqual(
      store.unfinished().map(({ name }) => name),
      ['op-1', 'op-2'],
    )
    await store.commit({ changes: [], operation: operation('op-1') })
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

  claim('the audit log gives the latest records first', async (store) => {
    const records = ['a', 'b', 'c'].map(auditRecord)
    await store.commit({ changes: [put('a')], audit: records.slice(0, 2) })
    await store.commit({ changes: [], audit: records.slice(2) })
    assert.deepEqual(store.audit(2), [records[2], records[1]])
    assert.deepEqual(store.audit(10), records.toReversed())
  })

  claim('facts are kept, replaced and taken away', async (store) => {
    await store.commit({ changes: [], meta: { number: '1', other: 'x' } })
    await store.commit({ changes: [], meta: { number: '2', other: undefined } })
    assert.equal(store.meta('number'), '2')
    assert.equal(store.meta('other'), undefined)
  })
}
