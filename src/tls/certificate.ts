// Certificates and keys at the door: PEM becomes plain data that can be given to a worker, or an error says what is wrong.

import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { foreignFormat } from '../text/foreign-format.ts'
import { alternativeNames } from './alternative-names.ts'
import type { KeyKind } from './choose-certificate.ts'

/** As long as any chain that is in use; a whole flight has to fit in the buffer that a handshake is written to. */
const CHAIN_MAX = 10
const CHAIN_BYTES_MAX = 48 * 1024
const RSA_BITS_MIN = 2_048
const RSA_BITS_MAX = 4_096
/** Stops at the next dashes, so that a text of nothing but beginnings is read once. */
const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----(?:(?!-----)[\s\S])*-----END \1-----/g

/** A certificate with its chain and its key, checked; plain data. */
export type Certificate = {
  /** What the operator calls it, such as the name of the resource or the file. */
  readonly name: string
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[]
  /** DER (PKCS #8). Never logged. */
  readonly key: Uint8Array
  readonly keyKind: KeyKind
  /** Host names of the leaf, in lower case: the DNS names among its alternative names, and its common name. */
  readonly names: readonly string[]
  /** `subjectAlternativeNames` of the resource: as they are in the leaf. */
  readonly subjectAlternativeNames: readonly string[]
  readonly notBeforeMs: number
  /** When the first certificate of the chain expires. It is still served. */
  readonly expiresMs: number
  /** SHA-256 of the leaf, in hexadecimal. */
  readonly fingerprint: string
  /** Nothing leads from the leaf to a root. */
  readonly lacksIssuer: boolean
}

/** What is wrong with a certificate or its key; the message names the resource and the remedy. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError'
  /** What the operator calls the certificate. */
  readonly certificate: string
  /** The field of the resource. */
  readonly part: 'certificate' | 'privateKey'
  /** What is wrong, one sentence without a full stop. Never holds anything of a key. */
  readonly rule: string
  readonly remedy: string

  constructor(
    certificate: string,
    part: CertificateError['part'],
    { rule, remedy, cause }: { readonly rule: string; readonly remedy: string; readonly cause?: unknown },
  ) {
    super(`Certificate "${certificate}": ${rule}; ${remedy}`, { cause })
    this.certificate = certificate
    this.part = part
    this.rule = rule
    this.remedy = remedy
  }
}

/**
 * Reads a chain and its key.
 *
 * @param name for messages: the resource, or the file
 * @param chainPem the leaf first, then each certificate's issuer; a root at the end is left out of what is sent
 * @throws CertificateError
 */
export function readCertificate(name: string, chainPem: string, keyPem: string): Certificate {
  const all = readChain(name, chainPem)
  const [leaf] = all
  const key = readKey(name, keyPem)
  if (!leaf.checkPrivateKey(key)) {
    const owner = all.findIndex((certificate) => certificate.checkPrivateKey(key))
    throw new CertificateError(name, owner < 0 ? 'privateKey' : 'certificate', {
      rule: `the private key does not belong to the first certificate${owner < 0 ? '' : `, but to certificate ${owner + 1}`}`,
      remedy:
        owner < 0
          ? 'give the pair that was issued together'
          : "put the server's certificate first, and the issuer of each certificate after it",
    })
  }
  const keyKind = kindOf(name, key)
  checkOrder(name, all)
  // A client has the roots that it trusts: sending one costs bytes in each handshake.
  const sent = all.length > 1 ? all.filter((certificate, index) => index === 0 || !isSelfSigned(certificate)) : all
  const notBeforeMs = Date.parse(leaf.validFrom)
  const expiresMs = Math.min(...sent.map(({ validTo }) => Date.parse(validTo)))
  if (Number.isNaN(notBeforeMs + expiresMs)) {
    // OpenSSL takes a thirteenth month, too.
    throw new CertificateError(name, 'certificate', {
      rule: 'a date in the chain is invalid',
      remedy: 'have the certificate issued again',
    })
  }
  const chain = sent.map(({ raw }) => Uint8Array.from(raw))
  if (chain.reduce((sum, { length }) => sum + length, 0) > CHAIN_BYTES_MAX) {
    throw new CertificateError(name, 'certificate', {
      rule: `the chain is larger than ${CHAIN_BYTES_MAX} bytes`,
      remedy: 'leave out what clients do not need',
    })
  }
  const subjectAlternativeNames = alternativeNames(leaf).map(({ value }) => value)
  return {
    name,
    chain,
    key: Uint8Array.from(key.export({ type: 'pkcs8', format: 'der' })),
    keyKind,
    names: hostNames(leaf, subjectAlternativeNames),
    subjectAlternativeNames,
    notBeforeMs,
    expiresMs,
    fingerprint: createHash('sha256').update(leaf.raw).digest('hex'),
    lacksIssuer: sent.length === 1 && !isSelfSigned(leaf),
  }
}

/** What deserves a look and hinders nothing, a sentence each. */
export function certificateWarnings(certificate: Certificate, nowMs: number): readonly string[] {
  const { expiresMs, notBeforeMs, lacksIssuer } = certificate
  return [
    ...(expiresMs > nowMs ? [] : [`it expired on ${new Date(expiresMs).toISOString()}; it is still served`]),
    ...(notBeforeMs <= nowMs ? [] : [`it is not valid before ${new Date(notBeforeMs).toISOString()}`]),
    ...(lacksIssuer
      ? ['there is no intermediate certificate; clients that do not know the issuer will refuse it']
      : []),
  ]
}

