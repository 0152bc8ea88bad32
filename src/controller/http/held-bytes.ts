/** What one user may hold of all. */
const USER_PART = 1 / 4

/** Bytes that are held in memory for the clients of a listener: bounded for all of them, and for each user. */
export class HeldBytes {
  readonly #max: number
  #total = 0
  readonly #ofUser = new Map<string, number>()

  constructor(max: number) {
    this.#max = max
  }

  /** Of all users. */
  get total(): number {
    return this.#total
  }

  /** Whether nothing more should be held for this user: all have too much together, or he has more than his share. */
  isFull(user: string): boolean {
    return this.#total > this.#max || (this.#ofUser.get(user) ?? 0) > this.#max * USER_PART
  }

  hold(user: string, bytes: number): void {
    this.#total += bytes
    this.#ofUser.set(user, (this.#ofUser.get(user) ?? 0) + bytes)
  }

  release(user: string, bytes: number): void {
    this.#total -= bytes
    const left = (this.#ofUser.get(user) ?? 0) - bytes
    if (left > 0) this.#ofUser.set(user, left)
    else this.#ofUser.delete(user)
  }
}
