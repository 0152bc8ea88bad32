import { createHash, timingSafeEqual } from 'node:crypto'
import type { StoredToken, TokenRole } from './store.ts'

/** What all tokens of ours begin with, so that one is recognized where it should not be. */
const PREFIX = 'tp_'
const ID_BYTES = 6
const SECRET_BYTES = 32
const FORM = /^tp_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/
/** Compared with where there is no such token, so that an unknown id takes as long as a wrong secret. */
const NO_HASH = '0'.repeat(64)

/** Who sends a request. */
export type Identity = { readonly user: string; readonly role: TokenRole }

/** A token as its user gets it, once, and as it is kept. */
export type NewToken = { readonly text: string; readonly stored: StoredToken }

/**
 * Makes a token: `tp_ID_SECRET`. The secret has 256 random bits, so that a plain hash of it tells nobody anything.
 *
 * @param created RFC 3339
 */
export function makeToken(identity: Identity, created: string, random: (count: number) => Uint8Array): NewToken {
  const id = Buffer.from(random(ID_BYTES)).toString('hex')
  const secret = Buffer.from(random(SECRET_BYTES)).toString('base64url')
  const { user, role } = identity
  return { text: `${PREFIX}${id}_${secret}`, stored: { id, hash: hashOf(secret), user, role, created } }
}

/** The id of a token of ours, by which it is revoked; undefined: it is none. */
export function tokenId(text: string): string | undefined {
  return FORM.exec(text)?.[1]
}

/** Says whether a text was meant to be a token of ours. */
export function looksLikeToken(text: string): boolean {
  return text.startsWith(PREFIX)
}

/** Whose token this is; undefined: nobody's. Takes as long for a wrong secret as for the right one. */
export function identify(text: string, tokens: { token(id: string): StoredToken | undefined }): Identity | undefined {
  const [, id, secret] = FORM.exec(text) ?? []
  if (id === undefined || secret === undefined) return undefined
  const stored = tokens.token(id)
  const isRight = timingSafeEqual(Buffer.from(hashOf(secret)), Buffer.from(stored?.hash ?? NO_HASH))
  return stored !== undefined && isRight ? { user: stored.user, role: stored.role } : undefined
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
