import { connect, isIP, type Socket, type TcpNetConnectOpts } from 'node:net'
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import { formatIpAddress, parseIpAddress } from '../../address/ip-address.ts'
import { sourceTowards } from '../../linux/route.ts'
import { codeOf, failure, NO_PORT, type ProbeResult, plainText, resultOfError } from './probe-result.ts'

/** Bytes that a conversation takes; whoever sends more is cut off. */
const TAKEN_BYTES_MAX = 64 * 1024
/** Bytes that may come from a backend in all, such as headers and frames that no conversation gets to see. */
const RECEIVED_BYTES_MAX = 256 * 1024
const RECEIVED_CHECK_MS = 50
/** How long a backend has to close its side after we have closed ours. */
const LEAVE_MS_MAX = 1_000

/** Whom a line leads to. */
export type LineTarget = {
  readonly address: string
  readonly port: number
  /** The address of this host to connect from; undefined: the kernel chooses. */
  readonly sourceAddress?: string | undefined
}

let anyBackend: SecureContext | undefined

/**
 * The connection of one probe: connect, maybe TLS, talk, and leave in order.
 *
 * It ends as an ordinary client does, with a FIN, and takes what the backend still sends. A reset would spare this host
 * the TIME_WAIT of one minute, but an app that is about to read, or to ask for its peer's address, would meet an error,
 * log it, or fail. A backend has 12 such ports at an interval of five seconds, out of the 28,232 that each backend has
 * (ip_local_port_range), and 1,000 backends cost about 3 MB of kernel memory.
 */
export class Line {
  #socket: Socket | undefined
  #stream: Socket | TLSSocket | undefined
  #takenBytes = 0
  #isRead = false
  #isDestroyed = false
  #broken: ProbeResult | undefined
  #onBroken: (result: ProbeResult) => void = () => {}
  /** How far it has come. */
  stage: 'connecting' | 'handshake' | 'talking' = 'connecting'
  /** Says what an orderly end is; without it, a FIN and, with TLS, a close_notify before it. */
  goodbye: (() => void) | undefined

  /** The bytes of the conversation. */
  get stream(): Socket | TLSSocket {
    if (this.#stream === undefined) throw new Error('A line is used before it is connected')
    return this.#stream
  }

  /** Resolves with undefined once the backend has accepted, otherwise with what that says of it. */
  async connect({ address, port, sourceAddress }: LineTarget): Promise<ProbeResult | undefined> {
    const refused = await this.#connectFromAnyPort({ host: address, port, localAddress: sourceAddress })
    if (refused === undefined) this.stage = 'talking'
    return refused
  }

  async #connectFromAnyPort(target: TcpNetConnectOpts): Promise<ProbeResult | undefined> {
    const first = await this.#attempt(target)
    if (first === undefined) return undefined
    const { host = '', port, localAddress } = target
    if (localAddress !== undefined && isPortless(first)) return NO_PORT
    if (codeOf(first) !== 'EADDRNOTAVAIL' || this.#isDestroyed) return resultOfError(first)
    // All ephemeral ports are taken for connect(2); with an address bound first they can still be shared.
    const address = parseIpAddress(host)
    const source = address && sourceTowards({ address, port })
    if (source === undefined) return resultOfError(first)
    const second = await this.#attempt({ host, port, localAddress: formatIpAddress(source) })
    if (second === undefined) return undefined
    return isPortless(second) ? NO_PORT : resultOfError(second)
  }

  #attempt(target: TcpNetConnectOpts): Promise<Error | undefined> {
    return new Promise((resolve) => {
      const socket = connect({ ...target, noDelay: true })
      this.#socket = socket
      this.#follow(socket, resolve)
      socket.once('connect', () => resolve(undefined))
      const guard = setInterval(() => {
        if (socket.bytesRead > RECEIVED_BYTES_MAX) this.#cutOff(RECEIVED_BYTES_MAX)
      }, RECEIVED_CHECK_MS).unref()
      socket.once('close', () => {
        clearInterval(guard)
        resolve(new Error('closed'))
      })
    })
  }

