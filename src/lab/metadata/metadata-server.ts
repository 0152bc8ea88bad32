import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Cidr } from '../../address/cidr.ts'
import { oneAtATime } from '../one-at-a-time.ts'
import { type GuestAttributes, VALUE_BYTES_MAX } from './guest-attributes.ts'
import { type MetadataNode, nodeAt, type ServiceAccount } from './metadata-node.ts'
import { type MetadataRefusal, type MetadataRequest, notFound, readMetadataRequest } from './metadata-request.ts'
import { computeEngineClaims, effectiveItem, type MetadataResources } from './metadata-resources.ts'
import { etagOf, type MetadataText, textOf } from './metadata-text.ts'
import { metadataTree } from './metadata-tree.ts'

/** Connections, and with them requests that wait, of one machine. */
const CONNECTIONS_MAX = 256
const LIMITS = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 60_000 } as const
/** Longer than any wait for a change: a client that takes no answer is cut off. */
const SILENCE_MS_MAX = 330_000
const GUEST_ATTRIBUTES = ['computeMetadata', 'v1', 'instance', 'guest-attributes']

const DISABLED: MetadataRefusal = {
  status: 403,
  message: 'Guest attributes endpoint access is disabled; set the metadata enable-guest-attributes to TRUE',
}

/** What a token is worth. */
export type AccessToken = { readonly token: string; readonly expiresInSec: number }

/** Gives out tokens that the API takes. */
export type Tokens = { access(account: ServiceAccount): AccessToken | Promise<AccessToken> }

/** Gives out tokens that tell others who an instance is. */
export type Identities = {
  create(claims: {
    readonly email: string
    readonly audience: string
    readonly computeEngine: Readonly<Record<string, string | number>> | undefined
  }): Promise<string>
}

/** What a metadata server works with. */
export type MetadataServerOptions = {
  /** As they are now. */
  readonly resources: () => MetadataResources
  /** Of the network of the instance. */
  readonly subnets: readonly Cidr[]
  readonly tokens: Tokens
  readonly identities: Identities
  /** What the instance has written so far. */
  readonly guestAttributes: GuestAttributes
}

/** A request that waits, and how it is told what there is at its path now; undefined: nothing. */
type Waiting = { readonly path: readonly string[]; readonly look: (etag: string | undefined) => void }

/** The metadata server of one instance: whoever reaches it counts as the instance. */
export class MetadataServer {
  readonly #options: MetadataServerOptions
  readonly #waiting = new Set<Waiting>()
  /** Hands sockets of its own to it, or lets it listen. */
  readonly http: Server

