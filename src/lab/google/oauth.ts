import type { ServerResponse } from 'node:http'
import type { AccessTokens } from './access-tokens.ts'
import { sendJson } from './json-answer.ts'

const NO_GRANT =
  'There are no accounts with keys or refresh tokens; ask the metadata server of the machine for a token, as Google’s libraries do without any credentials'

/** Answers for Google's authorization server: what a token is worth. Tokens come from metadata servers only. */
export function answerOauth(response: ServerResponse, url: string, tokens: Pick<AccessTokens, 'info'>): void {
  const [path, query] = url.split('?', 2)
  const send = (status: number, value: unknown): void =>
    sendJson(response.setHeader('Connection', 'close'), status, value)
  if (path === '/token') return send(400, { error: 'unsupported_grant_type', error_description: NO_GRANT })
  if (!/^\/(?:oauth2\/v[1-3]\/)?tokeninfo$/.test(path)) return send(404, { error: 'not_found' })
  const info = tokens.info(new URLSearchParams(query).get('access_token') ?? '')
  if (info === undefined) return send(400, { error: 'invalid_token', error_description: 'Invalid Value' })
  const { email, scopes, expiresInSec } = info
  const scope = scopes.join(' ')
  send(200, { scope, expires_in: String(expiresInSec), email, email_verified: 'true', access_type: 'online' })
}
