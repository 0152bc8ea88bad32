import type { TlsSessionHandle } from '../linux/native.ts'
import {
  clearProduced,
  consumedEnd,
  failureReason,
  freeSession,
  handshake,
  isResumed,
  openSession,
  peerCertificate,
  peerCommonName,
  pendingBytes,
  produce,
  read,
  received,
  sessionCipher,
  sessionVersion,
  setTicketScope,
  shutdown,
  TLS_1_0,
  TlsResult,
  write,
} from '../linux/openssl.ts'
import { cipherName } from './cipher-suites.ts'
import { readClientHello } from './client-hello.ts'
import { handshakeFailure } from './handshake-failure.ts'
import { type HandshakeFailure, TLS_VERSION_NAMES, type TlsVersionName } from './handshake-names.ts'
import { RecordCounter, recordBytes } from './record-counter.ts'
import type { TlsServer } from './server.ts'

const NO_BYTES = new Uint8Array(0)
/** One call begins no further record beyond this work: more than all the payload that there is room for. */
const CALL_WORK_MAX = 128 * 1024
/** What a client says first often comes with the end of the handshake; it is kept for a moment, in one of `spares`. */
const SHORT_BYTES = 512
const SPARES_MAX = 64
const spares: Uint8Array[] = []
/** A fatal alert "decode_error" (RFC 8446 §6), for who has sent no ClientHello that could be read. */
const DECODE_ERROR = Uint8Array.of(21, 3, 1, 0, 2, 2, 50)

/** What was agreed on, in OpenSSL's words, as they are in PROXY protocol headers and logs. */
export type TlsInfo = {
  readonly version: TlsVersionName
  readonly cipher: string
  /** The name that the client asked for, as it came but in lower case; '' when it asked for none. */
  readonly serverName: string
  /** The application protocol, one character per byte; '' when there is none. */
  readonly protocol: string
  readonly isResumed: boolean
  /** Of the other side's certificate; undefined when it has shown none. */
  readonly commonName: string | undefined
}

/** How far a handshake is: it needs more bytes, is complete, or has failed for good. */
export type HandshakeStep = 'wait' | 'open' | 'failed'

/**
 * One TLS session, without its socket.
 *
 * Whoever has the socket puts ciphertext into `received`, behind what {@link restore} puts there, calls {@link step} or
 * {@link receive}, and sends `[0, producedBytes())` of `produced` before another session of this thread is called. Nothing
 * is kept here between two calls but the ciphertext that was not used yet, which is rare.
 */
export class TlsSession {
  /** The other side has sent close_notify. */
  hasEnded = false
  /** The socket has ended and {@link hasEnded} was not true: something may be missing. Kept for whoever has the socket. */
  isTruncated = false
  /** The handshake is complete. */
  isOpen = false
  /** Our close_notify has been produced. */
  isFinished = false
  /** Why the handshake failed, or the session broke; undefined while it is whole. */
  failure: HandshakeFailure | undefined = undefined
  /**
   * There is more here than one call takes, or than there was room for: call {@link receive} again, or {@link step} while it
   * is not open, without waiting for more from the socket.
   */
  hasMore = false
  serverName = ''

  #handle: TlsSessionHandle | null = null
  readonly #isServer: boolean
  /** Kept until the ClientHello is complete. */
  #server: TlsServer | null = null
  /** Has the last word on the other side's certificate; null: OpenSSL's is enough. */
  #accepts: ((certificate: Uint8Array) => boolean) | null = null
  #protocol: Uint8Array = NO_BYTES
  #kept: Uint8Array = NO_BYTES
  #keptEnd = 0
  readonly #records = new RecordCounter()

  private constructor(isServer: boolean) {
    this.#isServer = isServer
  }

  /** A session for a client that has connected and said nothing. */
  static accepting(server: TlsServer): TlsSession {
    const session = new TlsSession(true)
    server.acquire()
    session.#server = server
    return session
  }

