import assert from 'node:assert/strict'
import { test } from 'node:test'
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
