import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../model/api-error.ts'
import { WorkBudget } from '../model/work-budget.ts'
import { inOrder, type ListItem, pageOf, readListQuery, timeOfOrder } from './list.ts'

const budget = (): WorkBudget => new WorkBudget(10_000)

function query(text = '') {
  return readListQuery(new URLSearchParams(text))
}

function item(name: string, creationTimestamp = '2026-11-22T00:00:00.000Z', scope = 'global'): ListItem {
  return { scope, name, view: { name, creationTimestamp } }
}

/** `count` items in the order of their names. */
function numbered(count: number): ListItem[] {
  return Array.from({ length: count }, (_, index) => item(`n${String(index).padStart(5, '0')}`))
}

/** Every page of a list, as names. */
function pagesOf(items: readonly ListItem[], text: string): string[][] {
  const pages: string[][] = []
  let token = ''
  do {
    const asked = query(`${text}&pageToken=${token}`)
    const page = pageOf(inOrder(items, asked, budget()), asked, budget())
    pages.push(page.items.map(({ name }) => name))
    token = page.nextPageToken ?? ''
  } while (token !== '' && pages.length < 100)
  return pages
}

test('a list is in pages of 500 by name, unless a client says otherwise', () => {
  const { maxResults, orderBy, after } = query()
  assert.deepEqual([maxResults, orderBy, after], [500, 'name', undefined])
  assert.deepEqual(
    ['maxResults=1', 'maxResults=500', 'maxResults=0'].map((text) => query(text).maxResults),
    [1, 500, 500],
  )
  assert.deepEqual(
    ['name', 'name asc', ' name  asc ', 'creationTimestamp desc', 'creationTimestamp   desc'].map(
      (order) => query(`orderBy=${order}`).orderBy,
    ),
    ['name', 'name', 'name', 'creationTimestamp desc', 'creationTimestamp desc'],
  )
})

for (const [parameter, values] of [
  ['maxResults', ['501', '-1', '1.5', 'x', '1e2', '12345678901']],
  ['orderBy', ['name desc', 'creationTimestamp', 'creationTimestamp asc', 'id']],
  [
    'pageToken',
    [
      'x',
      Buffer.from('{}').toString('base64url'),
      Buffer.from('{"after":"a"}').toString('base64url'),
      Buffer.from('{"after":["","global"]}').toString('base64url'),
      Buffer.from('{"after":["","global","a","b"]}').toString('base64url'),
      Buffer.from('{"after":["","global",1]}').toString('base64url'),
    ],
  ],
] as const) {
  test(`a ${parameter} that is none is refused`, () => {
    for (const value of values) {
      assert.throws(
        () => query(new URLSearchParams({ [parameter]: value }).toString()),
        (error) => error instanceof ApiError && error.status === 400 && error.message.includes(`'${parameter}'`),
        value,
      )
    }
  })
}

test('pages follow one another without a gap or a repetition, and only a full one with more behind it has a next', () => {
  const items = numbered(5)
  const names = items.map(({ name }) => name)
  assert.deepEqual(pagesOf(items, 'maxResults=2'), [names.slice(0, 2), names.slice(2, 4), names.slice(4)])
  assert.deepEqual(pagesOf(items, 'maxResults=5'), [names])
  assert.deepEqual(pagesOf(items, 'maxResults=4'), [names.slice(0, 4), names.slice(4)])
  assert.deepEqual(pagesOf([], 'maxResults=1'), [[]])
})

test('a page goes on behind the last item of the one before, also when that is gone by now', () => {
  const items = numbered(4)
  const { nextPageToken } = pageOf(items, query('maxResults=2'), budget())
  const rest = pageOf([items[0], items[2], items[3]], query(`pageToken=${nextPageToken}`), budget())
  assert.deepEqual(
    rest.items.map(({ name }) => name),
    [items[2].name, items[3].name],
  )
})

test('a page goes by scope before it goes by name', () => {
  const items = [item('z', '', 'global'), item('a', '', 'zones/a'), item('b', '', 'zones/a'), item('a', '', 'zones/b')]
  assert.deepEqual(pagesOf(items, 'maxResults=1'), [['z'], ['a'], ['b'], ['a']])
})

