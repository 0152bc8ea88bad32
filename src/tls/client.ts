import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import type { TlsContextHandle } from '../linux/native.ts'
import { freeContext, makeContext, openSession, setServerName, verifyBy } from '../linux/openssl.ts'
import { type AcceptedNames, carriesOneOf } from './alternative-names.ts'
import { CertificateError } from './certificate.ts'
import { contextTerms, unavailableSuites } from './context.ts'
import { pemCertificates } from './pem.ts'
import { DEFAULT_POLICY, readPolicy } from './policy.ts'
import { TlsSession } from './session.ts'

/** A few kilobytes each. */
const CERTIFICATES_REMEMBERED = 100

/** A backend's key may be on a curve that no policy has for clients. */
const GROUPS_OF_BACKENDS = ':P-521'

/** How TLS connections to backends are made. */
export type TlsClientOptions = {
  /** The name to ask for; '' asks for none. Without `names`, the one to find in the certificate, too. */
  readonly serverName: string
  /** Looked for in the certificate in place of `serverName`; it takes roots. */
  readonly names?: AcceptedNames | undefined
  /** PEM of the roots that a backend's certificate has to come from; '' accepts any certificate, as Google does. */
  readonly rootsPem: string
}

/** Makes sessions to backends, on one worker. */
export class TlsClient {
  readonly #context: TlsContextHandle
  readonly #serverName: string
  readonly #isNameVerified: boolean
  readonly #accepts: ((certificate: Uint8Array) => boolean) | null

  /** @throws CertificateError when the roots cannot be read */
  constructor(options: TlsClientOptions) {
    const reading = readPolicy({ ...DEFAULT_POLICY, minTlsVersion: 'TLS_1_2' }, unavailableSuites())
    if (reading.kind === 'problem') throw new TypeError(reading.message)
    this.#serverName = options.serverName
    const { rootsPem, names } = options
    assert(names === undefined || rootsPem !== '', 'Names in a certificate that anybody may have issued say nothing')
    this.#isNameVerified = rootsPem !== '' && names === undefined
    this.#accepts = names === undefined ? null : remembered((certificate) => carriesOneOf(certificate, names))
    const roots = rootsPem === '' ? [] : readRoots(rootsPem)
    const terms = contextTerms(reading.terms)
    this.#context = makeContext(false, { ...terms, groups: terms.groups + GROUPS_OF_BACKENDS })
    verifyBy(this.#context, roots)
  }

  /** Opens a session; undefined when memory ran out. */
  open(): TlsSession | undefined {
    const handle = openSession(this.#context, false)
    if (handle === undefined) return undefined
    if (this.#serverName !== '') setServerName(handle, this.#serverName, this.#isNameVerified)
    return TlsSession.connecting(handle, this.#serverName, this.#accepts)
  }

  /** Frees the context; sessions go on. */
  close(): void {
    freeContext(this.#context)
  }
}

/** Reading a certificate takes 200 us, a fifth of a handshake, and the backends of a service show the same few. */
function remembered(judge: (certificate: Uint8Array) => boolean): (certificate: Uint8Array) => boolean {
  const verdicts = new Map<string, boolean>()
  return (certificate) => {
    const key = Buffer.from(certificate).toString('latin1')
    const known = verdicts.get(key)
    if (known !== undefined) return known
    if (verdicts.size === CERTIFICATES_REMEMBERED) verdicts.clear()
    const verdict = judge(certificate)
    verdicts.set(key, verdict)
    return verdict
  }
}

function readRoots(pem: string): Uint8Array[] {
  const blocks = pemCertificates(pem)
  if (blocks.length === 0) {
    throw new CertificateError('CA', 'certificate', {
      rule: 'it contains no certificate',
      remedy: 'give the roots in PEM',
    })
  }
  return blocks.map((block, index) => {
    try {
      return Uint8Array.from(new X509Certificate(block).raw)
    } catch (cause) {
      const rule = `root ${index + 1} cannot be read: its PEM is damaged`
      throw new CertificateError('CA', 'certificate', { rule, remedy: 'copy it again', cause })
    }
  })
}
