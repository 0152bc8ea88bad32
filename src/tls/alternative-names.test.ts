import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { alternativeNames, carriesOneOf } from './alternative-names.ts'
import { type CertificateFields, issue } from './test-certificates.ts'

function certificateOf(fields: CertificateFields): X509Certificate {
  return new X509Certificate(issue(fields).certificatePem)
}

test('alternative names are read in order, with their kind, whatever is in them', () => {
  const hidden = 'a.example, URI:spiffe://example/hidden'
  const names = alternativeNames(certificateOf({ names: ['b.example', hidden], uris: ['spiffe://example/"x", y'] }))
  assert.deepEqual(names, [
    { kind: 'DNS', value: 'b.example' },
    { kind: 'DNS', value: hidden },
    { kind: 'URI', value: 'spiffe://example/"x", y' },
  ])
  assert.deepEqual(alternativeNames(certificateOf({ commonName: 'a.example' })), [])
})

for (const [what, fields, dnsNames, uris, isAccepted] of [
  ['a host name', { names: ['a.example'] }, ['a.example'], [], true],
  ['a host name in other letters', { names: ['A.Example'] }, ['a.example'], [], true],
  ['one of several', { names: ['b.example', 'c.example'] }, ['a.example', 'c.example'], [], true],
  ['a wildcard', { names: ['*.b.example'] }, ['a.b.example'], [], true],
  ['a wildcard for two labels', { names: ['*.example'] }, ['a.b.example'], [], false],
  ['a wildcard for a part of a label', { names: ['a*.example'] }, ['ab.example'], [], false],
  ['the common name alone', { commonName: 'a.example' }, ['a.example'], [], false],
  ['the common name beside a URI', { commonName: 'a.example', uris: ['x:y'] }, ['a.example'], ['x:z'], false],
  ['a host name with more behind it', { names: ['a.example.b.example'] }, ['a.example'], [], false],
  ['a host name that goes on behind NUL', { names: ['a.example\0.b.example'] }, ['a.example'], [], false],
  ['a URI', { uris: ['spiffe://example/a'] }, ['a.example'], ['spiffe://example/a'], true],
  ['a URI in other letters', { uris: ['spiffe://example/A'] }, [], ['spiffe://example/a'], false],
  ['a URI as a host name', { names: ['spiffe://example/a'] }, [], ['spiffe://example/a'], false],
  ['a URI inside a host name', { names: ['x, URI:spiffe://example/a'] }, [], ['spiffe://example/a'], false],
  ['a host name as a URI', { uris: ['a.example'] }, ['a.example'], [], false],
] as const) {
  test(`${what} is ${isAccepted ? 'accepted' : 'refused'}`, () => {
    assert.equal(carriesOneOf(certificateOf(fields).raw, { dnsNames, uris }), isAccepted)
  })
}
