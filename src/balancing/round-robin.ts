import type { MemberChoice, Members } from './members.ts'

/** ROUND_ROBIN: one after the other, by their places; the turn goes on behind the last one, whoever comes or goes. */
export class RoundRobin implements MemberChoice {
  #next: number

  /** @param turn the place to begin with, so that several workers do not all begin with the same */
  constructor(turn: number) {
    this.#next = turn
  }

  pick(members: Members, _hash: number, tried: readonly number[]): number {
    const index = members.indexFrom(this.#next % members.ids.length)
    const place = members.nextFrom(index === members.size ? 0 : index, tried)
    if (place >= 0) this.#next = place + 1
    return place
  }
}
