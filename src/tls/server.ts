import { hash } from 'node:crypto'
import { CERTIFICATES_MAX } from '../compute/ssl-features.ts'
import type { TlsContextHandle } from '../linux/native.ts'
import { freeContext, makeContext, OpensslError, useCertificate, useTickets } from '../linux/openssl.ts'
import { type Certificate, CertificateError } from './certificate.ts'
import { CertificateChoice } from './choose-certificate.ts'
import type { ClientHello } from './client-hello.ts'
import { contextTerms, unavailableSuites } from './context.ts'
import { readPolicy, type SslPolicy } from './policy.ts'
import type { TicketTable } from './ticket-keys.ts'

/** What the security level of a policy refuses of a chain, by OpenSSL's reason (openssl/sslerr.h). */
const WEAKNESSES: ReadonlyMap<number, string> = new Map([
  [397, 'the key of a certificate behind the first is too short for the SSL policy'],
  [398, 'a certificate of the chain is signed with a digest that is too weak for the SSL policy'],
  [399, 'its key is too short for the SSL policy'],
])

/** A client gets so many tickets with each full handshake of TLS 1.3. */
const TICKETS = 1
/** For how long a client may use a ticket: as long as its key is known in any case, and no longer than needed. */
const TICKET_LIFETIME_SEC = 2 * 3_600
const NO_PROTOCOL = new Uint8Array(0)

/** What a TLS frontend is made of; plain data, so that it can be given to a worker. */
export type TlsServerOptions = {
  /** What tickets are good for: sessions of one name and policy are not resumed under another. */
  readonly name: string
  /** One to {@link CERTIFICATES_MAX}; the first is the default. */
  readonly certificates: readonly Certificate[]
  readonly policy: SslPolicy
  /** Application protocols by preference (ALPN); empty: none is agreed on. */
  readonly protocols: readonly string[]
  readonly tickets: TicketTable
  /** From accept to the end of the handshake, absolute. */
  readonly handshakeTimeoutMs: number
}

/** A policy that cannot be, or certificates that are too few or too many; the message says what to change. */
export class TlsOptionsError extends Error {
  override readonly name = 'TlsOptionsError'
  /** What is wrong, one sentence without a full stop. */
  readonly rule: string
  readonly remedy: string

  constructor(frontend: string, rule: string, remedy: string) {
    super(`TLS of "${frontend}": ${rule}; ${remedy}`)
    this.rule = rule
    this.remedy = remedy
  }
}

/**
 * One TLS frontend on one worker: a context for each certificate, and the choice among them.
 *
 * Sessions outlive it. It is closed once it is retired and no handshake is about to begin in it.
 */
export class TlsServer {
  readonly handshakeTimeoutMs: number
  readonly #contexts: TlsContextHandle[] = []
  readonly #choice: CertificateChoice
  readonly #protocols: ReadonlyMap<string, Uint8Array>
  readonly #ticketScope: string
  #users = 0
  #isRetired = false

  /** @throws TlsOptionsError or CertificateError */
  constructor(options: TlsServerOptions) {
    const { name, certificates, policy, tickets } = options
    this.handshakeTimeoutMs = options.handshakeTimeoutMs
    const reading = readPolicy(policy, unavailableSuites())
    if (reading.kind === 'problem') throw new TlsOptionsError(name, reading.message, 'change the SSL policy')
    if (certificates.length === 0) throw new TlsOptionsError(name, 'there is no certificate', 'give at least one')
    if (certificates.length > CERTIFICATES_MAX) {
      const rule = `${certificates.length} certificates are more than ${CERTIFICATES_MAX}`
      throw new TlsOptionsError(name, rule, 'remove the others')
    }
    const terms = contextTerms(reading.terms)
    // Of the policy, too: a session of TLS 1.2 is resumed with the cipher of its ticket, whatever is offered now.
    const sessionIdContext = hash('sha256', JSON.stringify([name, terms]), 'buffer')
    this.#ticketScope = sessionIdContext.toString('hex')
    try {
      for (const certificate of certificates) {
        const context = makeContext(true, terms)
        this.#contexts.push(context)
        useGiven(context, certificate)
        useTickets(context, { table: tickets, sessionIdContext, count: TICKETS, lifetimeSec: TICKET_LIFETIME_SEC })
      }
    } catch (error) {
      this.#free()
      throw error
    }
    this.#choice = new CertificateChoice(certificates, reading.terms)
    this.#protocols = new Map(options.protocols.map((protocol) => [protocol, Buffer.from(protocol, 'latin1')]))
  }

  /** Keeps the contexts until {@link release}: a client has connected and has not said hello yet. */
  acquire(): void {
    this.#users += 1
  }

  /** Lets go of what {@link acquire} has kept. */
  release(): void {
    this.#users -= 1
    if (this.#isRetired && this.#users === 0) this.#free()
  }

  /** Another one has taken its place: frees the contexts as soon as nobody needs them. */
  retire(): void {
    this.#isRetired = true
    if (this.#users === 0) this.#free()
  }

  /** What tickets of a client that asks for this name are good for: no session goes on under another (RFC 6066 §3). */
  ticketScope(serverName: string): Uint8Array {
    return hash('sha256', `${this.#ticketScope} ${serverName}`, 'buffer')
  }

  /** The context for a client; it must not be kept. */
  contextFor(hello: ClientHello): TlsContextHandle {
    return this.#contexts[this.#choice.choose(hello)]
  }

  /** Our most preferred protocol that the client offers too; empty when there is none, and the handshake goes on. */
  protocolFor(hello: ClientHello): Uint8Array {
    for (const [name, bytes] of this.#protocols) {
      if (hello.protocols.includes(name)) return bytes
    }
    return NO_PROTOCOL
  }

  #free(): void {
    for (const context of this.#contexts.splice(0)) freeContext(context)
  }
}

function useGiven(context: TlsContextHandle, certificate: Certificate): void {
  try {
    useCertificate(context, certificate.chain, certificate.key)
  } catch (cause) {
    const weakness = cause instanceof OpensslError ? WEAKNESSES.get(cause.reason) : undefined
    const rule = weakness ?? 'OpenSSL does not accept it'
    throw new CertificateError(certificate.name, 'certificate', { rule, remedy: 'issue it anew', cause })
  }
}
