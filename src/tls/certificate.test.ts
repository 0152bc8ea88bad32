import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Certificate, CertificateError, certificateWarnings, readCertificate } from './certificate.ts'
import { type CertificateFields, issue } from './test-certificates.ts'

const NOW_MS = Date.now()
const DAY_MS = 86_400_000

function problemOf(chainPem: string, keyPem: string): string {
  try {
    readCertificate('my-cert', chainPem, keyPem)
  } catch (error) {
    assert.ok(error instanceof CertificateError)
    assert.match(error.message, /^Certificate "my-cert": /)
    return error.message
  }
  return assert.fail('it is taken')
}

function warningsOf(certificate: Certificate): string {
  return certificateWarnings(certificate, NOW_MS).join()
}

function threeLevels(leaf: CertificateFields = {}) {
  const root = issue({ commonName: 'Root', isAuthority: true })
  const intermediate = issue({ commonName: 'Intermediate', isAuthority: true, issuer: root })
  return { root, intermediate, leaf: issue({ ...leaf, issuer: intermediate }) }
}

test('a pair is read: its names in lower case, its kind of key, its times', () => {
  const notAfter = new Date(Math.floor(NOW_MS / 1_000) * 1_000 + 10 * DAY_MS)
  const { certificatePem, keyPem } = issue({ commonName: 'A.Example', names: ['B.example', '*.c.example'], notAfter })
  const certificate = readCertificate('my-cert', certificatePem, keyPem)
  assert.deepEqual(certificate.names, ['b.example', '*.c.example', 'a.example'])
  assert.deepEqual(certificate.subjectAlternativeNames, ['B.example', '*.c.example'])
  assert.equal(certificate.keyKind, 'ecdsa-p256')
  assert.equal(certificate.expiresMs, notAfter.getTime())
  assert.equal(warningsOf(certificate), '')
  const warning = `it expired on ${notAfter.toISOString()}; it is still served`
  assert.deepEqual(certificateWarnings(certificate, notAfter.getTime()), [warning])
})

test('every kind of key that is offered is taken, and every other refused by its name', () => {
  const kinds = { ec: 'ecdsa-p256', 'ec-p384': 'ecdsa-p384', rsa: 'rsa' } as const
  for (const [keyKind, expected] of Object.entries(kinds)) {
    const { certificatePem, keyPem } = issue({ keyKind: keyKind as keyof typeof kinds })
    assert.equal(readCertificate('x', certificatePem, keyPem).keyKind, expected)
  }
  for (const [keyKind, problem] of [
    ['rsa-1024', /1024 bits/],
    ['ec-p521', /secp521r1/],
    ['ed25519', /ed25519/],
  ] as const) {
    const { certificatePem, keyPem } = issue({ keyKind })
    assert.match(problemOf(certificatePem, keyPem), problem)
  }
})

test('a whole chain is kept, without the root at its end', () => {
  const { root, intermediate, leaf } = threeLevels()
  const chainPem = leaf.certificatePem + intermediate.certificatePem + root.certificatePem
  const certificate = readCertificate('x', chainPem, leaf.keyPem)
  assert.equal(certificate.chain.length, 2)
  assert.equal(warningsOf(certificate), '')
})

test('a leaf without its intermediate is taken with a warning', () => {
  const { leaf } = threeLevels()
  assert.match(warningsOf(readCertificate('x', leaf.certificatePem, leaf.keyPem)), /no intermediate/)
})

test('a chain out of order is refused, and the message says where', () => {
  const { root, intermediate, leaf } = threeLevels()
  const swapped = leaf.certificatePem + root.certificatePem + intermediate.certificatePem
  assert.match(
    problemOf(swapped, leaf.keyPem),
    /out of order: certificate 2 did not issue certificate 1 .*certificate 3/,
  )
  const stranger = issue({ commonName: 'Intermediate', isAuthority: true })
  assert.match(problemOf(leaf.certificatePem + stranger.certificatePem, leaf.keyPem), /out of order/)
})

