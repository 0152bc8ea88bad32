import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

/**
 * The kernel calls that the addon offers, each exactly one system call, or a fixed sequence of one where it says so.
 *
 * Every function returns the call's value, or `-errno`; none throws, none decides anything. A range is
 * `bytes` from `start` (included) to `end` (excluded); a range outside of `bytes` is answered with -EFAULT.
 */
export type Native = {
  /** socket(2) */
  socket(domain: number, type: number, protocol: number): number
  /** bind(2) to the sockaddr in the range */
  bind(fd: number, sockaddr: Uint8Array, start: number, end: number): number
  /** listen(2) */
  listen(fd: number, backlog: number): number
  /** accept4(2): writes the peer's address into `sockaddr`, returns the descriptor */
  accept(fd: number, sockaddr: Uint8Array, flags: number): number
  /** connect(2) to the sockaddr in the range */
  connect(fd: number, sockaddr: Uint8Array, start: number, end: number): number
  /** getsockname(2) into `sockaddr` */
  getsockname(fd: number, sockaddr: Uint8Array): number
  /** setsockopt(2) with an int */
  setsockoptInt(fd: number, level: number, name: number, value: number): number
  /** setsockopt(2) with raw bytes */
  setsockoptBytes(fd: number, level: number, name: number, value: Uint8Array): number
  /** getsockopt(2) of an int option that is never negative */
  getsockoptInt(fd: number, level: number, name: number): number
  /**
   * getsockopt(2) of TCP_INFO (tcp(7)) into five integers: the smoothed round trip in microseconds, segments in flight,
   * milliseconds since bytes were last sent and since something was last acknowledged, and how many bytes have been
   * acknowledged, the lower 32 bits
   */
  tcpInfo(fd: number, out: Int32Array): number
  /** shutdown(2) */
  shutdown(fd: number, how: number): number
  /** recv(2) */
  recv(fd: number, bytes: Uint8Array, start: number, end: number, flags: number): number
  /** send(2) */
  send(fd: number, bytes: Uint8Array, start: number, end: number, flags: number): number
  /** read(2) */
  read(fd: number, bytes: Uint8Array, start: number, end: number): number
  /** write(2) */
  write(fd: number, bytes: Uint8Array, start: number, end: number): number
  /** close(2) */
  close(fd: number): number
  /** fcntl(2) F_DUPFD_CLOEXEC */
  duplicate(fd: number): number
  /** fcntl(2) F_SETFL with O_NONBLOCK */
  setNonBlocking(fd: number): number
  /** ioctl(2) SIOCOUTQ: bytes in the send queue that the peer has not acknowledged (tcp(7)) */
  unsentBytes(fd: number): number
  /** recvmmsg(2) into the slots [from, to) of a `DatagramBatch`; returns how many datagrams came */
  recvmmsg(fd: number, bytes: Uint8Array, fields: Int32Array, from: number, to: number): number
  /**
   * recvmmsg(2) of up to `each` datagrams from every socket of `sources`, one after the other into the slots of a
   * `DatagramBatch`. A source is two integers: the descriptor, and what recvmmsg said. Returns for how many there was room
   */
  recvEach(sources: Int32Array, count: number, bytes: Uint8Array, fields: Int32Array, each: number): number
  /**
   * sendmmsg(2) of the slots of a `DatagramBatch` that `order` names, each by its own socket; the complement of a slot is a
   * further datagram of the message before (udp(7) UDP_SEGMENT). Each is told what was said of it
   */
  sendEach(bytes: Uint8Array, fields: Int32Array, order: Int32Array, count: number): number
  /** epoll_create1(2) */
  epollCreate(): number
  /** epoll_ctl(2); the 64 bits of user data are given as two 32-bit halves */
  epollCtl(epollFd: number, operation: number, fd: number, events: number, dataLow: number, dataHigh: number): number
  /** epoll_wait(2): fills `out` with three ints per event (events, dataLow, dataHigh), returns the count */
  epollWait(epollFd: number, out: Int32Array, timeoutMs: number): number
  /** eventfd(2), non-blocking */
  eventfd(): number
  /** pipe2(2), non-blocking: writes the read end and the write end into `out` */
  pipe(out: Int32Array): number
  /** fcntl(2) F_SETPIPE_SZ: returns the capacity in bytes that the kernel gave */
  setPipeSize(fd: number, bytes: number): number
  /** splice(2) of up to `length` bytes */
  splice(from: number, to: number, length: number, flags: number): number
  /** setns(2): moves the calling thread */
  setns(fd: number, kind: number): number
} & NativeTls

