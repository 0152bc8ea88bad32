import type { MemberChoice, Members } from './members.ts'
import { RandomNumbers } from './random.ts'

/** LEAST_REQUEST: of two at random the one with fewer connections, which is nearly as good as the least of all. */
export class LeastRequest implements MemberChoice {
  readonly #numbers: RandomNumbers

  constructor(seed: number) {
    this.#numbers = new RandomNumbers(seed)
  }

  pick(members: Members, _hash: number, tried: readonly number[]): number {
    const { size } = members
    if (size < 2) return members.nextFrom(0, tried)
    const one = this.#numbers.below(size)
    const behind = one + 1 + this.#numbers.below(size - 1)
    const a = members.nextFrom(one, tried)
    if (a < 0) return a
    const b = members.nextFrom(behind < size ? behind : behind - size, tried)
    return members.openOf(b) < members.openOf(a) ? b : a
  }
}
