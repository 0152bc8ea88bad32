/** Levels of lists and mappings that a value kept as it is may have. */
const DEPTH_MAX = 32

/** A JSON object; the names of its fields are whatever somebody wrote. */
export type Mapping = Readonly<Record<string, unknown>>

/** Says whether a value is a mapping. */
export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The mappings of a list; none: it is not a list. */
export function mappingsOf(value: unknown): readonly Mapping[] {
  return Array.isArray(value) ? value.filter(isMapping) : []
}

/** Copies a JSON value; undefined: it is none, or it is nested too deep. */
export function copyJson(value: unknown, depth = 0): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)) return value
  if (typeof value !== 'object' || depth === DEPTH_MAX) return undefined
  const entries = Object.entries(value).map(([key, item]) => [key, copyJson(item, depth + 1)] as const)
  if (entries.some(([, item]) => item === undefined)) return undefined
  // fromEntries, because an assignment to the key `__proto__` would set the prototype.
  return Array.isArray(value) ? entries.map(([, item]) => item) : Object.fromEntries(entries)
}

/** Says whether all that a value holds is empty, false, 0 or one of the given words. */
export function isHarmless(value: unknown, words: readonly unknown[], depth = 0): boolean {
  if (value === undefined || value === null || value === '' || value === false || value === 0) return true
  if (typeof value !== 'object') return words.includes(value)
  return depth < DEPTH_MAX && Object.values(value).every((item) => isHarmless(item, words, depth + 1))
}
