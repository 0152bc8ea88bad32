/** What is remembered of a group between two looks. */
export type DrainMemory = {
  isDrained: boolean
  /** Since when it has had enough healthy members to come back; undefined: it has not. */
  recoveredSinceMs: number | undefined
}

/** A group that may be drained; those of a service whose capacity is 0 anyway are no such groups. */
export type Drainable = { readonly name: string; readonly members: number; readonly healthy: number }

const DRAINED_BELOW = 0.25
const RECOVERED_AT = 0.35
const RECOVERED_FOR_MS = 60_000
/** Of all groups of the service. */
const DRAINED_PART_MAX = 0.5

/**
 * Decides which groups have too few healthy members to be given anything (`autoCapacityDrain`).
 *
 * A group goes below 25 % healthy members, the sickest first, while fewer than half of all groups have gone; it comes
 * back once it has had 35 % for 60 s.
 *
 * @param groupCount all groups of the service, those of capacity 0 included
 */
export function updateDrained(
  groups: readonly Drainable[],
  groupCount: number,
  memoryOf: (name: string) => DrainMemory,
  nowMs: number,
): void {
  let drained = 0
  const candidates: Drainable[] = []
  for (const group of groups) {
    const memory = memoryOf(group.name)
    if (memory.isDrained) returnIfRecovered(group, memory, nowMs)
    if (memory.isDrained) drained++
    else if (group.members > 0 && healthOf(group) < DRAINED_BELOW) candidates.push(group)
  }
  candidates.sort((a, b) => healthOf(a) - healthOf(b) || (a.name < b.name ? -1 : 1))
  for (const { name } of candidates) {
    if ((drained + 1) / groupCount >= DRAINED_PART_MAX) return
    memoryOf(name).isDrained = true
    drained++
  }
}

function returnIfRecovered(group: Drainable, memory: DrainMemory, nowMs: number): void {
  if (healthOf(group) < RECOVERED_AT) {
    memory.recoveredSinceMs = undefined
    return
  }
  memory.recoveredSinceMs ??= nowMs
  if (nowMs - memory.recoveredSinceMs < RECOVERED_FOR_MS) return
  memory.isDrained = false
  memory.recoveredSinceMs = undefined
}

/** A group without members has nothing that could be unhealthy. */
function healthOf({ members, healthy }: Drainable): number {
  return members === 0 ? 1 : healthy / members
}