test('a chain that begins with the intermediate does not belong to the key', () => {
  const { intermediate, leaf } = threeLevels()
  assert.match(problemOf(intermediate.certificatePem + leaf.certificatePem, leaf.keyPem), /does not belong/)
})

test('what is no certificate and no key is refused with what it is', () => {
  const { certificatePem, keyPem, key } = issue()
  assert.match(problemOf('', keyPem), /no certificate/)
  assert.match(problemOf('hello', keyPem), /no certificate/)
  assert.match(problemOf(keyPem, keyPem), /is a private key in PEM, and not a certificate; /)
  assert.match(problemOf(certificatePem, certificatePem), /private key is missing: this is a certificate in PEM; /)
  assert.match(problemOf(certificatePem.slice(0, -20), keyPem), /has no end/)
  assert.match(problemOf(`${certificatePem}${certificatePem.slice(0, 300)}`, keyPem), /after certificate 1/)
  assert.match(problemOf(certificatePem.replace(/\n..../, '\nAAAA'), keyPem), /certificate 1 .* damaged/)
  assert.match(problemOf(certificatePem, keyPem.replace(/\n......../, '\nAAAAAAAA')), /key cannot be read/)
  const encrypted = key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }).toString()
  assert.match(problemOf(certificatePem, encrypted), /encrypted/)
  const legacy = issue({ keyKind: 'rsa' })
  const sealed = legacy.key.export({ type: 'pkcs1', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }).toString()
  assert.match(problemOf(legacy.certificatePem, sealed), /encrypted/)
})

test('a certificate with a time that is none is refused before anything is done with it', () => {
  const { certificatePem, keyPem } = issue({ notAfter: new Date('2040-01-01T00:00:00Z') })
  const der = Buffer.from(certificatePem.replace(/-----.*-----/g, ''), 'base64')
  der.write('401399', der.indexOf('400101000000Z'))
  const broken = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
  assert.match(problemOf(broken, keyPem), /a date in the chain is invalid; have the certificate issued again/)
})

test('a text of nothing but beginnings is refused at once', () => {
  const { certificatePem, keyPem } = issue()
  const startedMs = performance.now()
  assert.match(
    problemOf(certificatePem + '-----BEGIN CERTIFICATE-----\n'.repeat(37_000), keyPem),
    /after certificate 1/,
  )
  assert.ok(performance.now() - startedMs < 2_000)
})

test('a key of another certificate is refused', () => {
  assert.match(problemOf(issue().certificatePem, issue().keyPem), /does not belong to the first certificate/)
})

test('a chain that begins with its root is told where the server is in it', () => {
  const root = issue({ commonName: 'Root', isAuthority: true })
  const leaf = issue({ issuer: root })
  assert.match(
    problemOf(root.certificatePem + leaf.certificatePem, leaf.keyPem),
    /to the first certificate, but to certificate 2; put the server's certificate first, and the issuer/,
  )
})

test('an expired certificate, and one of the future, are taken with a warning', () => {
  const past = issue({ notAfter: new Date(NOW_MS - DAY_MS), notBefore: new Date(NOW_MS - 2 * DAY_MS) })
  assert.match(warningsOf(readCertificate('x', past.certificatePem, past.keyPem)), /it expired on/)
  const future = issue({ notBefore: new Date(NOW_MS + DAY_MS) })
  assert.match(warningsOf(readCertificate('x', future.certificatePem, future.keyPem)), /not valid before/)
})

test('a key in the older forms (PKCS #1, SEC 1) is taken', () => {
  const rsa = issue({ keyKind: 'rsa' })
  const ec = issue()
  for (const [issued, type] of [
    [rsa, 'pkcs1'],
    [ec, 'sec1'],
  ] as const) {
    const keyPem = issued.key.export({ type, format: 'pem' }).toString()
    assert.equal(readCertificate('x', issued.certificatePem, keyPem).chain.length, 1)
  }
})
