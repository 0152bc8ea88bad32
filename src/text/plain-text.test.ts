import assert from 'node:assert/strict'
import { test } from 'node:test'
import { escapeControls, escapeNonAscii, shortened, withoutControls } from './plain-text.ts'

test('what could move a cursor, turn the direction of writing or begin another line is escaped, the rest is kept', () => {
  assert.equal(
    escapeControls('a\u001b[31m\n\u202e\u2028\u2029\ud800 ü€😀'),
    'a\\u{1b}[31m\\u{a}\\u{202e}\\u{2028}\\u{2029}\\u{d800} ü€😀',
  )
})

test('for a terminal, each of them is one question mark', () => {
  assert.equal(withoutControls('a\u001b[31m\n\u202e\u2028\ud800 ü€😀'), 'a?[31m???? ü€😀')
})

test('in ASCII, every character beyond it is escaped once, also those of two code units', () => {
  assert.equal(escapeNonAscii('a b~ü😀\u007f'), 'a b~\\u{fc}\\u{1f600}\\u{7f}')
})

test('a text of the greatest length stays as it is', () => {
  assert.equal(shortened('abc', 3), 'abc')
  assert.equal(shortened('abcd', 3), 'abc…')
})
