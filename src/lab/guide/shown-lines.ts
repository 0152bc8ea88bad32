/** What stands for anything in a line of the guide, with the spaces around it. */
const ANYTHING = / ?… ?/

/** How far what was printed is what the guide shows. */
export type Comparison = {
  /** The lines as they were printed. */
  readonly found: readonly string[]
  /** The first that was not printed; undefined: all were. */
  readonly missing: string | undefined
  /** The index behind the last line that was found. */
  readonly end: number
}

/**
 * Looks for the lines that the guide shows among those that were printed, from an index on: in this order, others may be
 * between them. Spaces count as one, and `…` stands for anything.
 */
export function compareShown(shown: readonly string[], printed: readonly string[], from = 0): Comparison {
  const found: string[] = []
  let end = from
  for (const line of shown) {
    const pattern = patternOf(line)
    const at = printed.findIndex((text, index) => index >= end && pattern.test(withoutSpaces(text)))
    if (at < 0) return { found, missing: line, end }
    found.push(printed[at].trim())
    end = at + 1
  }
  return { found, missing: undefined, end }
}

function patternOf(line: string): RegExp {
  const parts = withoutSpaces(line).split(ANYTHING)
  return new RegExp(`^${parts.map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('.*')}$`)
}

function withoutSpaces(line: string): string {
  return line.trim().replaceAll(/\s+/g, ' ')
}
