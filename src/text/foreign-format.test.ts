import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { foreignFormat } from './foreign-format.ts'

const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const { privateKey: ec, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const DER = { type: 'pkcs8', format: 'der' } as const

function block(label: string): string {
  return `-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----\n`
}

for (const [what, content] of [
  ['a private key in DER', rsa.export(DER)],
  ['a private key in DER', ec.export(DER)],
  ['a private key in DER', rsa.export({ ...DER, type: 'pkcs1' })],
  ['a private key in DER', ec.export({ ...DER, type: 'sec1' })],
  // SEQUENCE of 805 and of 0xc3a9 bytes, which are one character of UTF-8; each holds a SEQUENCE.
  ['a certificate in DER', Buffer.from('308203253082020da003', 'hex')],
  ['a certificate in DER', Buffer.from('3082c3a93082020da003', 'hex')],
  ['PKCS #12', Buffer.from('308209ff0201033082', 'hex')],
  ['PKCS #12', Buffer.from('3080020103308006', 'hex')],
  ['binary data', Buffer.from('listeners:', 'utf16le')],
  ['binary data', Buffer.from('1f8b0800', 'hex')],
  ['binary data', Buffer.from('7f454c460201010000', 'hex')],
  ['a private key in PEM', block('EC PRIVATE KEY')],
  ['a private key of OpenSSH', block('OPENSSH PRIVATE KEY')],
  ['a public key in PEM', publicKey.export({ type: 'spki', format: 'pem' })],
  ['a certificate in PEM', `\n${block('CERTIFICATE')}`],
  ['a certificate request in PEM', block('CERTIFICATE REQUEST')],
  ['PKCS #7 in PEM', block('PKCS7')],
] as const) {
  const text = Buffer.from(content).toString()
  test(`${JSON.stringify(text.slice(0, 12))} is ${what}`, () => assert.equal(foreignFormat(text)?.what, what))
}

for (const text of [
  '',
  '\n',
  '0',
  '0.0.0.0/0\n',
  '35.191.0.0/16\r\n',
  '\ufeffworkers: 2\n',
  'listeners: []',
  '{"kind": "compute#address"}',
  `certificate: |\n${block('CERTIFICATE')}`,
  'café\n',
  '-----BEGIN\n',
]) {
  test(`${JSON.stringify(text.slice(0, 12))} may be what it should be`, () =>
    assert.equal(foreignFormat(text), undefined))
}
