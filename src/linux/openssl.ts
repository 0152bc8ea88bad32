// The door to the OpenSSL inside node. One set of buffers for each thread: no two sessions are inside OpenSSL at once.

import { checked } from './errno.ts'
import { native, type TlsContextHandle, type TlsSessionHandle } from './native.ts'

/** Room for one recv(2) of records. */
const RECEIVED_BYTES = 64 * 1024
/** The largest piece that is encrypted at once (64 KiB: 4 records), or the largest flight of a handshake. */
const PRODUCED_BYTES = 80 * 1024

/** More than any certificate in use; a few kilobytes are usual. */
const CERTIFICATE_BYTES_MAX = 64 * 1024

/** Ciphertext from the other side: filled by recv(2), read by OpenSSL. */
export const received = new Uint8Array(RECEIVED_BYTES)
/** Ciphertext for the other side: `[0, producedBytes())` is to be sent. */
export const produced = new Uint8Array(PRODUCED_BYTES)

/** The most that one record holds once it is decrypted (RFC 8446 §5.1). */
export const RECORD_PAYLOAD_MAX = 16_384

const Result = { consumed: 0, produced: 1, reason: 2, pending: 3 } as const
const results = new Int32Array(4)
checked('Binding the buffers of TLS', native.tlsBind(received, produced, results))

/** What a call on a session came to, when it is not positive: the negated SSL_get_error(3). */
export const TlsResult = {
  /** A violation, or an alert from the other side: {@link failureReason} says which. The session is over. */
  failed: -1,
  /** More ciphertext is needed. */
  wantsMore: -2,
  /** The other side has sent close_notify: there will be no more. */
  ended: -6,
} as const

/** Protocol versions as TLS numbers them; those between are 0x0302 and 0x0303. */
export const TLS_1_0 = 0x0301
export const TLS_1_3 = 0x0304

// openssl/ssl.h
const SSL_CTRL_MODE = 33
const SSL_CTRL_SET_SESS_CACHE_MODE = 44
const SSL_CTRL_SET_GROUPS_LIST = 92
const SSL_CTRL_SET_MIN_PROTO_VERSION = 123
const SSL_CTRL_SET_MAX_PROTO_VERSION = 124
const SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER = 0x2
// Without it, OpenSSL looks for issuers at each handshake of a certificate that came without a chain.
const SSL_MODE_NO_AUTO_CHAIN = 0x8
const SSL_MODE_RELEASE_BUFFERS = 0x10
const MODES = SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS
const SSL_SESS_CACHE_OFF = 0
const SSL_OP_NO_COMPRESSION = 1 << 17
const SSL_OP_PRIORITIZE_CHACHA = 1 << 21
const SSL_OP_CIPHER_SERVER_PREFERENCE = 1 << 22
const SSL_OP_NO_RENEGOTIATION = 1 << 30
const SSL_VERIFY_NONE = 0
const SSL_VERIFY_PEER = 1
const CIPHERS_MAX = 256

/** OpenSSL refused something that a context was given: `reason` is its number (ERR_GET_REASON). */
export class OpensslError extends Error {
  readonly reason: number
  constructor(what: string, error: number) {
    super(`${what}: OpenSSL error ${error.toString(16)}`)
    this.name = 'OpensslError'
    this.reason = error & 0x7fffff
  }
}

function accepted(what: string, result: number): void {
  if (result < 0) throw new OpensslError(what, native.tlsError())
}

/** What both kinds of context get. Cipher names are OpenSSL's, colons between them. */
export type ContextTerms = {
  readonly minVersion: number
  readonly ciphers: string
  readonly cipherSuites: string
  readonly groups: string
  readonly securityLevel: number
}

/**
 * Makes a context, without a certificate, that offers exactly `terms`.
 *
 * Its sessions keep no buffers while they are idle, take no renegotiation and no early data, and are resumed by tickets
 * only. Free it with {@link freeContext}.
 *
 * @throws OpensslError
 */
export function makeContext(isServer: boolean, terms: ContextTerms): TlsContextHandle {
  const context = native.tlsContextNew(isServer ? 1 : 0)
  if (context === null) throw new OpensslError('Making a TLS context', native.tlsError())
  try {
    native.tlsContextControl(context, SSL_CTRL_MODE, MODES)
    native.tlsContextControl(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF)
    native.tlsContextControl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, terms.minVersion)
    native.tlsContextControl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, TLS_1_3)
    native.tlsContextSetOptions(
      context,
      SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA,
    )
    native.tlsContextSetSecurityLevel(context, terms.securityLevel)
    if (terms.ciphers !== '') accepted('Setting the ciphers', native.tlsContextSetCiphers(context, terms.ciphers))
    accepted('Setting the cipher suites of TLS 1.3', native.tlsContextSetCipherSuites(context, terms.cipherSuites))
    accepted('Setting the groups', native.tlsContextControlText(context, SSL_CTRL_SET_GROUPS_LIST, terms.groups))
    return context
  } catch (error) {
    native.tlsContextFree(context)
    throw error
  }
}

/** Lets go of a context; sessions that were made of it go on. */
export function freeContext(context: TlsContextHandle): void {
  native.tlsContextFree(context)
}

/** The numbers (IANA) of the cipher suites that a context offers. */
export function contextCiphers(context: TlsContextHandle): number[] {
  const out = new Int32Array(CIPHERS_MAX)
  return [...out.subarray(0, native.tlsContextCiphers(context, out))]
}

