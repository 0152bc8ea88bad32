import { createHash, createPublicKey, createVerify, type KeyObject, sign, X509Certificate } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runChecked } from '../../linux/run.ts'

/** Google's live that long. */
const LIFETIME_SEC = 3_600
const ISSUER = 'https://accounts.google.com'
const DAYS = '90'

/** Whose identity a token is to tell, to whom, and of which machine where it is to. */
export type IdentityClaims = {
  readonly email: string
  readonly audience: string
  /** Google's `format=full`. */
  readonly computeEngine: Readonly<Record<string, string | number>> | undefined
}

/** The key that signs, and what others check it by. */
type Signer = { readonly id: string; readonly key: string; readonly certificate: string; readonly publicKey: KeyObject }

/** Signs tokens that tell who a machine is, as Google's authorization server does, with a key of the lab. */
export class IdentityTokens {
  readonly #directory: string
  readonly #now: () => number
  #signer: Promise<Signer> | undefined

  /**
   * @param directory for a file, for a moment
   * @param now milliseconds since 1970
   */
  constructor(directory: string, now: () => number) {
    this.#directory = directory
    this.#now = now
  }

  /** A token. */
  async create({ email, audience, computeEngine }: IdentityClaims): Promise<string> {
    const { id, key } = await this.#signing()
    const iat = Math.floor(this.#now() / 1000)
    const sub = subjectOf(email)
    const claims = {
      aud: audience,
      azp: sub,
      email,
      email_verified: true,
      exp: iat + LIFETIME_SEC,
      iat,
      iss: ISSUER,
      sub,
    }
    const google = computeEngine === undefined ? {} : { google: { compute_engine: computeEngine } }
    const text = [
      { alg: 'RS256', kid: id, typ: 'JWT' },
      { ...claims, ...google },
    ]
      .map(base64Json)
      .join('.')
    return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
  }

  /** What a token says; undefined: it is none of these, or its time is over. */
  async claimsOf(token: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    const [, text, payload, signature] = /^([\w-]+\.([\w-]+))\.([\w-]+)$/.exec(token) ?? []
    if (text === undefined || payload === undefined || signature === undefined) return undefined
    const { publicKey } = await this.#signing()
    const isOurs = createVerify('sha256').update(text).verify(publicKey, Buffer.from(signature, 'base64url'))
    if (!isOurs) return undefined
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
    return Number(claims.exp) * 1000 > this.#now() ? claims : undefined
  }

  /** What tokens are checked by: certificates in PEM, by the id of their key. */
  async certificates(): Promise<Readonly<Record<string, string>>> {
    const { id, certificate } = await this.#signing()
    return { [id]: certificate }
  }

  /** The same as a set of JSON Web Keys (RFC 7517). */
  async keySet(): Promise<unknown> {
    const { id, publicKey } = await this.#signing()
    return { keys: [{ ...publicKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: id }] }
  }

  /** The key is made when it is needed first. */
  #signing(): Promise<Signer> {
    this.#signer ??= makeSigner(this.#directory)
    this.#signer.catch(() => {
      this.#signer = undefined
    })
    return this.#signer
  }
}

async function makeSigner(directory: string): Promise<Signer> {
  const [keyFile, file] = ['identity.key', 'identity.pem'].map((name) => join(directory, name))
  const made = [
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    keyFile,
    '-out',
    file,
    '-days',
    DAYS,
    '-subj',
    '/CN=federated-signon',
  ]
  await runChecked('openssl', ['req', '-x509', ...made])
  const [key, certificate] = [keyFile, file].map((path) => readFileSync(path, 'utf8'))
  for (const path of [keyFile, file]) rmSync(path)
  const id = createHash('sha1').update(new X509Certificate(certificate).raw).digest('hex')
  return { id, key, certificate, publicKey: createPublicKey(certificate) }
}

/** Digits, as Google's account ids are: always the same ones for an account. */
function subjectOf(email: string): string {
  return createHash('sha256').update(email).digest().readBigUInt64BE().toString().padStart(21, '1')
}

function base64Json(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