  /**
   * A session to a server, which asks for `serverName`; call {@link step} at once, to begin.
   *
   * @param accepts reports whether the server's certificate (DER) will do; null: it is not asked
   */
  static connecting(
    handle: TlsSessionHandle,
    serverName: string,
    accepts: ((certificate: Uint8Array) => boolean) | null,
  ): TlsSession {
    const session = new TlsSession(false)
    session.#handle = handle
    session.#accepts = accepts
    session.serverName = serverName
    return session
  }

  /** Puts ciphertext that was kept at the front of `received`; returns where what comes now has to begin. */
  restore(): number {
    const count = this.#keptEnd
    if (count === 0) return 0
    if (this.#kept.length === count) received.set(this.#kept)
    else for (let at = 0; at < count; at++) received[at] = this.#kept[at]
    return count
  }

  /** Goes on with the handshake by `[0, end)` of `received`, as far as one call may; see {@link hasMore}. */
  step(end: number): HandshakeStep {
    clearProduced()
    this.hasMore = false
    if (this.#handle === null) {
      const begun = this.#begin(end)
      if (begun !== 'open') return begun
    }
    if (this.#handle === null) return 'failed'
    const stepEnd = this.#records.takeFlight(end)
    const result = handshake(this.#handle, 0, stepEnd, this.#protocol)
    if (result === 1) {
      if (!this.#isPeerAccepted(this.#handle)) {
        // With TLS 1.3 the server has not heard the end of the handshake, and never will.
        clearProduced()
        return this.#fail('certificate-invalid')
      }
      this.isOpen = true
      this.#records.endFlights()
      this.#keep(consumedEnd(), end)
      this.hasMore = this.#keptEnd > 0
      return 'open'
    }
    this.hasMore = recordBytes(stepEnd, end) > 0
    this.#keep(stepEnd, end)
    if (result === TlsResult.wantsMore) return 'wait'
    return this.#fail(handshakeFailure(failureReason()))
  }

  /** Reads the ClientHello and opens the session that suits it. */
  #begin(end: number): HandshakeStep {
    const server = this.#server
    if (server === null) return 'failed'
    const hello = readClientHello(received, 0, end)
    if (hello.kind === 'incomplete') {
      this.#keep(0, end, hello.bytesNeeded)
      return 'wait'
    }
    if (hello.kind === 'refused') {
      if (hello.reason === 'client-hello-malformed') produce(DECODE_ERROR)
      return this.#fail(hello.reason)
    }
    this.serverName = hello.serverName
    this.#protocol = server.protocolFor(hello)
    const handle = openSession(server.contextFor(hello), true)
    const ticketScope = server.ticketScope(hello.serverName)
    this.#server = null
    server.release()
    if (handle === undefined) return this.#fail('out-of-resources')
    setTicketScope(handle, ticketScope)
    this.#handle = handle
    return 'open'
  }

  /**
   * Decrypts `[0, end)` of `received` into `[start, bytesEnd)` of `bytes`.
   *
   * Give it 16 KiB more room than there is ciphertext and it takes everything, unless there are very many records in it: a
   * record that came in part before may be complete now. Otherwise it keeps what is left, see {@link hasMore}.
   *
   * @returns the count; 0 with {@link hasEnded} or {@link failure} when there will be no more
   */
  receive(end: number, bytes: Uint8Array, start: number, bytesEnd: number): number {
    clearProduced()
    this.hasMore = false
    const records = this.#records
    records.work = 0
    if (this.#keptEnd > 0) this.#keep(0, 0)
    const handle = this.#handle
    if (handle === null || this.hasEnded) return 0
    let at = 0
    let filled = start
    let isPending = true
    while (filled < bytesEnd && records.work < CALL_WORK_MAX) {
      // Record by record: of those without payload, OpenSSL would go through all that there are in one call.
      const pieceEnd = records.pieceEnd(at, end)
      if (pieceEnd === at && !isPending) {
        this.#keep(at, end)
        return filled - start
      }
      const result = read(handle, at, pieceEnd, bytes, filled, bytesEnd)
      const readBytes = consumedEnd() - at
      const isRecordEnd = records.take(readBytes)
      at += readBytes
      if (result > 0) {
        filled += result
        isPending = pendingBytes() > 0
        records.countPayload(result)
      } else if (result !== TlsResult.wantsMore) {
        if (result === TlsResult.ended) this.hasEnded = true
        else this.failure = handshakeFailure(failureReason())
        return filled - start
      } else {
        isPending = false
        if (isRecordEnd && !records.countSilent()) {
          this.failure = 'protocol-error'
          return filled - start
        }
      }
    }
    if (at < end || isPending) {
      this.#keep(at, end)
      this.hasMore = true
    }
    return filled - start
  }

  /** Encrypts `[start, end)`, at most 64 KiB, into `produced`; reports whether it could. */
  send(bytes: Uint8Array, start: number, end: number): boolean {
    clearProduced()
    if (this.#handle === null || write(this.#handle, bytes, start, end) !== end - start) {
      this.failure ??= 'protocol-error'
      return false
    }
    this.#records.noteAnswer()
    return true
  }

  /** Produces close_notify: the other side will know that it has everything. */
  finish(): void {
    clearProduced()
    if (this.isFinished || this.#handle === null || this.failure !== undefined) return
    this.isFinished = true
    shutdown(this.#handle)
  }

  /** What the last {@link receive} has cost, in bytes of payload in full records that would have cost as much. */
  get work(): number {
    return this.#records.work
  }

  /** Part of a record has come, and its rest has not. */
  get isWithinRecord(): boolean {
    return this.#keptEnd > 0 || this.#records.isWithinRecord
  }

  /** The version that was agreed on, once the handshake is complete. */
  get version(): TlsVersionName {
    return TLS_VERSION_NAMES[this.#handle === null ? 0 : sessionVersion(this.#handle) - TLS_1_0]
  }

  /** What the {@link step} that has completed the handshake produced: tickets, for another time; nobody waits for them. */
  get endsWithTickets(): boolean {
    return this.#isServer && this.version === 'TLSv1.3'
  }

  /** Whether the session goes on from an earlier one. */
  get isResumed(): boolean {
    return this.#handle !== null && isResumed(this.#handle)
  }

  /** The other side's hello was read, or ours was made. */
  get hasBegun(): boolean {
    return this.#handle !== null
  }

  /** What was agreed on; call it once the handshake is complete. */
  info(): TlsInfo | undefined {
    const handle = this.#handle
    if (handle === null) return undefined
    return {
      version: this.version,
      cipher: cipherName(sessionCipher(handle)),
      serverName: this.serverName,
      protocol: Buffer.from(this.#protocol).toString('latin1'),
      isResumed: this.isResumed,
      commonName: peerCommonName(handle),
    }
  }

  /** Frees what it holds outside of JavaScript. */
  close(): void {
    if (this.#handle !== null) freeSession(this.#handle)
    this.#handle = null
    this.#server?.release()
    this.#server = null
    this.#accepts = null
    this.#keep(0, 0)
  }

  #isPeerAccepted(handle: TlsSessionHandle): boolean {
    if (this.#accepts === null) return true
    const certificate = peerCertificate(handle)
    return certificate !== undefined && this.#accepts(certificate)
  }

  #fail(reason: HandshakeFailure): HandshakeStep {
    this.failure = reason
    return 'failed'
  }

  /** Keeps `[start, end)` of `received` for the next call, which will need `bytesNeeded` in all. */
  #keep(start: number, end: number, bytesNeeded = 0): void {
    const count = end - start
    this.#keptEnd = count
    if (count === 0) return this.#keepIn(NO_BYTES)
    const size = Math.max(count, bytesNeeded)
    if (size > SHORT_BYTES && size === count) return this.#keepIn(received.slice(start, end))
    if (this.#kept.length < count) {
      this.#keepIn(size > SHORT_BYTES ? new Uint8Array(size) : (spares.pop() ?? new Uint8Array(SHORT_BYTES)))
    }
    for (let at = 0; at < count; at++) this.#kept[at] = received[start + at]
  }

  #keepIn(next: Uint8Array): void {
    if (this.#kept.length === SHORT_BYTES && spares.length < SPARES_MAX) spares.push(this.#kept)
    this.#kept = next
  }
}
