// Reads the first message of a TLS client (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2) before OpenSSL does, so that the
// certificate is chosen and garbage refused without a session. What is not needed for that is left to OpenSSL.

const MALFORMED: NotYet = { kind: 'refused', reason: 'client-hello-malformed' }

/** What a client offers. Lists are in its own order. */
export type ClientHello = {
  readonly kind: 'hello'
  /** The host name asked for (RFC 6066 §3), in lower case, without a dot at its end; '' when there is none. */
  readonly serverName: string
  /** Application protocols (RFC 7301), one character per byte. */
  readonly protocols: readonly string[]
  /** Versions that it can do: what it lists, or everything up to the version in the message. */
  readonly versions: readonly number[]
  readonly cipherSuites: readonly number[]
  /** Empty when it does not say. */
  readonly signatureSchemes: readonly number[]
  /** Empty when it does not say. */
  readonly groups: readonly number[]
  /** It has sent data before the handshake is complete (RFC 8446 §4.2.10); OpenSSL skips them. */
  readonly hasEarlyData: boolean
}

/** Why bytes cannot become a ClientHello. */
export const HELLO_FAULTS = ['not-tls', 'http-request', 'client-hello-malformed', 'client-hello-too-large'] as const
export type HelloFault = (typeof HELLO_FAULTS)[number]

export type ClientHelloReading =
  | ClientHello
  /** At least `bytesNeeded` bytes in all are needed before another look can say more. */
  | { readonly kind: 'incomplete'; readonly bytesNeeded: number }
  | { readonly kind: 'refused'; readonly reason: HelloFault }

/** The largest message that is taken, without record headers; those of real clients are below 4 KiB. */
export const CLIENT_HELLO_BYTES_MAX = 16 * 1024

/** Type, version and length in front of each record (RFC 8446 §5.1). */
export const RECORD_HEADER_BYTES = 5
const RECORD_PAYLOAD_MAX = 16_384
const MESSAGE_HEADER_BYTES = 4
const RECORD_HANDSHAKE = 22
const MESSAGE_CLIENT_HELLO = 1
/** Records that one message may be cut into. */
const RECORDS_MAX = 64

const EXTENSION = {
  serverName: 0,
  supportedGroups: 10,
  signatureAlgorithms: 13,
  protocols: 16,
  earlyData: 42,
  supportedVersions: 43,
} as const

const FIRST_VERSION = 0x0301
const LAST_LEGACY_VERSION = 0x0303
const HTTP_METHODS = ['GET ', 'HEAD', 'POST', 'PUT ', 'DELE', 'OPTI', 'CONN', 'PATC', 'TRAC']

/** Reads the ClientHello at the front of `[start, end)`; what follows it in the range is not looked at. */
export function readClientHello(bytes: Uint8Array, start: number, end: number): ClientHelloReading {
  const found = findMessage(bytes, start, end)
  if (found.kind !== 'message') return found
  const hello = new Reader(found.bytes, found.start, found.end)
  const read = readMessage(hello)
  return read === undefined ? MALFORMED : read
}

