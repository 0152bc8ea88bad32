import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { quoted } from '../../compute/problem.ts'
import { invalidField } from '../model/api-error.ts'
import { GOOGLE_API } from '../model/resource-paths.ts'
import { type Comparison, comparison, isEqual, pathOfLink, textOf } from './comparison.ts'
import { Patterns } from './patterns.ts'

/** Says whether a resource, as clients see it, is wanted. */
export type Filter = (resource: Mapping) => boolean

const LENGTH_MAX = 8192
const DEPTH_MAX = 50
const REMEDY = 'Write a filter such as name = my-tcp-lb, (status != IN_USE) AND (name : lb) or name eq "my-.*".'

const SPACE = /\s*/y
const OPERATOR = /!=|<=|>=|=|<|>|:|(?:eq|ne)(?=[\s"'(]|$)/y
const FIELD = /(?:[^\s()=<>!:"']|"[^"]*"|'[^']*')+/y
const STEP = /"([^"]*)"|'([^']*)'|([^."']+)/g
const QUOTED = /"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'/sy
const WORD = /[^\s()"'][^\s()]*/y
/** "NOT = x" is a comparison of a field that is called so. */
const KEYWORDS = {
  AND: /AND(?=[\s(]|$)(?!\s*(?:[!<>]?=|[<>:]|(?:eq|ne)\s))/y,
  OR: /OR(?=[\s(]|$)(?!\s*(?:[!<>]?=|[<>:]|(?:eq|ne)\s))/y,
  NOT: /NOT(?=[\s(]|$)(?!\s*(?:[!<>]?=|[<>:]|(?:eq|ne)\s))|-(?=\()/y,
}
/** What ends an unquoted pattern, in which a space is a character like others: another comparison. */
const NEXT_COMPARISON =
  /\s+(?:(?:AND|OR)\s+(?:NOT\s+)?[(\s]*-?[\w.]+\s*(?:[!<>]?=|[<>:]|(?:eq|ne)\s)|[(\s]*-?[\w.]+\s+(?:eq|ne)\s)/y

/**
 * Reads the `filter` of a list.
 *
 * Comparisons `field OP value` in the language of AIP-160: `=`, `!=`, `>`, `<`, `>=`, `<=` and `:` (a text holds the
 * value; `field:*`: the field is there), joined by AND, OR, which binds closer than AND, NOT and parentheses. Or the
 * older `field eq PATTERN` and `field ne PATTERN` in RE2's syntax, for the whole value: a backslash is the pattern's, and
 * without quotes a pattern goes on to the end, or to the parenthesis that closes around it. A field may lead into
 * mappings and lists: `labels.env`, `networkInterfaces.networkIP`.
 *
 * @throws ApiError 400 invalid; so does the filter, when its patterns take too long
 */
export function readFilter(text: string): Filter {
  if (text.trim() === '') return () => true
  if (text.length > LENGTH_MAX) throw refusal(text, `It is longer than ${LENGTH_MAX} characters`)
  return new FilterReader(text).readAll()
}

function refusal(text: string, why: string): Error {
  return invalidField('filter', text, `${why}. ${REMEDY}`)
}

class FilterReader {
  readonly #text: string
  readonly #patterns: Patterns
  /** Behind what was read. */
  #at = 0
  #depth = 0
  /** `eq` and the other operators do not go together. */
  #style: 'old' | 'new' | undefined

  constructor(text: string) {
    this.#text = text.trimEnd()
    this.#patterns = new Patterns((why) => refusal(text, why))
  }

  readAll(): Filter {
    const filter = this.#readConjunction()
    if (!this.#isAtEnd()) throw this.#refusal(`${quoted(this.#text.slice(this.#at))} is too much`)
    return filter
  }

  /** AND may be left out. */
  #readConjunction(): Filter {
    const filters = [this.#readChoice()]
    while (this.#take(KEYWORDS.AND) !== undefined || !(this.#isAtEnd() || this.#text[this.#at] === ')')) {
      filters.push(this.#readChoice())
    }
    return (resource) => filters.every((filter) => filter(resource))
  }

  #readChoice(): Filter {
    const filters = [this.#readOne()]
    while (this.#take(KEYWORDS.OR) !== undefined) filters.push(this.#readOne())
    return (resource) => filters.some((filter) => filter(resource))
  }

  #readOne(): Filter {
    if (++this.#depth > DEPTH_MAX) throw this.#refusal('It is nested too deep')
    const filter = this.#readNegated()
    this.#depth--
    return filter
  }

  #readNegated(): Filter {
    if (this.#take(KEYWORDS.NOT) !== undefined) {
      const filter = this.#readOne()
      return (resource) => !filter(resource)
    }
    if (this.#take(/\(/y) === undefined) return this.#readComparison()
    const filter = this.#readConjunction()
    if (this.#take(/\)/y) === undefined) throw this.#refusal('A parenthesis is not closed')
    return filter
  }

  #readComparison(): Filter {
    const field = this.#take(FIELD)?.[0]
    const operator = this.#take(OPERATOR)?.[0]
    if (field === undefined || operator === undefined) throw this.#refusal('A comparison begins with a field and =')
    const isNegated = field.startsWith('-')
    const steps = stepsOf(isNegated ? field.slice(1) : field)
    if (steps.length === 0) throw this.#refusal('A comparison begins with a field and =')
    const isOld = operator === 'eq' || operator === 'ne'
    const style = isOld ? 'old' : 'new'
    if (this.#style !== undefined && this.#style !== style) throw this.#refusal('It mixes eq with other operators')
    this.#style = style
    const isSame = isOld ? this.#readPattern(operator === 'eq') : comparison(operator, this.#readValue())
    return (resource) => isSame(valuesAt(resource, steps)) !== isNegated
  }

  #readValue(): string {
    const inQuotes = this.#takeQuoted()
    if (inQuotes !== undefined) return inQuotes.replace(/\\(.)/gs, '$1')
    return this.#take(WORD)?.[0] ?? this.#missingValue()
  }

  /** The whole value matches, or is the same number or time: Google's own clients send those without a pattern. */
  #readPattern(isWanted: boolean): Comparison {
    const source = this.#takeQuoted() ?? this.#takeUnquotedPattern()
    const pattern = this.#patterns.compile(source)
    const isMatch = (item: unknown): boolean => {
      const text = textOf(item)
      if (pattern.matches(text) || isEqual(item, source)) return true
      const path = pathOfLink(text)
      return path !== undefined && pattern.matches(`${GOOGLE_API}${path}`)
    }
    return (found) => found.some(isMatch) === isWanted
  }

  #takeQuoted(): string | undefined {
    const match = this.#take(QUOTED)
    if (match === undefined) return undefined
    if (!/^(?:[\s)]|$)/.test(this.#text.slice(this.#at, this.#at + 1)))
      throw this.#refusal('A value ends at its quotes')
    return match[1] ?? match[2]
  }

  #takeUnquotedPattern(): string {
    this.#take(SPACE)
    const start = this.#at
    this.#at = endOfPattern(this.#text, start)
    if (this.#at === start || /["']/.test(this.#text[start])) this.#missingValue()
    return this.#text.slice(start, this.#at)
  }

  #missingValue(): never {
    throw this.#refusal('A comparison ends with a value')
  }

  /** Takes what is here, behind spaces. */
  #take(what: RegExp): RegExpExecArray | undefined {
    SPACE.lastIndex = this.#at
    SPACE.exec(this.#text)
    what.lastIndex = SPACE.lastIndex
    const match = what.exec(this.#text)
    if (match === null) return undefined
    this.#at = what.lastIndex
    return match
  }

  #isAtEnd(): boolean {
    this.#take(SPACE)
    return this.#at >= this.#text.length
  }

  #refusal(why: string): Error {
    return refusal(this.#text, why)
  }
}

/** Where a pattern without quotes ends that begins at `start`. */
function endOfPattern(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const character = text[at]
    if (character === '\\') at++
    else if (character === '[') at = endOfClass(text, at)
    else if (character === '(') depth++
    else if (character === ')' && --depth < 0) return text.slice(0, at).trimEnd().length
    else if (/\s/.test(character)) {
      NEXT_COMPARISON.lastIndex = at
      if (depth === 0 && NEXT_COMPARISON.test(text)) return at
      SPACE.lastIndex = at
      SPACE.exec(text)
      at = SPACE.lastIndex - 1
    }
  }
  return text.length
}

/** Where a class of characters ends; `]` as its first is one of them. */
function endOfClass(text: string, start: number): number {
  let at = text[start + 1] === '^' ? start + 2 : start + 1
  for (at += text[at] === ']' ? 1 : 0; at < text.length && text[at] !== ']'; at++) if (text[at] === '\\') at++
  return at < text.length ? at : start
}

/** `labels."a.b"` as `labels` and `a.b`. */
function stepsOf(field: string): readonly string[] {
  return Array.from(field.matchAll(STEP), ([, double, single, bare]) => double ?? single ?? bare)
}

/** Every value that a path of fields leads to; a list stands for its items. */
function valuesAt(value: unknown, steps: readonly string[], isNamedFreely = false): readonly unknown[] {
  if (Array.isArray(value)) return value.flatMap((item) => valuesAt(item, steps))
  const [step, ...rest] = steps
  if (step === undefined) return value === undefined || value === null ? [] : [value]
  if (!isMapping(value)) return []
  const name = Object.hasOwn(value, step) || isNamedFreely ? step : likeName(value, step)
  return name !== undefined && Object.hasOwn(value, name) ? valuesAt(value[name], rest, name === 'labels') : []
}

/** A field of Compute Engine in another spelling: `creation_timestamp`, `ipAddress`. */
function likeName(value: Mapping, step: string): string | undefined {
  const wanted = spelling(step)
  return Object.keys(value).find((name) => spelling(name) === wanted)
}

function spelling(name: string): string {
  return name.replaceAll('_', '').toLowerCase()
}