type PemBlock = { readonly label: string; readonly text: string }

function pemBlocks(pem: string): PemBlock[] {
  return [...pem.matchAll(PEM_BLOCK)].map(([text, label]) => ({ label, text }))
}

function readChain(name: string, pem: string): X509Certificate[] {
  const wrong = (rule: string, remedy: string, cause?: unknown): CertificateError =>
    new CertificateError(name, 'certificate', { rule, remedy, cause })
  const blocks = pemBlocks(pem)
  const certificates = blocks.filter(({ label }) => /^(X509 |TRUSTED )?CERTIFICATE$/.test(label))
  const begun = pem.split('-----BEGIN').length - 1
  if (certificates.length === 0) {
    if (blocks.length === 0 && begun > 0) throw wrong('a block of the PEM has no end', 'give the whole file')
    const foreign = foreignFormat(pem)
    throw wrong(
      foreign === undefined ? 'it contains no certificate' : `it is ${foreign.what}, and not a certificate`,
      foreign?.remedy ?? 'give the chain in PEM, "-----BEGIN CERTIFICATE-----"',
    )
  }
  if (begun !== blocks.length) {
    throw wrong(
      `the PEM is damaged after certificate ${certificates.length}: a block has no end`,
      'give the whole file',
    )
  }
  if (certificates.length > CHAIN_MAX) {
    throw wrong(`the chain has ${certificates.length} certificates`, `give at most ${CHAIN_MAX}`)
  }
  return certificates.map(({ text }, index) => {
    try {
      return new X509Certificate(text)
    } catch (cause) {
      throw wrong(`certificate ${index + 1} of the chain cannot be read: its PEM is damaged`, 'copy it again', cause)
    }
  })
}

function readKey(name: string, pem: string): KeyObject {
  const wrong = (rule: string, remedy: string, cause?: unknown): CertificateError =>
    new CertificateError(name, 'privateKey', { rule, remedy, cause })
  const blocks = pemBlocks(pem).filter(({ label }) => label.endsWith('PRIVATE KEY'))
  if (blocks.length === 0) {
    if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem))
      throw wrong('the PEM of the key has no end', 'give the whole file')
    const foreign = foreignFormat(pem)
    throw wrong(
      `the private key is missing${foreign === undefined ? '' : `: this is ${foreign.what}`}`,
      foreign?.remedy ?? 'give it in PEM, "-----BEGIN PRIVATE KEY-----"',
    )
  }
  const [{ label, text }] = blocks
  if (label === 'ENCRYPTED PRIVATE KEY' || text.includes('Proc-Type: 4,ENCRYPTED')) {
    throw wrong('the private key is encrypted', 'decrypt it with "openssl pkey -in KEY -out PLAIN"')
  }
  try {
    return createPrivateKey(text)
  } catch (cause) {
    throw wrong('the private key cannot be read: its PEM is damaged', 'copy it again', cause)
  }
}

function kindOf(name: string, key: KeyObject): KeyKind {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  const remedy = 'use RSA with 2048 to 4096 bits, or ECDSA with P-256 or P-384'
  if (type === 'ec') {
    if (details?.namedCurve === 'prime256v1') return 'ecdsa-p256'
    if (details?.namedCurve === 'secp384r1') return 'ecdsa-p384'
    throw new CertificateError(name, 'privateKey', {
      rule: `the curve "${details?.namedCurve}" is not offered`,
      remedy,
    })
  }
  if (type !== 'rsa') {
    throw new CertificateError(name, 'privateKey', { rule: `keys of the type "${type}" are not offered`, remedy })
  }
  const bits = details?.modulusLength ?? 0
  if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
    throw new CertificateError(name, 'privateKey', { rule: `the RSA key has ${bits} bits`, remedy })
  }
  return 'rsa'
}

function checkOrder(name: string, chain: readonly X509Certificate[]): void {
  for (const [index, certificate] of chain.slice(0, -1).entries()) {
    const next = chain[index + 1]
    if (certificate.checkIssued(next) && certificate.verify(next.publicKey)) continue
    const issuer = chain.findIndex((other, at) => at !== index && certificate.checkIssued(other))
    const where = issuer < 0 ? 'its issuer is not in it' : `its issuer is certificate ${issuer + 1}`
    const rule = `the chain is out of order: certificate ${index + 2} did not issue certificate ${index + 1} (${where})`
    throw new CertificateError(name, 'certificate', {
      rule,
      remedy: 'begin with the leaf, and put the issuer of each certificate after it',
    })
  }
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey)
}

function hostNames(leaf: X509Certificate, alternatives: readonly string[]): string[] {
  const commonNames = leaf.subject.split('\n').flatMap((line) => (line.startsWith('CN=') ? [line.slice(3)] : []))
  const names = [...alternatives, ...commonNames].map((name) => name.toLowerCase().replace(/\.$/, ''))
  return [...new Set(names)].filter((name) => /^(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(name))
}
