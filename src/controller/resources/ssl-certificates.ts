import { X509Certificate } from 'node:crypto'
import type { Behaviour, Draft } from './behaviour.ts'

/** Certificates: the key goes where no answer shows it, and what the server's certificate says is beside the chain. */
export const sslCertificates: Behaviour = { complete: completeCertificate }

function completeCertificate(draft: Draft): void {
  const { fields } = draft
  const { privateKey, certificate } = fields
  // The first of the chain; that it can be read, times included, `EdgeTls.certificateProblems` has said.
  const leaf = new X509Certificate(String(certificate))
  fields.expireTime = new Date(leaf.validTo).toISOString()
  const names = subjectAlternativeNames(leaf)
  if (names.length > 0) fields.subjectAlternativeNames = names
  delete fields.privateKey
  draft.secret = { privateKey }
}

/** `DNS:a.example.com, IP Address:192.0.2.1` as the names and addresses alone. */
function subjectAlternativeNames({ subjectAltName }: X509Certificate): readonly string[] {
  return (subjectAltName ?? '').split(', ').flatMap((entry) => /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1] ?? [])
}
