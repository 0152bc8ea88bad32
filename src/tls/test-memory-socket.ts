// For tests: node's own TLS client on one side, a session of ours on the other, and no socket between them.
import { Duplex } from 'node:stream'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { produced, producedBytes, received } from '../linux/openssl.ts'
import type { HandshakeFailure } from './handshake-names.ts'
import type { TlsServer } from './server.ts'
import { type TlsInfo, TlsSession } from './session.ts'

/** How a handshake ended on our side. */
export type Outcome = { readonly info: TlsInfo | undefined; readonly failure: HandshakeFailure | undefined }

const ANSWER = Buffer.from('hello, too')

class MemorySocket extends Duplex {
  readonly session: TlsSession
  readonly plain = new Uint8Array(64 * 1024)
  isOpen = false
  text = ''

  constructor(server: TlsServer) {
    super()
    this.session = TlsSession.accepting(server)
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const { session } = this
    const front = session.restore()
    received.set(chunk, front)
    if (!this.isOpen) {
      this.isOpen = session.step(front + chunk.length) === 'open'
      this.#send()
      if (session.failure !== undefined) this.push(null)
    } else {
      this.#receive(front + chunk.length)
    }
    if (this.isOpen && session.hasMore) this.#receive(session.restore())
    done()
  }

  #receive(end: number): void {
    const count = this.session.receive(end, this.plain, 0, this.plain.length)
    this.#send()
    const text = Buffer.from(this.plain.subarray(0, count)).toString('latin1')
    this.text += text
    // The ticket of TLS 1.3 comes with the first answer.
    if (text !== '' && this.session.send(ANSWER, 0, ANSWER.length)) this.#send()
  }

  #send(): void {
    if (producedBytes() > 0) this.push(Buffer.from(produced.subarray(0, producedBytes())))
  }
}

/** What a node client saw of a handshake. */
export type Handshake = Outcome & {
  readonly agreedProtocol: string | false | null
  /** The server's certificate: its common name, and whether it is `ecdsa` or `rsa`; '' when none was seen. */
  readonly shown: string
  /** The client's error, such as "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION"; '' when it is content. */
  readonly error: string
  /** The session to resume, once the server has given a ticket. */
  readonly ticket: Buffer | undefined
  /** What the client has sent. */
  readonly text: string
}

/** Shakes hands with a node client, which then sends "hello", and closes both. */
export function shakeHandsWithNode(server: TlsServer, options: ConnectionOptions = {}): Promise<Handshake> {
  return new Promise((resolve) => {
    const socket = new MemorySocket(server)
    const client = connect({ socket, rejectUnauthorized: false, ...options })
    let ticket: Buffer | undefined
    client.on('session', (session: Buffer) => {
      ticket = session
    })
    const finish = (error: string): void => {
      const { session, text, isOpen } = socket
      const info = isOpen ? session.info() : undefined
      session.close()
      // With TLS 1.2, node does not tell of the ticket that replaces one of an old key.
      if (info?.version === 'TLSv1.2') ticket = client.getSession()
      const agreedProtocol = client.alpnProtocol
      resolve({ agreedProtocol, shown: shownBy(client), info, failure: session.failure, error, ticket, text })
      client.destroy()
    }
    client.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message))
    client.on('secureConnect', () => {
      client.once('data', () => setImmediate(() => finish('')))
      client.write('hello')
    })
  })
}

function shownBy(client: TLSSocket): string {
  const shown = client.getPeerCertificate() as { subject?: { CN: string }; asn1Curve?: string } | null
  if (shown?.subject === undefined) return ''
  return `${shown.subject.CN} ${shown.asn1Curve === undefined ? 'rsa' : 'ecdsa'}`
}
