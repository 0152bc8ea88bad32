/** Counts and describes the tests of one file while `node --test` says what became of them. */
import { isAbsolute, relative } from 'node:path'
import { inspect, styleText } from 'node:util'

/** What tests measured belongs to the full run, and to failures. */
const showsNotes = process.env.TRUEPEER_TEST_NOTES !== undefined
const hasColours = process.stdout.isTTY === true && process.env.NO_COLOR === undefined

/**
 * What became of one test or suite, in the parts used here (the same on Node 20 and 24).
 *
 * @typedef {{ readonly failureType?: string, readonly cause?: unknown, readonly exitCode?: number | null }} Failure
 * @typedef {{
 *   readonly name: string, readonly nesting: number, readonly file?: string | undefined,
 *   readonly skip?: string | boolean | undefined, readonly todo?: string | boolean | undefined,
 *   readonly details: { readonly duration_ms: number, readonly type?: string | undefined, readonly error?: Failure },
 * }} Outcome
 */

/** The tests of one file. Only leaves are counted: a suite, or a test with subtests, counts only if it fails itself. */
export class TestFileReport {
  passedCount = 0
  /** @type {string[]} */
  failures = []
  /** @type {string[]} */
  skipped = []
  /** What the tests said with `t.diagnostic()`. @type {string[]} */
  notes = []
  /** What the file wrote to stdout and stderr. */
  output = ''
  #durationMs = 0
  /** Outcomes by nesting since the last one above it: a parent's outcome follows its children's. @type {number[]} */
  #childCounts = []

  /** @param {string} path as `sourcePath` gives it */
  constructor(path) {
    this.path = path
  }

  /** @param {Outcome} outcome */
  add({ name, nesting, details, skip, todo }) {
    const isGroup = details.type === 'suite' || (this.#childCounts[nesting + 1] ?? 0) > 0
    this.#childCounts[nesting + 1] = 0
    this.#childCounts[nesting] = (this.#childCounts[nesting] ?? 0) + 1
    if (nesting === 0) this.#durationMs += details.duration_ms

    const { error } = details
    const isWholeFile = sourcePath(name) === this.path
    if (skip !== undefined || todo !== undefined) {
      const reason = [skip, todo].find((text) => typeof text === 'string') ?? 'no reason given'
      this.skipped.push(`${name}: ${reason.split('\n')[0]}`)
    } else if (error === undefined) {
      // A file without any test arrives as a passed test with the file's name.
      if (!isGroup && !isWholeFile) this.passedCount++
    } else if (error.failureType !== 'subtestsFailed') {
      this.failures.push(`${isWholeFile ? 'the file as a whole' : name}\n${indented(failureText(error))}`)
    }
  }

  /** One line; under it the notes, where they are shown, the failures, and the output of a file that failed. */
  describe() {
    const hasFailed = this.failures.length > 0
    const mark = hasFailed ? painted('red', 'FAIL') : painted('green', 'ok  ')
    const counts = countsText(this.passedCount, this.failures.length, this.skipped.length)
    const lines = [`${mark} ${this.path}: ${counts} (${Math.round(this.#durationMs)} ms)`]
    if (hasFailed || showsNotes) for (const note of this.notes) lines.push(indented(note))
    for (const failure of this.failures) lines.push(indented(`${painted('red', 'x')} ${failure}`))
    if (hasFailed && this.output !== '') lines.push(indented(`output of the file:\n${indented(this.output.trimEnd())}`))
    return `${lines.join('\n')}\n`
  }
}

/**
 * The source of a compiled test, relative to the working directory: what a reader opens.
 *
 * @param {string} path
 */
export function sourcePath(path) {
  const fromHere = isAbsolute(path) ? relative(process.cwd(), path) : path
  return fromHere.replace(/^dist\/(.*)\.js$/, '$1.ts')
}

/**
 * "N passed, N failed", with ", N skipped" when there are any.
 *
 * @param {number} passedCount
 * @param {number} failedCount
 * @param {number} skippedCount
 */
export function countsText(passedCount, failedCount, skippedCount) {
  return `${passedCount} passed, ${failedCount} failed${skippedCount > 0 ? `, ${skippedCount} skipped` : ''}`
}

/** @param {Failure} failure */
function failureText({ cause, exitCode, failureType }) {
  if (exitCode !== undefined && exitCode !== null) return `ended with exit code ${exitCode}`
  if (typeof cause === 'string') return cause
  // The stack of an AssertionError begins with its message and the difference; its properties only repeat them.
  if (cause instanceof Error && 'code' in cause && cause.code === 'ERR_ASSERTION') return cause.stack ?? cause.message
  return cause === undefined ? String(failureType) : inspect(cause, { colors: hasColours, depth: 5 })
}

/** @param {string} text */
function indented(text) {
  return text.replace(/^(?=.)/gm, '  ')
}

/**
 * @param {'red' | 'green'} colour
 * @param {string} text
 */
function painted(colour, text) {
  return hasColours ? styleText(colour, text) : text
}
