import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { MemoryStore } from './memory-store.ts'
import { identify, looksLikeToken, makeToken, tokenId } from './token.ts'

const IDENTITY = { user: 'alice', role: 'operator' } as const

test('a token is recognized, and says whose it is', () => {
  const store = new MemoryStore()
  const { text, stored } = makeToken(IDENTITY, '2026-01-01T00:00:00Z', randomBytes)
  store.addToken(stored)
  assert.ok(looksLikeToken(text))
  assert.deepEqual([tokenId(text), tokenId(`${text}a`)], [stored.id, undefined])
  assert.deepEqual(identify(text, store), IDENTITY)
  store.removeToken(stored.id)
  assert.equal(identify(text, store), undefined)
})

test('nothing of the secret is stored, only its SHA-256', () => {
  const { text, stored } = makeToken(IDENTITY, '', randomBytes)
  const secret = text.slice('tp_0123456789ab_'.length)
  assert.equal(secret.length, 43)
  assert.match(stored.hash, /^[0-9a-f]{64}$/)
  assert.ok(!JSON.stringify(stored).includes(secret.slice(0, 8)))
})

test('a token with any one character changed, cut off or added is nobody', () => {
  const store = new MemoryStore()
  const { text, stored } = makeToken(IDENTITY, '', randomBytes)
  store.addToken(stored)
  for (let index = 0; index < text.length; index++) {
    const other = text[index] === 'a' ? 'b' : 'a'
    assert.equal(identify(text.slice(0, index) + other + text.slice(index + 1), store), undefined, `at ${index}`)
  }
  for (const wrong of ['', 'tp_', text.slice(0, -1), `${text}a`, text.slice(3), 'x'.repeat(100_000)]) {
    assert.equal(identify(wrong, store), undefined)
  }
})
