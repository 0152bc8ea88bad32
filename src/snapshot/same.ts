/** Compares plain data by content. A field that is missing is one that is undefined: a snapshot may come from a file. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const ours = a as Readonly<Record<string, unknown>>
  const theirs = b as Readonly<Record<string, unknown>>
  return Object.keys(a).every((name) => isSame(ours[name], theirs[name])) && definedCount(ours) === definedCount(theirs)
}

function definedCount(value: Readonly<Record<string, unknown>>): number {
  let count = 0
  for (const name of Object.keys(value)) if (value[name] !== undefined) count += 1
  return count
}
