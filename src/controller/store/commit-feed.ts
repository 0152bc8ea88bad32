import type { Committed } from './store.ts'

/** Tells whoever follows a store of its commits, in their order. */
export class CommitFeed {
  readonly #followers = new Set<(committed: Committed) => void>()
  readonly #untold: Committed[] = []
  #isTelling = false

  /** Tells of every commit from now on. @returns what ends that */
  follow(follower: (committed: Committed) => void): () => void {
    this.#followers.add(follower)
    return () => void this.#followers.delete(follower)
  }

  /** A commit that a follower makes is told when all have heard of the one before it. */
  tell(committed: Committed): void {
    this.#untold.push(committed)
    if (this.#isTelling) return
    this.#isTelling = true
    for (let next = this.#untold.shift(); next !== undefined; next = this.#untold.shift()) {
      for (const follower of this.#followers) tellOne(follower, next)
    }
    this.#isTelling = false
  }
}

function tellOne(follower: (committed: Committed) => void, committed: Committed): void {
  try {
    follower(committed)
  } catch (error) {
    // The commit is durable, and the others have to hear of it. What this one knows is wrong from now on: the process
    // ends, and begins anew from what is stored.
    queueMicrotask(() => {
      throw error
    })
  }
}
