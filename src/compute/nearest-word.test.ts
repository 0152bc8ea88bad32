import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearestWord } from './nearest-word.ts'

const known = ['timeoutSec', 'maxUtilization', 'portName', 'port', 'TLS_1_2']

test('a word that differs in case, punctuation or one character is taken for the known one', () => {
  const meant: [string, string][] = [
    ['timeoutsec', 'timeoutSec'],
    ['timeout_sec', 'timeoutSec'],
    ['timeoutSecs', 'timeoutSec'],
    ['tmeoutSec', 'timeoutSec'],
    ['maxUtilisation', 'maxUtilization'],
    ['tls1.2', 'TLS_1_2'],
  ]
  for (const [word, expected] of meant) assert.equal(nearestWord(word, known), expected, word)
})

test('a word that is unlike all known ones is taken for none', () => {
  for (const word of ['', 'timeout', 'name', 'por', 'x'.repeat(10_000)])
    assert.equal(nearestWord(word, known), undefined)
})
