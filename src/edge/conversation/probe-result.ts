import { escapeControls, shortened } from '../../text/plain-text.ts'

/** What one probe has shown. `error` is for an operator to read: a few words, without control characters. */
export type ProbeResult =
  | { readonly kind: 'success' }
  | { readonly kind: 'failure'; readonly error: string; readonly isTimeout: boolean }
  /** This host or process was at fault, which says nothing about the backend. */
  | { readonly kind: 'discarded'; readonly error: string }

export const SUCCESS: ProbeResult = { kind: 'success' }

const QUOTED_LENGTH_MAX = 40
const MESSAGE_LENGTH_MAX = 120

const NO_PORT_TEXT = 'all ephemeral ports of this host are in use'
/** There is no port to connect from. */
export const NO_PORT: ProbeResult = { kind: 'discarded', error: NO_PORT_TEXT }

/** What speaks of this host and not of the backend: descriptors, memory, ephemeral ports. */
const OWN_FAULTS: Readonly<Record<string, string>> = {
  EMFILE: 'this process has too many files open',
  ENFILE: 'this host has too many files open',
  ENOBUFS: 'this host has no memory for sockets',
  ENOMEM: 'this host has no memory for sockets',
  // Of bind(2), when it is asked for any port.
  EADDRINUSE: NO_PORT_TEXT,
}

const ERROR_TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  ECONNABORTED: 'connection aborted',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  EADDRNOTAVAIL: 'no address of this host can reach it',
  EHOSTDOWN: 'host is down',
  ETIMEDOUT: 'no answer from the host',
  EACCES: 'this host does not permit the connection',
  EPERM: 'a firewall of this host does not permit the connection',
}

/** The backend did not do what it should. */
export function failure(error: string): ProbeResult {
  return { kind: 'failure', error, isTimeout: false }
}

/** What a system call's error on the connection of a probe means. */
export function resultOfError(error: Error): ProbeResult {
  const fault = OWN_FAULTS[codeOf(error)]
  return fault === undefined ? failure(errorText(error)) : { kind: 'discarded', error: fault }
}

/** An error as an operator reads it: `connection refused`. */
export function errorText(error: Error): string {
  return ERROR_TEXTS[codeOf(error)] ?? plainText(error.message)
}

/** The code of an error of node or of the kernel; empty when it has none. */
export function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** What a backend has sent, in double quotes, on one line, and cut where it is long. */
export function quote(received: Uint8Array | string): string {
  const text = typeof received === 'string' ? received : Buffer.from(received).toString('latin1')
  return escapeControls(JSON.stringify(shortened(text, QUOTED_LENGTH_MAX)))
}

/** A message that may hold what a backend has sent, on one line and not too long. */
export function plainText(message: string): string {
  return escapeControls(message.slice(0, MESSAGE_LENGTH_MAX).replaceAll('\n', ' ').trim())
}
