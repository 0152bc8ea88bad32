import { X509Certificate } from 'node:crypto'
import type { TlsContextHandle } from '../linux/native.ts'
import { freeContext, makeContext, openSession, setServerName, verifyBy } from '../linux/openssl.ts'
import { CertificateError } from './certificate.ts'
import { contextTerms, unavailableSuites } from './context.ts'
import { DEFAULT_POLICY, readPolicy } from './policy.ts'
import { TlsSession } from './session.ts'

/** How TLS connections to backends are made. */
export type TlsClientOptions = {
  /** The name to ask for and to find in the certificate; '' asks for none. */
  readonly serverName: string
  /** PEM of the roots that a backend's certificate has to come from; '' accepts any certificate, as Google does. */
  readonly rootsPem: string
}

/** Makes sessions to backends; close it after the last was opened. */
export class TlsClient {
  readonly #context: TlsContextHandle
  readonly #serverName: string
  readonly #isVerified: boolean

  /** @throws CertificateError when the roots cannot be read */
  constructor(options: TlsClientOptions) {
    const reading = readPolicy({ ...DEFAULT_POLICY, minTlsVersion: 'TLS_1_2' }, unavailableSuites())
    if (reading.kind === 'problem') throw new TypeError(reading.message)
    this.#serverName = options.serverName
    this.#isVerified = options.rootsPem !== ''
    const roots = this.#isVerified ? readRoots(options.rootsPem) : []
    this.#context = makeContext(false, contextTerms(reading.terms))
    verifyBy(this.#context, roots)
  }

  /** Opens a session; undefined when memory ran out. */
  open(): TlsSession | undefined {
    const handle = openSession(this.#context, false)
    if (handle === undefined) return undefined
    if (this.#serverName !== '') setServerName(handle, this.#serverName, this.#isVerified)
    return TlsSession.connecting(handle, this.#serverName)
  }

  close(): void {
    freeContext(this.#context)
  }
}

function readRoots(pem: string): Uint8Array[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) throw new CertificateError('CA', 'there is no certificate in it; it has to be PEM')
  return blocks.map((block, index) => {
    try {
      return Uint8Array.from(new X509Certificate(block).raw)
    } catch (cause) {
      throw new CertificateError('CA', `certificate ${index + 1} cannot be read; its PEM is broken`, { cause })
    }
  })
}
