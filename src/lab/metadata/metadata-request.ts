import type { IncomingHttpHeaders } from 'node:http'
import { shortened } from '../../text/plain-text.ts'
import type { MetadataFormat } from './metadata-node.ts'

/** A longer wait ends with what there is, as one does whose time is over. */
const WAIT_SECONDS_MAX = 300
/** Of a path, as a message repeats it. */
const PATH_LENGTH_MAX = 300
/** The names that lead to the server; a page that makes a browser ask by another name gets nothing (DNS rebinding). */
const HOSTS = new Set(['metadata.google.internal', 'metadata.goog', 'metadata', '169.254.169.254'])

/** What is asked for. */
export type MetadataRequest = {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE'
  /** Its names; several slashes count as one. */
  readonly path: readonly string[]
  /** The path ends like that of a directory. */
  readonly hasSlash: boolean
  readonly isRecursive: boolean
  readonly alt: MetadataFormat | undefined
  /** The answer waits for a change from `lastEtag`; undefined: from what there is now. */
  readonly wait: { readonly lastEtag: string | undefined; readonly seconds: number } | undefined
  /** Of a token; empty: those of the account. */
  readonly scopes: readonly string[]
  /** Whom a token is to tell who the instance is; empty: nobody was named. */
  readonly audience: string
  /** It is to tell about the instance, too. */
  readonly isFull: boolean
}

/** Why a request is not answered, in words for whoever sent it. */
export type MetadataRefusal = { readonly status: number; readonly message: string }

/** The parts of a request that are looked at. */
export type RequestHead = {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
}

/** Reads a request, or says why it is refused. */
export function readMetadataRequest({
  method = '',
  url = '',
  headers,
}: RequestHead): MetadataRequest | MetadataRefusal {
  const [encodedPath, query] = splitOnce(url, '?')
  const refusal = refusalOf(headers, encodedPath)
  if (refusal !== undefined) return refusal
  if (method !== 'GET' && method !== 'HEAD' && method !== 'PUT' && method !== 'DELETE')
    return { status: 405, message: `The method ${method} is not supported; use GET` }
  const path = namesOf(encodedPath)
  if (path === undefined) return { status: 400, message: 'The path is not a valid URL' }
  const parameters = new URLSearchParams(query)
  const alt = parameters.get('alt') ?? undefined
  if (alt !== undefined && alt !== 'json' && alt !== 'text')
    return { status: 400, message: 'The parameter alt is not json or text' }
  const wait = waitOf(parameters)
  if (wait === 'wrong') return { status: 400, message: 'The parameter timeout_sec is not a whole number of seconds' }
  return {
    method,
    path,
    hasSlash: encodedPath.endsWith('/'),
    isRecursive: isTrue(parameters.get('recursive')),
    alt,
    wait,
    scopes: (parameters.get('scopes') ?? '').split(',').filter((scope) => scope !== ''),
    audience: parameters.get('audience') ?? '',
    isFull: parameters.get('format') === 'full',
  }
}

/** The answer about a path that there is not. */
export function notFound(path: string): MetadataRefusal {
  return { status: 404, message: `The requested URL ${shortened(path, PATH_LENGTH_MAX)} was not found on this server` }
}

/**
 * The header shows that a program asks that knows what it asks for, and not a browser or a server that somebody makes ask;
 * with the other one, a proxy would have passed it on for somebody else.
 */
function refusalOf(headers: IncomingHttpHeaders, path: string): MetadataRefusal | undefined {
  const refuse = (why: string) => ({
    status: 403,
    message: `Your client does not have permission to get URL ${shortened(path, PATH_LENGTH_MAX)} from this server. ${why}`,
  })
  if (headers['x-forwarded-for'] !== undefined)
    return refuse('Requests with the header X-Forwarded-For are refused: they were passed on')
  const host = headers.host?.toLowerCase().replace(/:80$/, '').replace(/\.$/, '')
  if (host !== undefined && !HOSTS.has(host)) return refuse('The Host header is not metadata.google.internal')
  // By the root, libraries find out whether there is a metadata server at all.
  if (headers['metadata-flavor'] === 'Google' || path === '/') return undefined
  return refuse('Missing Metadata-Flavor:Google header')
}

/** Several slashes count as one: Google's own guest agent writes two. undefined: it cannot be decoded. */
function namesOf(path: string): readonly string[] | undefined {
  try {
    return path
      .split('/')
      .filter((name) => name !== '')
      .map(decodeURIComponent)
  } catch {
    return undefined
  }
}

function waitOf(parameters: URLSearchParams): MetadataRequest['wait'] | 'wrong' {
  if (!isTrue(parameters.get('wait_for_change'))) return undefined
  const given = parameters.get('timeout_sec') ?? String(WAIT_SECONDS_MAX)
  if (!/^[0-9]{1,9}$/.test(given)) return 'wrong'
  const lastEtag = parameters.get('last_etag') ?? undefined
  return { lastEtag, seconds: Math.min(Number(given), WAIT_SECONDS_MAX) }
}

/** cloud-init writes `True`. */
function isTrue(parameter: string | null): boolean {
  return parameter?.toLowerCase() === 'true'
}

function splitOnce(whole: string, separator: string): readonly [before: string, after: string] {
  const at = whole.indexOf(separator)
  return at < 0 ? [whole, ''] : [whole.slice(0, at), whole.slice(at + 1)]
}