test('the latest comes first where that is asked for; of one moment, in the order of names', () => {
  const items = [
    item('a', '2026-11-22T00:00:09.000Z'),
    item('b', '2026-11-22T00:00:10.000Z'),
    item('c', '2026-11-22T00:00:09.000Z'),
    item('d', '2025-12-31T23:59:59.999Z'),
  ]
  assert.deepEqual(pagesOf(items, 'orderBy=creationTimestamp desc&maxResults=2'), [
    ['b', 'a'],
    ['c', 'd'],
  ])
  const operations = ['01', '02'].map((day) => ({ ...item(day), view: { insertTime: `2026-11-${day}` } }))
  assert.deepEqual(pagesOf(operations, 'orderBy=creationTimestamp desc'), [['02', '01']])
})

test('a time is turned round and back', () => {
  assert.equal(timeOfOrder('2026-11-22T09:00:59.123Z'), '7973-88-77T90:99:40.876Z')
  assert.equal(timeOfOrder(timeOfOrder('2026-11-22T09:00:59.123Z')), '2026-11-22T09:00:59.123Z')
})

test('one request looks at 10,000 items at most: a filter that leaves few has short pages that go on', () => {
  const items = numbered(25_000)
  const names = [items[3].name, items[24_999].name]
  const wanted = `filter=name = ${names.join(' OR name = ')}`
  assert.deepEqual(pagesOf(items, wanted), [[names[0]], [], [names[1]]])
  assert.deepEqual(pagesOf(numbered(10_000), 'filter=name = none'), [[]], 'nothing is behind')
  assert.deepEqual(pagesOf(numbered(10_001), 'filter=name = none'), [[], []])
})

/** Work whose every look at the clock shows so much more. */
function slowBudget(msMax: number, stepMs: number): WorkBudget {
  let nowMs = 0
  return new WorkBudget(msMax, () => (nowMs += stepMs))
}

const MANY = Array.from({ length: 200 }, (_, index) => ({
  scope: 'global',
  name: String(index).padStart(3, '0'),
  view: { name: String(index) },
}))

test('a filter that takes long gives short pages that lead through the whole list', () => {
  const found: string[] = []
  let token = ''
  let pages = 0
  do {
    const asked = readListQuery(new URLSearchParams({ filter: 'name:5', pageToken: token }))
    const slow = slowBudget(10_000, 5)
    const page = slow.use(() => pageOf(MANY, asked, slow))
    found.push(...page.items.map(({ name }) => name))
    token = page.nextPageToken ?? ''
    pages += 1
  } while (token !== '')
  assert.ok(pages > 1, `${pages}`)
  assert.deepEqual(
    found,
    MANY.map(({ name }) => name).filter((name) => String(Number(name)).includes('5')),
  )
})

test('a page is as long however much was to be prepared or skipped for it', () => {
  const first = slowBudget(10_000, 5)
  const { items, nextPageToken } = first.use(() => pageOf(MANY, query(), first))
  assert.ok(items.length > 10 && items.length < 100, `${items.length}`)
  const prepared = slowBudget(10_000, 5)
  const after = prepared.use(() => {
    for (let step = 0; step < 100; step++) prepared.check()
    return pageOf(MANY, query(), prepared)
  })
  assert.deepEqual(after.items, items)
  const slower = slowBudget(10_000, 10)
  const half = slower.use(() => pageOf(MANY, query(`pageToken=${nextPageToken}`), slower))
  const whole = slowBudget(10_000, 10)
  assert.equal(half.items.length, whole.use(() => pageOf(MANY, query(), whole)).items.length)
})

test('what is skipped counts in the budget', () => {
  const { nextPageToken } = pageOf(MANY, query('maxResults=199'), budget())
  const spent = slowBudget(1_000, 10)
  const refused = { status: 400, message: /more than 1000 ms of work; ask for less/ }
  assert.throws(() => spent.use(() => pageOf(MANY, query(`pageToken=${nextPageToken}`), spent)), refused)
})

test('what cannot be told in parts is refused once the budget is spent', () => {
  const byTime = readListQuery(new URLSearchParams({ orderBy: 'creationTimestamp desc' }))
  const spent = slowBudget(1_000, 10)
  const refused = { status: 400, message: /more than 1000 ms of work; ask for less/ }
  assert.throws(() => spent.use(() => inOrder(MANY, byTime, spent)), refused)
  assert.throws(() => spent.use(() => 'more'), refused)
})

test('a page of large resources is a short one, and goes on', () => {
  const large = MANY.slice(0, 6).map((item) => ({ ...item, view: { name: item.name, text: 'x'.repeat(1024 * 1024) } }))
  const first = pageOf(large, query(''), budget())
  assert.ok(first.items.length >= 3 && first.items.length <= 4, `${first.items.length}`)
  const rest = pageOf(large, query(`pageToken=${first.nextPageToken}`), budget())
  assert.equal(first.items.length + rest.items.length, 6)
})
