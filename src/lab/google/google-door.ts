import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { Duplex } from 'node:stream'
import { shortened } from '../../text/plain-text.ts'
import { listenInside } from '../listen-inside.ts'
import { oneAtATime } from '../one-at-a-time.ts'
import type { AccessTokens } from './access-tokens.ts'
import type { GoogleIdentity } from './authority.ts'
import type { Buckets } from './buckets.ts'
import { ControllerRelay } from './controller-relay.ts'
import { answererOf, GOOGLE_IPV4, GOOGLE_IPV6 } from './google-names.ts'
import type { IdentityTokens } from './identity-tokens.ts'
import { sendJson } from './json-answer.ts'
import { answerOauth } from './oauth.ts'
import { Storage } from './storage.ts'
import { StorageWrites } from './storage-writes.ts'
import { refuseTunnel } from './tunnel-refusal.ts'
import type { Uploads } from './uploads.ts'

const CONNECTIONS_MAX = 1_024
const LIMITS = {
  handshakeTimeout: 10_000,
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 60_000,
} as const
/** No name is longer (RFC 1035). */
const NAME_LENGTH_MAX = 253
/** Of a connection on which nothing moves; an operation may be waited for for two minutes. */
const SILENCE_MS_MAX = 180_000

/** What is behind Google's names. */
export type GoogleDoorOptions = {
  /** The network namespace whose addresses {@link GOOGLE_IPV4} and {@link GOOGLE_IPV6} are. */
  readonly namespacePath: string
  readonly identity: GoogleIdentity
  readonly controllerSocket: string
  readonly buckets: Buckets
  /** Where the buckets have what machines put into them. */
  readonly uploads: Uploads
  readonly tokens: AccessTokens
  readonly identities: IdentityTokens
}

/** Where the machines of a lab find Google: one TLS door for all its names, and behind it whoever answers for each. */
export class GoogleDoor {
  readonly #servers: readonly Server[]
  readonly #relay: ControllerRelay
  readonly #storage: Storage
  readonly #options: GoogleDoorOptions
  /** Also those that a server no longer counts among its own: WebSockets. */
  readonly #sockets = new Set<Duplex>()

  private constructor(options: GoogleDoorOptions) {
    const { identity, controllerSocket, buckets, uploads, tokens } = options
    this.#options = options
    this.#relay = new ControllerRelay(controllerSocket)
    this.#storage = new Storage(buckets, new StorageWrites(buckets, uploads, tokens))
    const { certificate: cert, key } = identity
    const answer = oneAtATime((request, response) => void this.#answer(request, response))
    this.#servers = [GOOGLE_IPV4, GOOGLE_IPV6].map(() => {
      const server = createServer({ ...LIMITS, cert, key, minVersion: 'TLSv1.2' }, answer)
      server.maxConnections = CONNECTIONS_MAX
      server.on('upgrade', refuseTunnel)
      server.on('connection', (socket) => {
        this.#sockets.add(socket)
        socket.once('close', () => this.#sockets.delete(socket))
      })
      return server.setTimeout(SILENCE_MS_MAX)
    })
  }

  /** Rejects when it cannot listen there; nothing is left open then. */
  static async open(options: GoogleDoorOptions): Promise<GoogleDoor> {
    const door = new GoogleDoor(options)
    const [ipv4, ipv6] = door.#servers
    try {
      await listenInside(options.namespacePath, [
        [ipv4, `${GOOGLE_IPV4}:443`],
        [ipv6, `[${GOOGLE_IPV6}]:443`],
      ])
    } catch (error) {
      await door.close()
      throw error
    }
    return door
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    this.#relay.close()
    const open = this.#servers.filter(({ listening }) => listening)
    const closed = Promise.all(open.map((server) => once(server, 'close')))
    for (const server of open) server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { headers, url = '/' } = request
    try {
      switch (answererOf(headers.host, url)) {
        case 'controller':
          return await this.#relay.pass(request, response)
        case 'storage':
          return await this.#storage.answer(request, response)
        case 'oauth':
          return await answerOauth(request, response, this.#options)
        case undefined:
          return refuse(response, 404, `The lab has nothing for "${shortened(headers.host ?? '', NAME_LENGTH_MAX)}"`)
      }
    } catch {
      // What has begun cannot be answered in another way.
      if (response.headersSent) response.destroy()
      else refuse(response, 503, 'Whoever answers for this name cannot be reached; is the controller running?')
    }
  }
}

function refuse(response: ServerResponse, status: number, message: string): void {
  sendJson(response.setHeader('Connection', 'close'), status, { error: { code: status, message } })
}