  /** Makes `stream` the one that is talked on, and notes its end. */
  #follow(stream: Socket | TLSSocket, onError: (error: Error) => void): void {
    this.#stream = stream
    this.#broken = undefined
    const end = (result: ProbeResult): void => {
      if (this.#stream === stream) this.#break(result)
    }
    // Stays for the whole life of the stream: an error that nobody listens to would end the process.
    stream.on('error', (error) => {
      onError(error)
      end(resultOfError(error))
    })
    stream.once('end', () => end(failure('closed by the backend')))
    stream.once('close', () => end(failure('closed by the backend')))
  }

  /**
   * Begins TLS on the open connection; resolves with undefined once the handshake is done.
   *
   * Certificates are not verified and old versions and ciphers are taken: the question is whether the backend speaks TLS.
   *
   * @param protocol what is offered with ALPN; a backend that chooses nothing is good enough for all but `h2`
   * @param host goes into the handshake (SNI) if it is a name; empty: nothing does
   */
  async secure(protocol: 'h2' | 'http/1.1' | undefined, host: string): Promise<ProbeResult | undefined> {
    const socket = this.#socket
    if (this.#broken !== undefined) return this.#broken
    if (socket === undefined || this.#isDestroyed) return failure('closed')
    this.stage = 'handshake'
    anyBackend ??= createSecureContext({ minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' })
    const stream = connectTls({
      socket,
      secureContext: anyBackend,
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ...(protocol === undefined ? {} : { ALPNProtocols: [protocol] }),
      ...(host === '' || isIP(host) !== 0 ? {} : { servername: host }),
    })
    const refused = await new Promise<ProbeResult | undefined>((resolve) => {
      this.#follow(stream, (error) => resolve(failure(handshakeText(error))))
      stream.once('secureConnect', () => resolve(undefined))
      stream.once('close', () => resolve(failure('closed during the TLS handshake')))
    })
    if (refused !== undefined) return refused
    this.stage = 'talking'
    if (protocol !== 'h2' || stream.alpnProtocol === 'h2') return undefined
    return failure('TLS without HTTP/2: the backend did not choose "h2" (ALPN)')
  }

  write(bytes: Uint8Array | string): void {
    this.stream.write(bytes)
  }

  /** Takes the bytes that arrive. */
  read(onBytes: (bytes: Buffer) => void): void {
    this.#isRead = true
    this.stream.on('data', (bytes: Buffer) => {
      this.countTaken(bytes.length)
      onBytes(bytes)
    })
  }

  /** For a conversation that reads by itself: cuts the backend off when it sends without end. */
  countTaken(bytes: number): void {
    this.#takenBytes += bytes
    if (this.#takenBytes > TAKEN_BYTES_MAX) this.#cutOff(TAKEN_BYTES_MAX)
  }

  /** Calls back once when the connection has ended, also when it already has. */
  onBroken(callback: (result: ProbeResult) => void): void {
    if (this.#broken !== undefined) callback(this.#broken)
    else this.#onBroken = callback
  }

  /** Ends the conversation in order, without waiting for it; a second later, or on the signal, it is cut off. */
  leave(signal: AbortSignal): void {
    const socket = this.#socket
    if (socket === undefined || socket.destroyed || signal.aborted) return this.destroy()
    const close = (): void => this.destroy()
    const timer = setTimeout(close, LEAVE_MS_MAX).unref()
    signal.addEventListener('abort', close, { once: true })
    socket.once('close', () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', close)
    })
    if (this.goodbye !== undefined) return this.goodbye()
    if (!this.#isRead) this.read(() => {})
    this.stream.end()
  }

  /** Closes the connection at once. */
  destroy(error?: Error): void {
    this.#isDestroyed = true
    this.#stream?.destroy(error)
    this.#socket?.destroy()
  }

  #cutOff(bytesMax: number): void {
    this.destroy(new Error(`the backend sent more than ${bytesMax} bytes`))
  }

  #break(result: ProbeResult): void {
    if (this.#broken !== undefined) return
    this.#broken = result
    this.#onBroken(result)
  }
}

function handshakeText(error: Error): string {
  const code = codeOf(error)
  if (code === 'ECONNRESET') return 'closed during the TLS handshake'
  // OpenSSL's own words: `wrong version number`, from a backend that speaks no TLS.
  const reason = 'reason' in error && typeof error.reason === 'string' ? error.reason : error.message
  return `TLS handshake failed: ${plainText(reason)}`
}

/** Reports whether an address of this host had no port left. */
function isPortless(error: Error): boolean {
  return ['EADDRNOTAVAIL', 'EADDRINUSE'].includes(codeOf(error))
}