/** An SSL_CTX; freed by a call, never by the garbage collector. */
declare const contextBrand: unique symbol
export type TlsContextHandle = { readonly [contextBrand]: never }
/** An SSL; freed by a call, never by the garbage collector. */
declare const sessionBrand: unique symbol
export type TlsSessionHandle = { readonly [sessionBrand]: never }

/**
 * The calls of OpenSSL that the addon offers; `openssl.ts` says what they mean.
 *
 * Those of contexts return 0, or -1 when `tlsError` says why. Those of sessions return what OpenSSL returns when that is
 * positive, and the negated SSL_get_error(3) otherwise; what else there is to say is in the results given to `tlsBind`.
 */
type NativeTls = {
  tlsContextNew(isServer: number): TlsContextHandle | null
  tlsContextFree(context: TlsContextHandle): number
  tlsContextControl(context: TlsContextHandle, command: number, value: number): number
  tlsContextControlText(context: TlsContextHandle, command: number, text: string): number
  tlsContextSetOptions(context: TlsContextHandle, options: number): number
  tlsContextSetSecurityLevel(context: TlsContextHandle, level: number): number
  tlsContextSetCiphers(context: TlsContextHandle, list: string): number
  tlsContextSetCipherSuites(context: TlsContextHandle, list: string): number
  tlsContextCiphers(context: TlsContextHandle, out: Int32Array): number
  tlsContextUseCertificate(context: TlsContextHandle, der: Uint8Array): number
  tlsContextAddChain(context: TlsContextHandle, der: Uint8Array): number
  tlsContextUseKey(context: TlsContextHandle, der: Uint8Array): number
  tlsContextTrust(context: TlsContextHandle, der: Uint8Array): number
  tlsContextSetVerify(context: TlsContextHandle, mode: number): number
  tlsContextSetTickets(
    context: TlsContextHandle,
    table: Uint8Array,
    sessionIdContext: Uint8Array,
    count: number,
    lifetimeSec: number,
  ): number
  tlsBind(received: Uint8Array, produced: Uint8Array, results: Int32Array): number
  tlsError(): number
  tlsOpen(context: TlsContextHandle, isServer: number): TlsSessionHandle | null
  tlsSetTicketScope(session: TlsSessionHandle, scope: Uint8Array): number
  tlsSetServerName(session: TlsSessionHandle, name: string, isVerified: number): number
  tlsHandshake(session: TlsSessionHandle, start: number, end: number, protocol: Uint8Array): number
  tlsRead(
    session: TlsSessionHandle,
    start: number,
    end: number,
    bytes: Uint8Array,
    bytesStart: number,
    bytesEnd: number,
  ): number
  tlsWrite(session: TlsSessionHandle, bytes: Uint8Array, start: number, end: number): number
  tlsShutdown(session: TlsSessionHandle): number
  tlsVersion(session: TlsSessionHandle): number
  tlsCipher(session: TlsSessionHandle): number
  tlsIsResumed(session: TlsSessionHandle): number
  tlsPeerCommonName(session: TlsSessionHandle, out: Uint8Array): number
  tlsPeerCertificate(session: TlsSessionHandle, out: Uint8Array): number
  tlsFree(session: TlsSessionHandle): number
}

const ADDON_PATH = fileURLToPath(new URL('../../../build/truepeer.node', import.meta.url))

function loadAddon(): Native {
  try {
    return createRequire(import.meta.url)(ADDON_PATH) as Native
  } catch (cause) {
    throw new Error(`The addon "${ADDON_PATH}" cannot be loaded; run "npm ci && npm run build"`, { cause })
  }
}

/** The addon, loaded once per thread. Outside `src/linux/` nothing uses it directly. */
export const native: Native = loadAddon()
