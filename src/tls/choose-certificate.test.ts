import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CertificateChoice, type CertificateTraits, canVerify } from './choose-certificate.ts'
import { LEGACY_SUITES } from './cipher-suites.ts'
import type { ClientHello } from './client-hello.ts'

const TERMS = { ciphers: LEGACY_SUITES }
const TLS_1_3_CLIENT: ClientHello = {
  kind: 'hello',
  serverName: '',
  protocols: [],
  versions: [0x0304, 0x0303],
  cipherSuites: [0x1301, 0xc02b, 0xc02f],
  signatureSchemes: [0x0403, 0x0804],
  groups: [29, 23],
  hasEarlyData: false,
}
const TLS_1_2_CLIENT: ClientHello = { ...TLS_1_3_CLIENT, versions: [0xdada, 0x0303, 0x0302, 0x0301] }
const TLS_1_0_CLIENT: ClientHello = {
  ...TLS_1_3_CLIENT,
  versions: [0x0301],
  cipherSuites: [0xc009, 0xc013],
  signatureSchemes: [],
  groups: [],
}

const rsa = (...names: string[]): CertificateTraits => ({ names, keyKind: 'rsa' })
const ecdsa = (...names: string[]): CertificateTraits => ({ names, keyKind: 'ecdsa-p256' })

function chosen(certificates: readonly CertificateTraits[], serverName: string, client = TLS_1_3_CLIENT): number {
  return new CertificateChoice(certificates, TERMS).choose({ ...client, serverName })
}

test('the first certificate serves who asks for no name, or for one that no certificate has', () => {
  const certificates = [rsa('a.example'), ecdsa('b.example')]
  assert.equal(chosen(certificates, ''), 0)
  assert.equal(chosen(certificates, 'c.example'), 0)
})

test('a name is matched as a whole, and before a wildcard, whatever the order', () => {
  const certificates = [rsa('other.example'), ecdsa('*.b.example'), rsa('a.b.example'), rsa('*.example')]
  assert.equal(chosen(certificates, 'a.b.example'), 2)
  assert.equal(chosen(certificates, 'x.b.example'), 1)
  assert.equal(chosen(certificates, 'b.example'), 3)
})

test('a wildcard stands for one label, neither for none nor for two', () => {
  const certificates = [rsa('default.example'), rsa('*.b.example')]
  assert.equal(chosen(certificates, 'b.example'), 0)
  assert.equal(chosen(certificates, 'x.y.b.example'), 0)
  assert.equal(chosen(certificates, '*.b.example'), 1)
})

test('of two certificates with the same name, ECDSA is preferred where the client can', () => {
  const certificates = [rsa('a.example'), ecdsa('a.example')]
  assert.equal(chosen(certificates, 'a.example'), 1)
  assert.equal(chosen(certificates, 'a.example', TLS_1_2_CLIENT), 1)
  assert.equal(chosen(certificates, 'a.example', TLS_1_0_CLIENT), 1)
})

test('a client that cannot verify ECDSA gets RSA', () => {
  const certificates = [rsa('default.example'), ecdsa('a.example'), rsa('a.example')]
  for (const client of [
    { ...TLS_1_3_CLIENT, signatureSchemes: [0x0804, 0x0503] },
    { ...TLS_1_2_CLIENT, signatureSchemes: [0x0401] },
    { ...TLS_1_2_CLIENT, cipherSuites: [0xc02f] },
    { ...TLS_1_2_CLIENT, groups: [29, 24] },
    { ...TLS_1_0_CLIENT, cipherSuites: [0xc013, 0xc02b] },
  ]) {
    assert.equal(chosen(certificates, 'a.example', client), 2, JSON.stringify(client))
  }
})

test('what a client says of signatures counts from TLS 1.2 on, and who says nothing there takes any', () => {
  const { cipherSuites } = TLS_1_0_CLIENT
  const silent = { ...TLS_1_2_CLIENT, signatureSchemes: [] }
  const old = { ...TLS_1_0_CLIENT, signatureSchemes: [0x0807] }
  for (const keyKind of ['rsa', 'ecdsa-p256'] as const) {
    assert.equal(canVerify(silent, keyKind, TERMS), true, keyKind)
    assert.equal(canVerify(old, keyKind, TERMS), true, keyKind)
    assert.equal(canVerify({ ...TLS_1_2_CLIENT, cipherSuites, signatureSchemes: [0x0807] }, keyKind, TERMS), false)
    assert.equal(canVerify({ ...TLS_1_3_CLIENT, signatureSchemes: [] }, keyKind, TERMS), false, 'TLS 1.3 has to say')
  }
})

test('of certificates that suit alike, the first that was given is chosen', () => {
  const certificates = [rsa('x.example'), ecdsa('a.example'), ecdsa('a.example'), ecdsa('a.example')]
  assert.equal(chosen(certificates, 'a.example'), 1)
  assert.equal(chosen([rsa('x.example'), rsa('a.example'), rsa('a.example')], 'a.example'), 1)
})

test('a wildcard that the client can use is better than the exact name that it cannot', () => {
  const certificates = [rsa('default.example'), ecdsa('a.b.example'), rsa('*.b.example')]
  assert.equal(chosen(certificates, 'a.b.example', { ...TLS_1_3_CLIENT, signatureSchemes: [0x0804] }), 2)
})

test('a default that the client cannot use is passed over for one that it can', () => {
  const onlyRsa = { ...TLS_1_3_CLIENT, signatureSchemes: [0x0804] }
  assert.equal(chosen([ecdsa('a.example'), rsa('b.example')], '', onlyRsa), 1)
  assert.equal(chosen([ecdsa('a.example'), ecdsa('b.example')], '', onlyRsa), 0)
})

test('where nothing suits, the certificate with the name is given all the same', () => {
  const none = { ...TLS_1_3_CLIENT, signatureSchemes: [0x0807] }
  assert.equal(chosen([rsa('a.example'), ecdsa('b.example')], 'b.example', none), 1)
})
