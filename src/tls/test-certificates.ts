// For tests: certificates, made on the spot from DER written by hand (RFC 5280 §4.1).
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { type Certificate, readCertificate } from './certificate.ts'

/** What a test's certificate says; it is issued by itself unless `issuer` is given. */
export type CertificateFields = {
  readonly commonName?: string
  readonly names?: readonly string[]
  readonly uris?: readonly string[]
  readonly isAuthority?: boolean
  readonly issuer?: Issued
  readonly keyKind?: 'ec' | 'ec-p384' | 'rsa' | 'rsa-1024' | 'ec-p521' | 'ed25519'
  /** Signed with SHA-1, as long ago; an EC key signs it. */
  readonly isSignedWithSha1?: boolean
  readonly notBefore?: Date
  readonly notAfter?: Date
}

/** A certificate with its key, both as PEM and as they are. */
export type Issued = {
  readonly commonName: string
  readonly key: KeyObject
  readonly certificatePem: string
  readonly keyPem: string
}

const DAY_MS = 86_400_000
const OID = {
  commonName: '2.5.4.3',
  basicConstraints: '2.5.29.19',
  subjectAltName: '2.5.29.17',
  ecdsaWithSha1: '1.2.840.10045.4.1',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  rsaWithSha256: '1.2.840.113549.1.1.11',
  ed25519: '1.3.101.112',
} as const

/** Makes a certificate. */
export function issue(fields: CertificateFields = {}): Issued {
  const { commonName = 'test.example', names = [], uris = [], issuer } = fields
  // dNSName is [2], uniformResourceIdentifier is [6].
  const alternatives = [...names.map((name) => der(0x82, latin1(name))), ...uris.map((uri) => der(0x86, latin1(uri)))]
  const { publicKey, privateKey } = makeKey(fields.keyKind ?? 'ec')
  const signingKey = issuer?.key ?? privateKey
  const digest = fields.isSignedWithSha1 === true ? 'sha1' : 'sha256'
  const algorithm = algorithmOf(signingKey, digest)
  const extensions = [
    ...(fields.isAuthority === true ? [extension(OID.basicConstraints, der(0x30, der(0x01, [0xff])))] : []),
    ...(alternatives.length === 0 ? [] : [extension(OID.subjectAltName, der(0x30, ...alternatives))]),
  ]
  const toSign = der(
    0x30,
    der(0xa0, der(0x02, [2])),
    der(0x02, [1, Math.floor(Math.random() * 256), Math.floor(Math.random() * 256)]),
    algorithm,
    nameOf(issuer?.commonName ?? commonName),
    der(
      0x30,
      time(fields.notBefore ?? new Date(Date.now() - DAY_MS)),
      time(fields.notAfter ?? new Date(Date.now() + 30 * DAY_MS)),
    ),
    nameOf(commonName),
    [...publicKey.export({ type: 'spki', format: 'der' })],
    ...(extensions.length === 0 ? [] : [der(0xa3, der(0x30, ...extensions))]),
  )
  const isEd25519 = signingKey.asymmetricKeyType === 'ed25519'
  const signature = sign(isEd25519 ? null : digest, Uint8Array.from(toSign), signingKey)
  const certificate = der(0x30, toSign, algorithm, der(0x03, [0, ...signature]))
  return {
    commonName,
    key: privateKey,
    certificatePem: pem('CERTIFICATE', Uint8Array.from(certificate)),
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/** Makes a certificate as a server takes it. */
export function serverCertificate(fields: CertificateFields = {}): Certificate {
  const { certificatePem, keyPem } = issue(fields)
  return readCertificate(fields.commonName ?? 'test', certificatePem, keyPem)
}

function makeKey(kind: NonNullable<CertificateFields['keyKind']>): { publicKey: KeyObject; privateKey: KeyObject } {
  switch (kind) {
    case 'ec':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' })
    case 'ec-p384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' })
    case 'ec-p521':
      return generateKeyPairSync('ec', { namedCurve: 'P-521' })
    case 'rsa':
      return generateKeyPairSync('rsa', { modulusLength: 2_048 })
    case 'rsa-1024':
      return generateKeyPairSync('rsa', { modulusLength: 1_024 })
    case 'ed25519':
      return generateKeyPairSync('ed25519')
  }
}

function algorithmOf(key: KeyObject, digest: 'sha1' | 'sha256'): number[] {
  if (key.asymmetricKeyType === 'rsa') return der(0x30, objectId(OID.rsaWithSha256), der(0x05))
  if (key.asymmetricKeyType === 'ed25519') return der(0x30, objectId(OID.ed25519))
  return der(0x30, objectId(digest === 'sha1' ? OID.ecdsaWithSha1 : OID.ecdsaWithSha256))
}

function pem(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

function der(tag: number, ...parts: readonly (readonly number[])[]): number[] {
  const body = parts.flat()
  const { length } = body
  if (length < 0x80) return [tag, length, ...body]
  if (length < 0x100) return [tag, 0x81, length, ...body]
  return [tag, 0x82, length >> 8, length & 0xff, ...body]
}

function latin1(text: string): number[] {
  return [...Buffer.from(text, 'latin1')]
}

function objectId(text: string): number[] {
  const [first, second, ...rest] = text.split('.').map(Number)
  const bytes = rest.flatMap((arc) => {
    const groups = [arc & 0x7f]
    for (let left = arc >> 7; left > 0; left >>= 7) groups.unshift(0x80 | (left & 0x7f))
    return groups
  })
  return der(0x06, [first * 40 + second, ...bytes])
}

function nameOf(commonName: string): number[] {
  return der(0x30, der(0x31, der(0x30, objectId(OID.commonName), der(0x0c, [...Buffer.from(commonName)]))))
}

function time(date: Date): number[] {
  // 20261122150000Z
  return der(0x18, latin1(`${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`))
}

function extension(oid: string, value: number[]): number[] {
  return der(0x30, objectId(oid), der(0x04, value))
}
