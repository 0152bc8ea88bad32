import type { ReferenceIndex } from '../model/reference-index.ts'
import type { Store } from '../store/store.ts'
import type { EdgeHub } from './edge-hub.ts'
import type { Machines } from './machines.ts'
import type { Publisher } from './publication.ts'

/** What is kept up to date with a store. */
export type Followers = {
  readonly references: ReferenceIndex
  readonly publisher: Publisher
  readonly hub: Pick<EdgeHub, 'published'>
  /** undefined: nobody makes machines. */
  readonly machines: Pick<Machines, 'committed'> | undefined
}

/**
 * Tells each follower of every commit, whoever has made it: the only place that does. It all happens before anybody can
 * read what the commit has changed.
 */
export function followCommits(store: Store, { references, publisher, hub, machines }: Followers): void {
  store.follow(({ changes }) => {
    if (changes.length === 0) return
    // What a changed resource leads to may be another thing afterwards: both have to be compiled again.
    publisher.touch(changes)
    references.apply(changes)
    publisher.touch(changes)
    hub.published()
    machines?.committed(changes)
  })
}
