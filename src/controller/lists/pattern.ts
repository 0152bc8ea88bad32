// Patterns come from clients. A backtracking matcher can be made to run for hours by one line of them; this one keeps the
// set of all states that it can be in, so its time is at most the length of the text times that of the pattern.

/** A compiled pattern. */
export type Pattern = { matches(text: string): boolean }

type Test = (character: string) => boolean

type State = { readonly test: Test | undefined; readonly next: number[] }

/** Joins a part of a pattern to the state that follows it, and returns where the part begins. */
type Part = (states: State[], next: number) => number

const STATES_MAX = 5000
const REPEATS_MAX = 1000
const CLASSES: Readonly<Record<string, Test>> = {
  d: (character) => /^[0-9]$/.test(character),
  w: (character) => /^[0-9A-Za-z_]$/.test(character),
  s: (character) => /^[\t\n\f\r ]$/.test(character),
}

/**
 * Compiles a pattern in the common part of RE2's syntax, which has to match a whole text; undefined: it is none.
 *
 * Literals, `.`, `[a-z]`, `[^…]`, `\d \w \s` and their opposites, `( )`, `(?: )`, `|`, `* + ? {2,5}`, `^` at the
 * beginning and `$` at the end.
 */
export function compilePattern(source: string): Pattern | undefined {
  const reader = new PatternReader(source.replace(/^\^/, '').replace(/(?<!\\)\$$/, ''))
  try {
    const part = reader.readAll()
    const states: State[] = [{ test: undefined, next: [] }]
    const start = part(states, 0)
    return { matches: (text) => isMatch(states, start, text) }
  } catch (error) {
    if (error instanceof PatternError) return undefined
    throw error
  }
}

class PatternError extends Error {}

function isMatch(states: readonly State[], start: number, text: string): boolean {
  let current = reachable(states, [start])
  for (const character of text) {
    const next: number[] = []
    for (const index of current) if (states[index].test?.(character)) next.push(...states[index].next)
    current = reachable(states, next)
    if (current.size === 0) return false
  }
  return current.has(0)
}

function reachable(states: readonly State[], from: readonly number[]): ReadonlySet<number> {
  const found = new Set<number>()
  const open = [...from]
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if (found.has(index)) continue
    found.add(index)
    if (states[index].test === undefined) open.push(...states[index].next)
  }
  return found
}

class PatternReader {
  readonly #characters: readonly string[]
  #index = 0
  #depth = 0

  constructor(source: string) {
    this.#characters = [...source]
  }

  readAll(): Part {
    const part = this.#readChoice()
    if (this.#index < this.#characters.length) throw new PatternError()
    return part
  }

  #readChoice(): Part {
    const parts = [this.#readSequence()]
    while (this.#take('|')) parts.push(this.#readSequence())
    return parts.length === 1
      ? parts[0]
      : (states, next) => add(states, undefined, ...parts.map((p) => p(states, next)))
  }

  #readSequence(): Part {
    const parts: Part[] = []
    while (this.#index < this.#characters.length && !['|', ')'].includes(this.#characters[this.#index])) {
      parts.push(this.#readRepeated())
    }
    return (states, next) => parts.reduceRight((after, part) => part(states, after), next)
  }

  #readRepeated(): Part {
    let part = this.#readOne()
    for (;;) {
      if (this.#take('*')) part = repeated(part, 0, undefined)
      else if (this.#take('+')) part = repeated(part, 1, undefined)
      else if (this.#take('?')) part = repeated(part, 0, 1)
      else if (this.#take('{')) part = this.#readCounts(part)
      else return part
    }
  }

  #readCounts(part: Part): Part {
    const end = this.#characters.indexOf('}', this.#index)
    const counts = /^([0-9]{1,4})(,([0-9]{0,4}))?$/.exec(this.#characters.slice(this.#index, Math.max(end, 0)).join(''))
    if (counts === null) throw new PatternError()
    this.#index = end + 1
    const minimum = Number(counts[1])
    const maximum = counts[2] === undefined ? minimum : counts[3] === '' ? undefined : Number(counts[3])
    if (minimum > REPEATS_MAX || (maximum !== undefined && (maximum > REPEATS_MAX || maximum < minimum))) {
      throw new PatternError()
    }
    return repeated(part, minimum, maximum)
  }

  #readOne(): Part {
    const character = this.#next()
    if (character === '(') return this.#readGroup()
    if (character === '[') return one(this.#readClass())
    if (character === '.') return one((found) => found !== '\n')
    if (character === '\\') return one(this.#readEscape())
    if ('*+?{)]}^$'.includes(character) && character !== ']' && character !== '}') throw new PatternError()
    return one((found) => found === character)
  }

  #readGroup(): Part {
    if (++this.#depth > 50) throw new PatternError()
    if (this.#take('?') && !this.#take(':')) throw new PatternError()
    const part = this.#readChoice()
    if (!this.#take(')')) throw new PatternError()
    this.#depth--
    return part
  }

  #readEscape(): Test {
    const character = this.#next()
    const isOf = CLASSES[character.toLowerCase()]
    if (isOf !== undefined) return character === character.toLowerCase() ? isOf : (found) => !isOf(found)
    if (/[0-9A-Za-z]/.test(character)) throw new PatternError()
    return (found) => found === character
  }

  #readClass(): Test {
    const isNegated = this.#take('^')
    const tests: Test[] = []
    for (let isFirst = true; isFirst || !this.#take(']'); isFirst = false) {
      const first = this.#next()
      if (first === '\\') tests.push(this.#readEscape())
      else if (this.#characters[this.#index] === '-' && this.#characters[this.#index + 1] !== ']') {
        this.#index++
        const last = this.#next()
        if (last === '\\' || last < first) throw new PatternError()
        tests.push((found) => found >= first && found <= last)
      } else tests.push((found) => found === first)
    }
    return (found) => tests.some((test) => test(found)) !== isNegated
  }

  #take(character: string): boolean {
    if (this.#characters[this.#index] !== character) return false
    this.#index++
    return true
  }

  #next(): string {
    const character = this.#characters[this.#index++]
    if (character === undefined) throw new PatternError()
    return character
  }
}

function one(test: Test): Part {
  return (states, next) => add(states, test, next)
}

function repeated(part: Part, minimum: number, maximum: number | undefined): Part {
  return (states, next) => {
    let start = next
    if (maximum === undefined) {
      // A state that is entered again after each round.
      const loop = add(states, undefined, next)
      states[loop].next.push(part(states, loop))
      start = loop
    } else {
      for (let count = minimum; count < maximum; count++) start = add(states, undefined, part(states, start), next)
    }
    for (let count = 0; count < minimum; count++) start = part(states, start)
    return start
  }
}

function add(states: State[], test: Test | undefined, ...next: number[]): number {
  if (states.length === STATES_MAX) throw new PatternError()
  return states.push({ test, next }) - 1
}
