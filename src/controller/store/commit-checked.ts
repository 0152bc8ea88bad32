import { type Commit, CommitRaceError, type Store } from './store.ts'

/** Others have to be faster so many times in a row before a change is given up. */
const ATTEMPTS_MAX = 10

/**
 * Stores what `make` makes of the store as it is now, and makes it anew where another commit came in between: what it has
 * checked is true when it is stored.
 *
 * @param make undefined: nothing is to be stored, as things are now; what it throws is thrown here, too
 * @returns the revision; undefined: nothing was stored
 * @throws StoreError, a CommitRaceError when others were faster each time
 */
export async function commitChecked(store: Store, make: () => Commit | undefined): Promise<number | undefined> {
  for (let attempt = 1; ; attempt++) {
    const checkedAt = store.revision()
    const commit = make()
    if (commit === undefined) return undefined
    try {
      return await store.commit({ ...commit, checkedAt })
    } catch (error) {
      if (!(error instanceof CommitRaceError) || attempt === ATTEMPTS_MAX) throw error
    }
  }
}
