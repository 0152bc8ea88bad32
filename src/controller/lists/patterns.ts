import { RE2JS, RE2JSException } from 're2js'
import { quoted } from '../../compute/problem.ts'

/** A compiled pattern. */
export type Pattern = {
  /** Whether it matches the whole text. @throws what `refuse` makes, once the time of all patterns is over */
  matches(text: string): boolean
}

/** For all patterns of one filter over one page, compiled and matched; as long, everybody else waits. */
const TIME_MAX_MS = 1_000
/** Characters of a pattern, times how often the most repeated of them is repeated: 0.4 s to compile. */
const EXPANDED_LENGTH_MAX = 20_000
/** Steps of a program, times characters of a text: what a single match may take at worst, a quarter of a second. */
const WORK_MAX = 5_000_000

/**
 * The patterns of one filter, in RE2's syntax.
 *
 * They come from clients. RE2 takes time in proportion to pattern and text, whatever both are; but `x{1000}` is a thousand
 * times its pattern, and a list has many texts. So there are bounds for one pattern, for one match, and for all of both.
 */
export class Patterns {
  readonly #refuse: (why: string) => Error
  readonly #clock: () => number
  #spentMs = 0

  /** @param refuse makes the error of a pattern that is none, or of too much work */
  constructor(refuse: (why: string) => Error, clock: () => number = () => performance.now()) {
    this.#refuse = refuse
    this.#clock = clock
  }

  /** Compiles one more. @throws what `refuse` makes */
  compile(source: string): Pattern {
    if (expandedLength(source) > EXPANDED_LENGTH_MAX) throw this.#refuse(`${quoted(source)} repeats too much`)
    const compiled = this.#timed(() => compile(source))
    if (compiled === undefined) throw this.#refuse(`${quoted(source)} is not a valid pattern`)
    const size = compiled.programSize()
    return {
      matches: (text) => {
        if (size * text.length > WORK_MAX) throw this.#refuse(`${quoted(source)} is too much for a text that long`)
        return this.#timed(() => compiled.testExact(text))
      },
    }
  }

  #timed<Result>(work: () => Result): Result {
    if (this.#spentMs > TIME_MAX_MS) throw this.#refuse('Its patterns take too long')
    const startMs = this.#clock()
    const result = work()
    this.#spentMs += this.#clock() - startMs
    return result
  }
}

function compile(source: string): RE2JS | undefined {
  try {
    return RE2JS.compile(source)
  } catch (error) {
    if (error instanceof RE2JSException) return undefined
    throw error
  }
}

/**
 * A bound on the length of a pattern whose repetitions are written out, found without reading it properly: what is
 * inside of a group may be repeated by every count that follows one (or another repetition), and RE2 itself allows a thousand times at most.
 */
function expandedLength(source: string): number {
  let ofGroups = 1
  let ofCharacters = 1
  for (const [, before, minimum, maximum = ''] of source.matchAll(/(?<=(.))\{([0-9]+)(?:,([0-9]*))?\}/gs)) {
    const count = Math.max(Number(minimum), Number(maximum), 1)
    if (')}*+?'.includes(before)) ofGroups *= count
    else ofCharacters = Math.max(ofCharacters, count)
  }
  return source.length * Math.min(ofGroups * ofCharacters, 1000)
}
