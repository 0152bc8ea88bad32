import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStore } from '../store/memory-store.ts'
import { SlowStore } from '../store/test-slow-store.ts'
import { EdgeSources } from './edge-sources.ts'

const addresses = (number: number): string[] => [`192.0.2.${number}`]

test('what edges said last is what is stored, however long each commit takes', async (t) => {
  const store = new SlowStore()
  const sources = new EdgeSources(store, () => {})
  t.after(() => sources.close())
  for (let number = 1; number <= 20; number++) {
    await Promise.all([
      sources.set('e', addresses(number)),
      sources.set('f', []),
      sources.set('e', addresses(100 + number)),
    ])
    const afresh = new EdgeSources(store, () => {})
    assert.deepEqual(afresh.addresses(), addresses(100 + number))
    afresh.close()
  }
  await sources.set('e', [])
  const afresh = new EdgeSources(store, () => {})
  assert.deepEqual(afresh.addresses(), [])
  afresh.close()
})

test('addresses that cannot be stored are in force all the same, and logged', async (t) => {
  const logged: string[] = []
  const commit = (): Promise<number> => Promise.reject(new Error('The disk is full'))
  const sources = new EdgeSources({ meta: () => undefined, commit }, (_level, message) => void logged.push(message))
  t.after(() => sources.close())
  await sources.set('e', addresses(1))
  await sources.set('f', addresses(2))
  assert.deepEqual(sources.addresses(), [...addresses(1), ...addresses(2)])
  assert.equal(logged.filter((message) => message.includes('cannot be stored')).length, 2)
})

test('an edge that changes its addresses too often, or has too many with the others, keeps what it had', async (t) => {
  const logged: string[] = []
  const store = new MemoryStore()
  let isAllowed = true
  const sources = new EdgeSources(
    store,
    (_level, message, fields) => void logged.push(`${message}: ${fields?.problem}`),
    () => isAllowed,
  )
  t.after(() => sources.close())
  assert.equal(await sources.set('e', addresses(1)), undefined)
  isAllowed = false
  for (let count = 0; count < 3; count++) assert.match(String(await sources.set('e', addresses(2))), /change too often/)
  assert.equal(await sources.set('e', addresses(1)), undefined, 'nothing is new')
  assert.deepEqual(sources.addresses(), addresses(1))
  assert.equal(logged.filter((line) => /not taken: they change too often/.test(line)).length, 1)
  assert.equal(await sources.set('e', []), undefined, 'an edge can always be forgotten')
  isAllowed = true

  const many = (number: number): string[] => Array.from({ length: 1_024 }, (_, index) => `10.${number}.0.${index}`)
  for (let number = 0; number < 16; number++) assert.equal(await sources.set(`e${number}`, many(number)), undefined)
  assert.match(String(await sources.set('f', addresses(3))), /would have 16385, and agents take 16384/)
  assert.equal(await sources.set('e0', addresses(4)), undefined)
  assert.equal(await sources.set('f', addresses(3)), undefined)
})

test('addresses that an older controller took and agents do not trust are not handed on', async (t) => {
  const store = new MemoryStore()
  const stored = [['e', ['127.0.0.1', '::1', '192.0.2.1']]]
  await store.commit({ changes: [], meta: { 'edge-sources': JSON.stringify(stored) } })
  const sources = new EdgeSources(store, () => {})
  t.after(() => sources.close())
  assert.deepEqual(sources.addresses(), ['192.0.2.1'])
})

test('an agent that is slow gets the last addresses once it can take more', async (t) => {
  const sources = new EdgeSources(new MemoryStore(), () => {})
  t.after(() => sources.close())
  const lines: string[] = []
  let takesMore = false
  const events = sources.follow({ write: (line) => lines.push(line) > 0 && takesMore, end: () => {} })
  await sources.set('e', addresses(1))
  await sources.set('e', addresses(2))
  assert.equal(lines.length, 1)
  takesMore = true
  events?.onDrain()
  await sources.set('e', addresses(3))
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { addresses: string[] }).addresses),
    [[], addresses(2), addresses(3)],
  )
  events?.onEnd()
  await sources.set('e', addresses(4))
  assert.equal(lines.length, 3)
})
