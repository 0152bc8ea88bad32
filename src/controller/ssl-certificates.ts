import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { invalidField } from './api-error.ts'
import type { Behaviour, Draft } from './behaviour.ts'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
const RSA_BITS_MIN = 2048
const CURVES = ['prime256v1', 'secp384r1']

/** Certificates: the key goes where no answer shows it, and has to be that of the first certificate. */
export const sslCertificates: Behaviour = { complete: completeCertificate }

function completeCertificate(draft: Draft): void {
  const { fields } = draft
  const { privateKey, certificate } = fields
  const [leaf] = readChain(String(certificate))
  const key = readKey(String(privateKey))
  checkKeyType(leaf.publicKey)
  if (!leaf.checkPrivateKey(key)) {
    throw invalidField('resource.privateKey', '', 'The private key is not that of the first certificate of the chain')
  }
  fields.expireTime = new Date(leaf.validTo).toISOString()
  const names = subjectAlternativeNames(leaf)
  if (names.length > 0) fields.subjectAlternativeNames = names
  delete fields.privateKey
  draft.secret = { privateKey }
}

function readChain(pem: string): readonly [X509Certificate, ...X509Certificate[]] {
  try {
    const [leaf, ...rest] = (pem.match(CERTIFICATE) ?? []).map((part) => new X509Certificate(part))
    if (leaf !== undefined) return [leaf, ...rest]
  } catch {
    // OpenSSL's words say nothing to whoever sent the text.
  }
  throw invalidField('resource.certificate', '', 'The SSL certificate could not be parsed; give the chain in PEM')
}

function readKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    const rule = 'The private key could not be parsed; give it in PEM without a passphrase'
    throw invalidField('resource.privateKey', '', rule)
  }
}

function checkKeyType(key: KeyObject): void {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details = {} } = key
  const isRsa = type === 'rsa' && (details.modulusLength ?? 0) >= RSA_BITS_MIN
  const isEc = type === 'ec' && CURVES.includes(details.namedCurve ?? '')
  if (isRsa || isEc) return
  const rule = `Its key is of the type ${type}; give one of RSA with ${RSA_BITS_MIN} bits or more, or of ECDSA with P-256 or P-384`
  throw invalidField('resource.certificate', '', rule)
}

/** `DNS:a.example.com, IP Address:192.0.2.1` as the names and addresses alone. */
function subjectAlternativeNames({ subjectAltName }: X509Certificate): readonly string[] {
  return (subjectAltName ?? '').split(', ').flatMap((entry) => /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1] ?? [])
}
