import { isMapping } from '../../compute/json-value.ts'

/** Merges a patch into a value (RFC 7396): null takes a field away, a mapping is merged, anything else replaces. */
export function mergePatch(value: unknown, patch: unknown): unknown {
  if (!isMapping(patch)) return patch
  // A map and fromEntries, because an assignment to the key `__proto__` would set the prototype.
  const merged = new Map(isMapping(value) ? Object.entries(value) : [])
  for (const [name, item] of Object.entries(patch)) {
    if (item === null) merged.delete(name)
    else merged.set(name, mergePatch(merged.get(name), item))
  }
  return Object.fromEntries(merged)
}
