import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Certificate,
  checkServerIdentity,
  connect as connectTls,
  type DetailedPeerCertificate,
  type TLSSocket,
} from 'node:tls'

const CONNECT_MS = 10_000
/** For the other side to end as well; an app that has more to say is not waited for. */
const FINISH_MS = 1_000
const CHAIN_MAX = 10
/** What is known of a connection that was closed, or reset, with nothing from the app. */
export const CLOSED_EARLY =
  'The connection was closed before the app sent a byte; is a backend healthy, does its agent trust the edge, and is the app running?'
const NAME_IS_WRONG = 'ERR_TLS_CERT_ALTNAME_INVALID'

/** What is to be connected to, and how. */
export type VerifyTarget = {
  /** A name or an address, without brackets. */
  readonly host: string
  readonly port: number
  readonly tls: VerifyTls | undefined
}

export type VerifyTls = {
  /** PEM; undefined: the roots that node brings. */
  readonly rootsPem: string | undefined
  /** The name to ask for, and to find in the certificate; undefined: the host's. */
  readonly serverName: string | undefined
}

/** One certificate of a chain, leaf first. */
export type ChainLink = {
  readonly subject: string
  readonly issuer: string
  readonly names: readonly string[]
  /** RFC 3339; as OpenSSL shows it where it is no time. */
  readonly expiresAt: string
  /** SHA-256, in hexadecimal. */
  readonly fingerprint: string
}

/** What a TLS handshake came to. */
export type TlsFindings = {
  readonly version: string
  readonly cipher: string
  readonly handshakeMs: number
  readonly isVerified: boolean
  /** Why it is not verified. */
  readonly problem: string | undefined
  /** As far as the roots that are known lead. */
  readonly chain: readonly ChainLink[]
}

/** A connection; whoever opens it calls {@link finish} with `socket`. */
export type Connected = {
  readonly socket: Socket
  readonly connectMs: number
  readonly tls: TlsFindings | undefined
}

/**
 * Connects, and with TLS shakes hands whether or not the certificate can be verified.
 *
 * @throws Error that says what was tried and what to do
 */
export async function connect(target: VerifyTarget): Promise<Connected> {
  const { host, port, tls } = target
  const where = `"${isIP(host) === 6 ? `[${host}]` : host}:${port}"`
  const startedMs = performance.now()
  const socket = connectTcp({ host, port, noDelay: true })
  try {
    await settled(socket, 'connect', (reason) => `Connecting to ${where}: ${reason}; is it the address of a frontend?`)
    const connectMs = performance.now() - startedMs
    if (tls === undefined) return { socket, connectMs, tls: undefined }
    const name = tls.serverName ?? (isIP(host) === 0 ? host : undefined)
    const secureStartedMs = performance.now()
    const secure = connectTls({
      socket,
      rejectUnauthorized: false,
      ...(tls.rootsPem === undefined ? {} : { ca: tls.rootsPem }),
      ...(name === undefined ? { host } : { servername: name }),
    })
    secure.on('error', () => socket.destroy())
    await settled(
      secure,
      'secureConnect',
      (reason) => `The TLS handshake with ${where}: ${reason}; does the frontend speak TLS, and these versions?`,
    )
    return { socket: secure, connectMs, tls: findings(secure, name ?? host, performance.now() - secureStartedMs) }
  } catch (error) {
    socket.destroy()
    throw error
  }
}

/** Ends a connection as its protocol has it, with TLS by close_notify, and waits a little for the other side's end. */
export async function finish(socket: Socket): Promise<void> {
  // What still comes interests nobody, but the end is behind it.
  socket.removeAllListeners('data').resume()
  const closed = new Promise<void>((resolve) => {
    if (socket.closed) resolve()
    else socket.once('close', () => resolve())
  })
  socket.end()
  await Promise.race([closed, sleep(FINISH_MS, undefined, { ref: false })])
  socket.destroy()
}

function settled(socket: Socket, event: string, describe: (reason: string) => string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string, code?: string): void => {
      clearTimeout(timer)
      reject(new Error(event === 'connect' && code === 'ECONNRESET' ? CLOSED_EARLY : describe(reason)))
    }
    const timer = setTimeout(() => fail(`no answer within ${CONNECT_MS / 1_000} s`), CONNECT_MS)
    socket.once('error', (error: NodeJS.ErrnoException & { reason?: string }) =>
      fail(error.reason ?? error.message, error.code),
    )
    socket.once('close', () => fail('it was closed'))
    socket.once(event, () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

function findings(socket: TLSSocket, name: string, handshakeMs: number): TlsFindings {
  // A code, such as SELF_SIGNED_CERT_IN_CHAIN; where only the name is wrong there is more to say.
  const code = String(socket.authorizationError)
  const leaf = socket.getPeerCertificate(true)
  const problem = code === NAME_IS_WRONG ? checkServerIdentity(name, leaf)?.message : undefined
  return {
    version: String(socket.getProtocol()),
    cipher: socket.getCipher().standardName,
    handshakeMs,
    isVerified: socket.authorized,
    problem: socket.authorized ? undefined : (problem ?? code),
    chain: chainOf(leaf),
  }
}

function chainOf(leaf: DetailedPeerCertificate): ChainLink[] {
  const links: ChainLink[] = []
  for (let next: DetailedPeerCertificate | undefined = leaf; next?.raw !== undefined && links.length < CHAIN_MAX; ) {
    links.push({
      subject: shown(next.subject),
      issuer: shown(next.issuer),
      names: (next.subjectaltname ?? '').split(', ').filter((name) => name !== ''),
      expiresAt: timeOf(next.valid_to),
      fingerprint: next.fingerprint256.replaceAll(':', '').toLowerCase(),
    })
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate
  }
  return links
}

function timeOf(text: string): string {
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? text : new Date(ms).toISOString()
}

function shown(name: Certificate): string {
  return Object.entries(name)
    .map(([kind, value]) => `${kind}=${String(value)}`)
    .join(', ')
}