/** Gives a context its certificate, leaf first, and its key, all in DER. @throws OpensslError */
export function useCertificate(context: TlsContextHandle, chain: readonly Uint8Array[], key: Uint8Array): void {
  const [leaf, ...intermediates] = chain
  accepted('Using the certificate', native.tlsContextUseCertificate(context, leaf))
  for (const der of intermediates) accepted('Adding to the chain', native.tlsContextAddChain(context, der))
  accepted('Using the private key', native.tlsContextUseKey(context, key))
}

/** How sessions of a context are resumed. */
export type TicketTerms = {
  /** Keys, in memory that all workers share; see `src/tls/ticket-keys.ts`. Must live as long as the sessions. */
  readonly table: Uint8Array
  /** At most 32 bytes: tickets of another one are not taken. */
  readonly sessionIdContext: Uint8Array
  /** Tickets for each full TLS 1.3 handshake. */
  readonly count: number
  readonly lifetimeSec: number
}

/** Has the sessions of a context give tickets and take them. @throws OpensslError */
export function useTickets(context: TlsContextHandle, terms: TicketTerms): void {
  const { table, sessionIdContext, count, lifetimeSec } = terms
  accepted('Using tickets', native.tlsContextSetTickets(context, table, sessionIdContext, count, lifetimeSec))
}

/** Has a client's context accept only certificates that come from `roots` (DER); none: it accepts any. @throws OpensslError */
export function verifyBy(context: TlsContextHandle, roots: readonly Uint8Array[]): void {
  for (const root of roots) accepted('Trusting a root', native.tlsContextTrust(context, root))
  native.tlsContextSetVerify(context, roots.length > 0 ? SSL_VERIFY_PEER : SSL_VERIFY_NONE)
}

/** Opens a session; undefined when memory ran out. Free it with {@link freeSession}. */
export function openSession(context: TlsContextHandle, isServer: boolean): TlsSessionHandle | undefined {
  return native.tlsOpen(context, isServer ? 1 : 0) ?? undefined
}

/** Has tickets of this session taken only by sessions with the same `scope`, at most 32 bytes, in place of the context's. */
export function setTicketScope(session: TlsSessionHandle, scope: Uint8Array): void {
  accepted('Setting the scope of tickets', native.tlsSetTicketScope(session, scope))
}

/** Has a client ask for `name`; with `isVerified`, the server's certificate must name it. */
export function setServerName(session: TlsSessionHandle, name: string, isVerified: boolean): void {
  accepted('Setting the server name', native.tlsSetServerName(session, name, isVerified ? 1 : 0))
}

/** Forgets what was produced before; each of the calls below adds to it. */
export function clearProduced(): void {
  results[Result.produced] = 0
}

/** Adds to {@link produced} what no session has made. */
export function produce(bytes: Uint8Array): void {
  produced.set(bytes, results[Result.produced])
  results[Result.produced] += bytes.length
}

/** How much of {@link produced} is to be sent. */
export function producedBytes(): number {
  return results[Result.produced]
}

/** Up to where the last call has read {@link received}. */
export function consumedEnd(): number {
  return results[Result.consumed]
}

/** Why the last call failed (ERR_GET_REASON); 0 when OpenSSL does not say. */
export function failureReason(): number {
  return results[Result.reason]
}

/** Bytes of a record that the last {@link read} has decrypted and had no room for. */
export function pendingBytes(): number {
  return results[Result.pending]
}

/** Goes on with the handshake by `[start, end)` of {@link received}; 1 when it is complete, or a {@link TlsResult}. */
export function handshake(session: TlsSessionHandle, start: number, end: number, protocol: Uint8Array): number {
  return native.tlsHandshake(session, start, end, protocol)
}

/** Decrypts at most one record of `[start, end)` of {@link received}; the count, or a {@link TlsResult}. */
export function read(
  session: TlsSessionHandle,
  start: number,
  end: number,
  bytes: Uint8Array,
  bytesStart: number,
  bytesEnd: number,
): number {
  return native.tlsRead(session, start, end, bytes, bytesStart, bytesEnd)
}

/** Encrypts all of `[start, end)`, at most 64 KiB, into {@link produced}; the count, or a {@link TlsResult}. */
export function write(session: TlsSessionHandle, bytes: Uint8Array, start: number, end: number): number {
  return native.tlsWrite(session, bytes, start, end)
}

/** Puts close_notify into {@link produced}; 1, or a {@link TlsResult}. */
export function shutdown(session: TlsSessionHandle): number {
  return native.tlsShutdown(session)
}

/** The version that was agreed on. */
export function sessionVersion(session: TlsSessionHandle): number {
  return native.tlsVersion(session)
}

/** The number (IANA) of the cipher suite that was agreed on; 0 before. */
export function sessionCipher(session: TlsSessionHandle): number {
  return native.tlsCipher(session)
}

/** Whether the session goes on from an earlier one. */
export function isResumed(session: TlsSessionHandle): boolean {
  return native.tlsIsResumed(session) === 1
}

const commonName = Buffer.alloc(257)

/** The common name in the other side's certificate; undefined when there is no certificate, or no name in it. */
export function peerCommonName(session: TlsSessionHandle): string | undefined {
  const length = native.tlsPeerCommonName(session, commonName)
  return length < 0 ? undefined : commonName.toString('utf8', 0, length)
}

const certificate = new Uint8Array(CERTIFICATE_BYTES_MAX)

/**
 * The other side's certificate in DER, which the next call for another session overwrites; undefined when there is none,
 * or one of more than 64 KiB.
 */
export function peerCertificate(session: TlsSessionHandle): Uint8Array | undefined {
  const length = native.tlsPeerCertificate(session, certificate)
  return length < 0 ? undefined : certificate.subarray(0, length)
}

/** Ends a session. */
export function freeSession(session: TlsSessionHandle): void {
  native.tlsFree(session)
}
