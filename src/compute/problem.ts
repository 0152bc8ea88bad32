import { escapeControls, shortened } from '../text/plain-text.ts'
import { parseReference } from './reference.ts'

/** What is wrong, for programs: the API makes its error reasons of it. */
export type ProblemCode =
  | 'required'
  | 'invalid'
  | 'unknownField'
  | 'notFound'
  | 'wrongKind'
  | 'alreadyExists'
  | 'conflict'
  | 'unsupported'

/** One thing that is wrong with a resource: where it is, which rule it breaks, and what to do. */
export type Problem = {
  /** Where the resource is: the file's name, `command line`, or empty for an API request. */
  readonly source: string
  /** `backendServices/my-tcp-lb`; `resource 3` while the name is not known; empty for the document as a whole. */
  readonly resource: string
  /** `backends[0].maxUtilization`; empty for the resource as a whole. */
  readonly path: string
  readonly code: ProblemCode
  /** The value and the rule it breaks, one sentence without a full stop: `1.8 is not between 0 and 1`. */
  readonly rule: string
  /** What to do: `give a part such as 0.8`. */
  readonly remedy: string
}

/** How many problems a list holds before it only counts them. */
const PROBLEMS_MAX = 100
/** Characters of a value or of a field's name that a problem repeats. */
const QUOTED_LENGTH_MAX = 80
/** Characters of one part of a formatted problem. Our own sentences are far shorter. */
const PART_LENGTH_MAX = 600

/** Writes a problem as one line: `lb.yaml: backendServices/b: timeoutSec: 0 is not between 1 and 60; give …`. */
export function formatProblem({ source, resource, path, rule, remedy }: Problem): string {
  const parts = [source, resource, path, `${rule}; ${remedy}`].filter((part) => part !== '')
  return parts.map((part) => escapeControls(shortened(part, PART_LENGTH_MAX))).join(': ')
}

/** Problems in the order in which they were found; of a flood only the first are kept, and the rest counted. */
export class ProblemList {
  readonly #problems: Problem[] = []
  #count = 0

  /** How many problems were added, those that are not kept included. */
  get count(): number {
    return this.#count
  }

  add(problem: Problem): void {
    this.#count++
    if (this.#problems.length < PROBLEMS_MAX) this.#problems.push(problem)
  }

  /** The problems; where some are only counted, the last one says how many. */
  toArray(): readonly Problem[] {
    const more = this.#count - this.#problems.length
    if (more === 0) return [...this.#problems]
    const { source, code } = this.#problems[0]
    const rule = `and ${more} more`
    return [...this.#problems, { source, resource: '', path: '', code, rule, remedy: 'fix the problems above first' }]
  }
}

/**
 * Shows a value inside a sentence.
 *
 * Texts are in double quotes, cut and escaped. A mapping or a list is only named, and so is a text that may be a key
 * or a certificate: what a problem says ends up in logs.
 */
export function quoted(value: unknown): string {
  if (typeof value === 'string') return isPerhapsSecret(value) ? nameOfText(value) : quotedText(value)
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value)
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'a mapping' : typeof value
}

/** Appends a field's name to a path; a name that is not a plain word is quoted: `labels["a b"]`. */
export function fieldPath(path: string, name: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(name) && !isPerhapsSecret(name))
    return path === '' ? name : `${path}.${name}`
  return `${path}[${isPerhapsSecret(name) ? `"${nameOfText(name)}"` : quotedText(name)}]`
}

/** PEM says what it is; a long run of base64 that is not all letters is neither a name, a reference nor a word of ours. */
function isPerhapsSecret(text: string): boolean {
  if (!/PRIVATE KEY|[A-Za-z0-9+/=]{48}/.test(text) || /^[A-Za-z]+$/.test(text)) return false
  return parseReference(text)?.collection === undefined
}

function nameOfText(text: string): string {
  return `a text of ${text.length} characters`
}

function quotedText(text: string): string {
  return `"${escapeControls(shortened(text, QUOTED_LENGTH_MAX))}"`
}
