import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AccessTokens } from './access-tokens.ts'
import type { IdentityTokens } from './identity-tokens.ts'
import { sendJson } from './json-answer.ts'

const NO_GRANT =
  'There are no accounts with keys or refresh tokens; ask the metadata server of the machine for a token, as Google’s libraries do without any credentials'
const FORM_BYTES_MAX = 16 * 1024

/** Whose tokens are told about. */
export type OauthTokens = {
  readonly tokens: Pick<AccessTokens, 'info'>
  readonly identities: Pick<IdentityTokens, 'claimsOf' | 'certificates' | 'keySet'>
}

/**
 * Answers for Google's authorization server: what a token is worth, and how the signature of one that tells an identity is
 * checked. Tokens come from metadata servers only.
 */
export async function answerOauth(
  request: IncomingMessage,
  response: ServerResponse,
  { tokens, identities }: OauthTokens,
): Promise<void> {
  const [path, query] = (request.url ?? '/').split('?', 2)
  const send = (status: number, value: unknown): void =>
    sendJson(response.setHeader('Connection', 'close'), status, value)
  if (path === '/oauth2/v1/certs') return send(200, await identities.certificates())
  if (path === '/oauth2/v3/certs') return send(200, await identities.keySet())
  if (path === '/token') return send(400, { error: 'unsupported_grant_type', error_description: NO_GRANT })
  if (!/^\/(?:oauth2\/v[1-3]\/)?tokeninfo$/.test(path)) return send(404, { error: 'not_found' })
  const parameters = await parametersOf(request, query)
  const claims = await identities.claimsOf(parameters.get('id_token') ?? '')
  if (claims !== undefined) return send(200, texts(claims))
  const info = tokens.info(parameters.get('access_token') ?? '')
  if (info === undefined) return send(400, { error: 'invalid_token', error_description: 'Invalid Value' })
  const { email, scopes, expiresInSec } = info
  const scope = scopes.join(' ')
  send(200, { scope, expires_in: String(expiresInSec), email, email_verified: 'true', access_type: 'online' })
}

/** Libraries send the token as part of the URL, in a form, or as if they were to be let in by it. */
async function parametersOf(request: IncomingMessage, query: string | undefined): Promise<URLSearchParams> {
  const parameters = new URLSearchParams(query)
  const [, bearer] = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '') ?? []
  let form = ''
  if (request.method === 'POST') {
    for await (const chunk of request.setEncoding('utf8')) {
      form += chunk
      if (form.length > FORM_BYTES_MAX) break
    }
  }
  for (const [name, value] of new URLSearchParams(form)) parameters.set(name, value)
  if (bearer !== undefined && !parameters.has('access_token')) parameters.set('access_token', bearer)
  return parameters
}

/** In Google's answer every value is a text. */
function texts(claims: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(claims).map(([name, value]) => [name, typeof value === 'object' ? value : String(value)]),
  )
}
