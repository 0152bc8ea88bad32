import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LINK_LOCAL, localBackendRule } from './local-backends.ts'

const OWN_HOST = [
  '127.0.0.1',
  '127.8.9.10',
  '::1',
  '0.0.0.0',
  '0.1.2.3',
  '::',
  '::ffff:0.0.0.0',
  '64:ff9b::',
  '2002::1',
]
const LINK = ['169.254.169.254', 'fe80::1', '::ffff:169.254.169.254']

test('an edge that follows leads nobody to its own host or link, in any spelling, also not by the unspecified address', () => {
  for (const text of OWN_HOST) assert.match(localBackendRule(text)?.rule ?? '', /leads to the edge's own host$/, text)
  for (const text of LINK)
    assert.match(localBackendRule(text)?.rule ?? '', /leads to what only the edge's own link/, text)
  for (const text of ['192.0.2.1', '10.0.0.1', '2001:db8::1']) assert.equal(localBackendRule(text), undefined, text)
})

test('who writes the file of an edge may lead clients to its host, and not to its link', () => {
  for (const text of OWN_HOST) assert.equal(localBackendRule(text, LINK_LOCAL), undefined, text)
  for (const text of LINK) assert.ok(localBackendRule(text, LINK_LOCAL), text)
})