type Message = {
  readonly kind: 'message'
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

type NotYet = Exclude<ClientHelloReading, ClientHello>

/** The body of the message, in place where it is in one record, put together where it is in several. */
function findMessage(bytes: Uint8Array, start: number, end: number): Message | NotYet {
  const fault = faultOfFront(bytes, start, end)
  if (fault !== undefined) return { kind: 'refused', reason: fault }
  let at = start
  let gathered = 0
  let messageBytes = -1
  const parts: Uint8Array[] = []
  for (let records = 0; records < RECORDS_MAX; records++) {
    if (end - at < RECORD_HEADER_BYTES) return incomplete(at + RECORD_HEADER_BYTES - start)
    const length = (bytes[at + 3] << 8) | bytes[at + 4]
    const isFragment = bytes[at] === RECORD_HANDSHAKE && bytes[at + 1] === 3
    if (!isFragment || length === 0 || length > RECORD_PAYLOAD_MAX) return MALFORMED
    const from = at + RECORD_HEADER_BYTES
    if (records === 0 && length >= MESSAGE_HEADER_BYTES) {
      if (end < from + MESSAGE_HEADER_BYTES) return incomplete(from + MESSAGE_HEADER_BYTES - start)
      messageBytes = messageLength(bytes, from)
      if (messageBytes > CLIENT_HELLO_BYTES_MAX) return { kind: 'refused', reason: 'client-hello-too-large' }
      const messageEnd = from + MESSAGE_HEADER_BYTES + messageBytes
      if (length >= MESSAGE_HEADER_BYTES + messageBytes) {
        if (end < messageEnd) return incomplete(messageEnd - start)
        return { kind: 'message', bytes, start: from + MESSAGE_HEADER_BYTES, end: messageEnd }
      }
    }
    if (end < from + length) return incomplete(from + length - start)
    parts.push(bytes.subarray(from, from + length))
    gathered += length
    at = from + length
    if (gathered >= MESSAGE_HEADER_BYTES) {
      const whole = Buffer.concat(parts)
      if (whole[0] !== MESSAGE_CLIENT_HELLO) return MALFORMED
      messageBytes = messageLength(whole, 0)
      if (messageBytes > CLIENT_HELLO_BYTES_MAX) return { kind: 'refused', reason: 'client-hello-too-large' }
      if (gathered >= MESSAGE_HEADER_BYTES + messageBytes) {
        return { kind: 'message', bytes: whole, start: MESSAGE_HEADER_BYTES, end: MESSAGE_HEADER_BYTES + messageBytes }
      }
    }
  }
  return MALFORMED
}

function incomplete(bytesNeeded: number): NotYet {
  return { kind: 'incomplete', bytesNeeded }
}

function messageLength(bytes: Uint8Array, at: number): number {
  return (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
}

/** What is wrong with the first bytes, as far as they are there. */
function faultOfFront(bytes: Uint8Array, start: number, end: number): HelloFault | undefined {
  if (end <= start) return undefined
  if (bytes[start] !== RECORD_HANDSHAKE) {
    const front = String.fromCharCode(...bytes.subarray(start, Math.min(end, start + 4)))
    return HTTP_METHODS.includes(front) ? 'http-request' : faultOfOther(front)
  }
  if (end > start + 1 && bytes[start + 1] !== 3) return 'not-tls'
  const typeAt = start + RECORD_HEADER_BYTES
  if (end > typeAt && bytes[typeAt] !== MESSAGE_CLIENT_HELLO) return 'client-hello-malformed'
  return undefined
}

function faultOfOther(front: string): HelloFault | undefined {
  // The front of a method: wait for the rest, so that the answer does not depend on how the bytes were cut.
  return front.length < 4 && HTTP_METHODS.some((method) => method.startsWith(front)) ? undefined : 'not-tls'
}

/** Takes numbers and ranges from the front; once something was too short, it stays failed. */
class Reader {
  readonly bytes: Uint8Array
  at: number
  readonly end: number
  hasFailed = false

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  get isEmpty(): boolean {
    return this.at === this.end
  }

  skip(count: number): void {
    if (count > this.end - this.at) this.hasFailed = true
    else this.at += count
  }

  number(bytes: 1 | 2): number {
    const from = this.at
    this.skip(bytes)
    if (this.hasFailed) return 0
    return bytes === 1 ? this.bytes[from] : (this.bytes[from] << 8) | this.bytes[from + 1]
  }

  /** A range with its length in front of it. */
  range(lengthBytes: 1 | 2): Reader {
    const length = this.number(lengthBytes)
    const from = this.at
    this.skip(length)
    return new Reader(this.bytes, from, this.hasFailed ? from : from + length)
  }

  /** All that is left, as numbers of two bytes. */
  pairs(): number[] {
    const numbers: number[] = []
    if ((this.end - this.at) % 2 !== 0) this.hasFailed = true
    while (this.end - this.at >= 2) numbers.push(this.number(2))
    return numbers
  }

  /** All that is left, one character per byte. */
  text(): string {
    const { bytes, at, end } = this
    this.at = end
    return Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString('latin1')
  }
}

type Draft = { -readonly [Key in keyof ClientHello]: ClientHello[Key] }

function readMessage(hello: Reader): ClientHello | undefined {
  const legacyVersion = hello.number(2)
  hello.skip(32)
  const sessionId = hello.range(1)
  const suites = hello.range(2)
  const compressions = hello.range(1)
  const cipherSuites = suites.pairs()
  if (hello.hasFailed || suites.hasFailed) return undefined
  if (sessionId.end - sessionId.at > 32 || cipherSuites.length === 0 || compressions.isEmpty) return undefined
  const draft: Draft = {
    kind: 'hello',
    serverName: '',
    protocols: [],
    versions: [],
    cipherSuites,
    signatureSchemes: [],
    groups: [],
    hasEarlyData: false,
  }
  if (!hello.isEmpty) {
    const extensions = hello.range(2)
    if (hello.hasFailed || !hello.isEmpty) return undefined
    if (!readExtensions(extensions, draft)) return undefined
  }
  if (draft.versions.length === 0) draft.versions = versionsUpTo(legacyVersion)
  return draft
}

function readExtensions(extensions: Reader, draft: Draft): boolean {
  const seen = new Set<number>()
  while (!extensions.isEmpty) {
    const type = extensions.number(2)
    const body = extensions.range(2)
    if (extensions.hasFailed || seen.has(type)) return false
    seen.add(type)
    if (!readExtension(type, body, draft)) return false
  }
  return true
}

function readExtension(type: number, body: Reader, draft: Draft): boolean {
  switch (type) {
    case EXTENSION.serverName:
      return readServerName(body, draft)
    case EXTENSION.protocols:
      return readProtocols(body, draft)
    case EXTENSION.supportedGroups:
      draft.groups = onlyList(body, 2)
      return draft.groups.length > 0
    case EXTENSION.signatureAlgorithms:
      draft.signatureSchemes = onlyList(body, 2)
      return draft.signatureSchemes.length > 0
    case EXTENSION.supportedVersions:
      draft.versions = onlyList(body, 1)
      return draft.versions.length > 0
    case EXTENSION.earlyData:
      draft.hasEarlyData = true
      return body.isEmpty
    default:
      return true
  }
}

/** A list of numbers that fills the extension; empty when it does not. */
function onlyList(body: Reader, lengthBytes: 1 | 2): number[] {
  const list = body.range(lengthBytes)
  const numbers = list.pairs()
  return body.hasFailed || list.hasFailed || !body.isEmpty ? [] : numbers
}

function readServerName(body: Reader, draft: Draft): boolean {
  const list = body.range(2)
  if (body.hasFailed || !body.isEmpty || list.isEmpty) return false
  // There is one kind of name, host_name, and one name of a kind.
  const isHostName = list.number(1) === 0
  const name = list.range(2)
  if (list.hasFailed || !list.isEmpty || !isHostName || name.isEmpty) return false
  const text = name.text()
  if (text.length > 255 || text.includes('\0')) return false
  draft.serverName = text.toLowerCase().replace(/\.$/, '')
  return true
}

function readProtocols(body: Reader, draft: Draft): boolean {
  const list = body.range(2)
  if (body.hasFailed || !body.isEmpty || list.isEmpty) return false
  const protocols: string[] = []
  while (!list.isEmpty) {
    const protocol = list.range(1)
    if (list.hasFailed || protocol.isEmpty) return false
    protocols.push(protocol.text())
  }
  draft.protocols = protocols
  return true
}

function versionsUpTo(version: number): number[] {
  const versions: number[] = []
  for (let next = Math.min(version, LAST_LEGACY_VERSION); next >= FIRST_VERSION; next--) versions.push(next)
  return versions
}
