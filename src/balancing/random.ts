import type { MemberChoice, Members } from './members.ts'

/** Numbers that look random, from a seed: Marsaglia's xorshift with 32 bits. Allocates nothing. */
export class RandomNumbers {
  #state: number

  constructor(seed: number) {
    // 0 would stay 0.
    this.#state = seed | 0 || 0x2545_f491
  }

  /** A whole number from 0 up to, and without, `end`. */
  below(end: number): number {
    let state = this.#state
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.#state = state
    return Math.floor(((state >>> 0) / 0x1_0000_0000) * end)
  }
}

/** RANDOM: each with the same probability. */
export class RandomChoice implements MemberChoice {
  readonly #numbers: RandomNumbers

  constructor(seed: number) {
    this.#numbers = new RandomNumbers(seed)
  }

  pick(members: Members, _hash: number, tried: readonly number[]): number {
    return members.nextFrom(this.#numbers.below(members.size), tried)
  }
}