  constructor(options: MetadataServerOptions) {
    this.#options = options
    this.http = createServer(
      LIMITS,
      oneAtATime((request, response) => void this.#handle(request, response)),
    )
    this.http.maxConnections = CONNECTIONS_MAX
    this.http.setTimeout(SILENCE_MS_MAX)
  }

  /** The resources have changed, maybe. What many wait for is looked at once: it may be large. */
  changed(): void {
    const etags = new Map<string, string | undefined>()
    for (const { path, look } of [...this.#waiting]) {
      const key = path.join('/')
      if (!etags.has(key)) etags.set(key, this.#etagAt(path))
      look(etags.get(key))
    }
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    this.http.closeAllConnections()
    if (!this.http.listening) return
    const closed = once(this.http, 'close')
    this.http.close()
    await closed
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = readMetadataRequest(request)
    try {
      if ('status' in asked) return refuse(response, asked)
      if (asked.method === 'PUT' || asked.method === 'DELETE') return await this.#write(request, response, asked)
      await this.#read(response, asked, request.url ?? '')
    } catch {
      // The client is gone, or its token cannot be made.
      refuse(response, { status: 503, message: 'The metadata server cannot answer now; try again later' })
    }
  }

  async #read(response: ServerResponse, asked: MetadataRequest, url: string): Promise<void> {
    if (asked.wait !== undefined) await this.#changeOf(asked, asked.wait, response)
    if (response.destroyed) return
    if (isGuestAttribute(asked.path) && !this.#areGuestAttributesOn()) return refuse(response, DISABLED)
    const [path, query] = url.split('?')
    const node = this.#nodeAt(asked.path)
    if (node === undefined || (asked.hasSlash && node.kind !== 'directory')) return refuse(response, notFound(path))
    if (node.kind === 'identity') return await this.#identity(response, node.account, asked)
    if (node.kind === 'directory' && !asked.hasSlash && !asked.isRecursive) {
      // Made of the names: a path that begins with two slashes would lead to another server.
      const place = `/${asked.path.map(encodeURIComponent).join('/')}/`
      const location = query === undefined ? place : `${place}?${query}`
      response.setHeader('Location', location)
      return refuse(response, { status: 301, message: `The directory is at ${location}` })
    }
    const { isRecursive, alt, scopes } = asked
    const answer = node.kind === 'token' ? await this.#token(node.account, scopes) : textOf(node, isRecursive, alt)
    send(response, 200, `application/${answer.format}`, answer.body, etagOf(node))
  }

  async #token(account: ServiceAccount, scopes: readonly string[]): Promise<MetadataText> {
    const { token, expiresInSec } = await this.#options.tokens.access(narrowed(account, scopes))
    const body = JSON.stringify({ access_token: token, expires_in: expiresInSec, token_type: 'Bearer' })
    return { format: 'json', body }
  }

  async #identity(
    response: ServerResponse,
    { email }: ServiceAccount,
    { audience, isFull }: MetadataRequest,
  ): Promise<void> {
    if (audience === '') return refuse(response, { status: 400, message: 'non-empty audience parameter required' })
    const computeEngine = isFull ? computeEngineClaims(this.#options.resources()) : undefined
    const token = await this.#options.identities.create({ email, audience, computeEngine })
    send(response, 200, 'text/html', token, undefined)
  }

  async #write(request: IncomingMessage, response: ServerResponse, { method, path }: MetadataRequest): Promise<void> {
    if (!isGuestAttribute(path))
      return refuse(response, { status: 405, message: 'Only guest attributes can be written' })
    if (!this.#areGuestAttributesOn()) return refuse(response, DISABLED)
    const where = path.slice(GUEST_ATTRIBUTES.length)
    if (method === 'DELETE') {
      if (!this.#options.guestAttributes.delete(where)) return refuse(response, notFound(request.url ?? ''))
    } else {
      const value = await readText(request, VALUE_BYTES_MAX)
      if (value === undefined)
        return refuse(response, { status: 413, message: `A value has at most ${VALUE_BYTES_MAX} bytes` })
      const refusal = this.#options.guestAttributes.put(where, value)
      if (refusal !== undefined) return refuse(response, refusal)
    }
    this.changed()
    send(response, 200, 'application/text', '', undefined)
  }

  #nodeAt(path: readonly string[]): MetadataNode | undefined {
    const { resources, subnets, guestAttributes } = this.#options
    return nodeAt(metadataTree(resources(), { subnets, guestAttributes: guestAttributes.all }), path)
  }

  #areGuestAttributesOn(): boolean {
    return effectiveItem(this.#options.resources(), 'enable-guest-attributes')?.toLowerCase() === 'true'
  }

  /** Resolves once what is asked for differs from what the client knows, is gone, the time is over, or the client gone. */
  async #changeOf(
    { path }: MetadataRequest,
    { lastEtag, seconds }: NonNullable<MetadataRequest['wait']>,
    response: ServerResponse,
  ): Promise<void> {
    const first = this.#etagAt(path)
    const known = lastEtag ?? first
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer)
        this.#waiting.delete(waiting)
        response.off('close', end)
        resolve()
      }
      const look = (now: string | undefined) => {
        if (now === undefined || now !== known) end()
      }
      const waiting = { path, look }
      const timer = setTimeout(end, seconds * 1000)
      this.#waiting.add(waiting)
      response.on('close', end)
      look(first)
    })
  }

  #etagAt(path: readonly string[]): string | undefined {
    const node = this.#nodeAt(path)
    return node && etagOf(node)
  }
}

function isGuestAttribute(path: readonly string[]): boolean {
  return GUEST_ATTRIBUTES.every((name, index) => path[index] === name)
}

/** An account may ask for a token that is worth less than others of its own, and not for more. */
function narrowed(account: ServiceAccount, scopes: readonly string[]): ServiceAccount {
  if (scopes.length === 0) return account
  const isEverything = account.scopes.includes('https://www.googleapis.com/auth/cloud-platform')
  return { ...account, scopes: scopes.filter((scope) => isEverything || account.scopes.includes(scope)) }
}

/** undefined: it is longer. */
async function readText(request: IncomingMessage, bytesMax: number): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bytesMax) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function refuse(response: ServerResponse, { status, message }: MetadataRefusal): void {
  const title = `Error ${status}`
  const escaped = message.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`)
  const page = `<!DOCTYPE html>\n<html lang=en><title>${title}</title><p><b>${title}.</b> <ins>${escaped}.</ins>\n`
  // What has not been read of the request stays unread.
  if (!response.req.complete) response.setHeader('Connection', 'close')
  send(response, status, 'text/html; charset=UTF-8', page, undefined)
}

/** Every answer says by its header that it is from this server, so that nobody takes another one for it. */
function send(response: ServerResponse, status: number, type: string, body: string, etag: string | undefined): void {
  if (response.headersSent || response.destroyed) return
  response.statusCode = status
  response.setHeader('Metadata-Flavor', 'Google').setHeader('Server', 'Metadata Server for VM')
  response.setHeader('Content-Type', type).setHeader('Content-Length', Buffer.byteLength(body))
  if (etag !== undefined) response.setHeader('ETag', etag)
  response.end(body)
}
