import { setImmediate } from 'node:timers/promises'
import { MemoryStore } from './memory-store.ts'
import type { Commit } from './store.ts'

/** A store whose commits take their time, before they are made and before they are acknowledged, others differently long. */
export class SlowStore extends MemoryStore {
  /** How many were refused because another commit came in between. */
  raceCount = 0
  #seed = 1

  override async commit(commit: Commit): Promise<number> {
    await this.#pass()
    try {
      return await super.commit(commit)
    } catch (error) {
      if ((error as Error).name === 'CommitRaceError') this.raceCount += 1
      throw error
    } finally {
      await this.#pass()
    }
  }

  async #pass(): Promise<void> {
    this.#seed = (this.#seed * 1_103_515_245 + 12_345) & 0x7fffffff
    for (let turns = (this.#seed >> 16) % 5; turns >= 0; turns--) await setImmediate()
  }
}
