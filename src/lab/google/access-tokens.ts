/** Google's tokens live that long. */
const LIFETIME_SEC = 3_600
/** One that ends sooner is not given out any more. */
const LEFT_SEC_MIN = 300
/** With one of these, an account may change what there is. */
const CHANGING_SCOPES = ['cloud-platform', 'compute'].map(scopeOf)
/** With one of these, it may change what is in buckets. */
const WRITING_SCOPES = ['cloud-platform', 'devstorage.read_write', 'devstorage.full_control'].map(scopeOf)

/** What an account may do by its tokens, in the words of the controller. */
export type AccountRole = 'viewer' | 'operator'

/** Where tokens are made and taken away, so that the controller knows them. */
export type TokenKeeper = {
  create(identity: { readonly user: string; readonly role: AccountRole }): string
  revoke(token: string): void
}

/** What is known of a token. */
export type TokenInfo = { readonly email: string; readonly scopes: readonly string[]; readonly expiresInSec: number }

type Given = {
  readonly token: string
  readonly email: string
  readonly scopes: readonly string[]
  readonly endsMs: number
}

/** Gives service accounts tokens that the controller takes, for an hour each. */
export class AccessTokens {
  readonly #keeper: TokenKeeper
  readonly #clock: () => number
  /** The latest one of each account for what its scopes allow. */
  readonly #latest = new Map<string, Given>()
  readonly #live = new Map<string, { readonly given: Given; readonly timer: NodeJS.Timeout }>()

  /** @param clock milliseconds that never go back */
  constructor(keeper: TokenKeeper, clock: () => number) {
    this.#keeper = keeper
    this.#clock = clock
  }

  /** The latest token of an account for such scopes, or a new one. */
  access({ email, scopes }: { readonly email: string; readonly scopes: readonly string[] }): {
    readonly token: string
    readonly expiresInSec: number
  } {
    const role = roleOf(scopes)
    const key = `${role} ${mayWriteObjects(scopes)} ${email}`
    const latest = this.#latest.get(key)
    const left = latest === undefined ? 0 : this.#secondsLeft(latest)
    if (latest !== undefined && left >= LEFT_SEC_MIN) return { token: latest.token, expiresInSec: left }
    const token = this.#keeper.create({ user: email, role })
    const given = { token, email, scopes, endsMs: this.#clock() + LIFETIME_SEC * 1000 }
    this.#latest.set(key, given)
    const timer = setTimeout(() => this.#end(token), LIFETIME_SEC * 1000)
    this.#live.set(token, { given, timer: timer.unref() })
    return { token, expiresInSec: LIFETIME_SEC }
  }

  /** What a token is worth; undefined: it is none of these, or its time is over. */
  info(token: string): TokenInfo | undefined {
    const live = this.#live.get(token)
    if (live === undefined) return undefined
    const { email, scopes } = live.given
    return { email, scopes, expiresInSec: this.#secondsLeft(live.given) }
  }

  /** Takes all of them away. */
  close(): void {
    for (const token of [...this.#live.keys()]) this.#end(token)
    this.#latest.clear()
  }

  #end(token: string): void {
    clearTimeout(this.#live.get(token)?.timer)
    this.#live.delete(token)
    this.#keeper.revoke(token)
  }

  #secondsLeft({ endsMs }: Given): number {
    return Math.max(0, Math.floor((endsMs - this.#clock()) / 1000))
  }
}

/** By scopes, Google's older way to bound what an account may do. */
export function roleOf(scopes: readonly string[]): AccountRole {
  return scopes.some((scope) => CHANGING_SCOPES.includes(scope)) ? 'operator' : 'viewer'
}

/** Whether an account may change what is in buckets. */
export function mayWriteObjects(scopes: readonly string[]): boolean {
  return scopes.some((scope) => WRITING_SCOPES.includes(scope))
}

function scopeOf(name: string): string {
  return `https://www.googleapis.com/auth/${name}`
}
