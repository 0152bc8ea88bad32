import { rehash, SEED } from './hash.ts'
import { LeastRequest } from './least-request.ts'
import { buildMaglevTable, MAGLEV_SIZE, Maglev } from './maglev.ts'
import type { MemberChoice } from './members.ts'
import type { LocalityPolicy } from './policy.ts'
import { RandomChoice } from './random.ts'
import { buildRing, RingHash } from './ring-hash.ts'
import { RoundRobin } from './round-robin.ts'

/** What a policy looks up connections in, of all members of one group, in memory that threads can share. */
export type LocalityTable =
  | { readonly kind: 'maglev'; readonly slots: Uint16Array }
  | { readonly kind: 'ring'; readonly points: Float64Array }
  | { readonly kind: 'none' }

/**
 * Builds the table of a group, if its policy has one: some milliseconds of work, so it is not for a worker.
 *
 * @param names of all members, by their places; they never change, and are the same on all edges
 */
export function buildLocalityTable({ name, minimumRingSize }: LocalityPolicy, names: readonly string[]): LocalityTable {
  if (name === 'RING_HASH') return { kind: 'ring', points: buildRing(names, minimumRingSize) }
  if (name !== 'MAGLEV') return { kind: 'none' }
  const slots = new Uint16Array(new SharedArrayBuffer(2 * MAGLEV_SIZE))
  buildMaglevTable(names, slots)
  return { kind: 'maglev', slots }
}

/**
 * Makes the choice of one group in one worker.
 *
 * @param seed another one in each worker, so that they do not all begin with the same member
 */
export function makeMemberChoice({ name }: LocalityPolicy, table: LocalityTable, seed: number): MemberChoice {
  if (table.kind === 'maglev') return new Maglev(table.slots)
  if (table.kind === 'ring') return new RingHash(table.points)
  if (name === 'ROUND_ROBIN') return new RoundRobin(seed)
  // Random numbers that begin with small ones are small: every worker would begin with the first members.
  const start = rehash(SEED, seed)
  return name === 'LEAST_REQUEST' ? new LeastRequest(start) : new RandomChoice(start)
}
