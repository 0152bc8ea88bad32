import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { quoted } from '../../compute/problem.ts'
import { invalidField } from '../model/api-error.ts'
import { Patterns } from './patterns.ts'

/** Says whether a resource, as clients see it, is wanted. */
export type Filter = (resource: Mapping) => boolean

type Token = {
  readonly kind: 'word' | 'text' | 'operator' | 'open' | 'close'
  readonly text: string
  /** Of a text: as it stands between its quotes, since a pattern has backslashes of its own. */
  readonly pattern: string
}

const LENGTH_MAX = 8192
const DEPTH_MAX = 50
const TOKEN = /\s*(?:([()])|(!=|<=|>=|=|<|>|:)|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s()=<>!:"']+))/y
const REMEDY = 'Write a filter such as name = my-tcp-lb, (status != IN_USE) AND (name : lb) or name eq "my-.*".'

/**
 * Reads the `filter` of a list.
 *
 * Comparisons `field OP value` with `=`, `!=`, `>`, `<`, `>=`, `<=` and `:` (a text holds the value; `field:*`: the field
 * is there), joined by AND, OR, NOT and parentheses; or the older `field eq PATTERN` and `field ne PATTERN` in RE2's
 * syntax, for the whole value; a backslash in quotes is the pattern's. A field may lead into mappings and lists: `labels.env`, `networkInterfaces.networkIP`.
 *
 * @throws ApiError 400 invalid; so does the filter, when its patterns take too long
 */
export function readFilter(text: string): Filter {
  if (text.trim() === '') return () => true
  if (text.length > LENGTH_MAX) throw refusal(text, `It is longer than ${LENGTH_MAX} characters`)
  return new FilterReader(text, tokensOf(text)).readAll()
}

function refusal(text: string, why: string): Error {
  return invalidField('filter', text, `${why}. ${REMEDY}`)
}

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = []
  TOKEN.lastIndex = 0
  const end = text.trimEnd().length
  while (TOKEN.lastIndex < end) {
    const match = TOKEN.exec(text)
    if (match === null) throw refusal(text, 'It cannot be read')
    const [, parenthesis, operator, double, single, word] = match
    const inQuotes = double ?? single
    if (parenthesis !== undefined) tokens.push(token(parenthesis === '(' ? 'open' : 'close', parenthesis))
    else if (operator !== undefined) tokens.push(token('operator', operator))
    else if (inQuotes !== undefined) tokens.push(token('text', inQuotes.replace(/\\(.)/gs, '$1'), inQuotes))
    else tokens.push(token('word', word ?? ''))
  }
  return tokens
}

function token(kind: Token['kind'], text: string, pattern = text): Token {
  return { kind, text, pattern }
}

class FilterReader {
  readonly #text: string
  readonly #tokens: readonly Token[]
  readonly #patterns: Patterns
  #index = 0
  #depth = 0
  /** `eq` and the other operators do not go together. */
  #style: 'old' | 'new' | undefined

  constructor(text: string, tokens: readonly Token[]) {
    this.#text = text
    this.#tokens = tokens
    this.#patterns = new Patterns((why) => refusal(text, why))
  }

  readAll(): Filter {
    const filter = this.#readChoice()
    if (this.#index < this.#tokens.length) throw refusal(this.#text, `${quoted(this.#peek()?.text)} is one too many`)
    return filter
  }

  #readChoice(): Filter {
    const filters = [this.#readSequence()]
    while (this.#takeWord('OR')) filters.push(this.#readSequence())
    return (resource) => filters.some((filter) => filter(resource))
  }

  /** AND may be left out. */
  #readSequence(): Filter {
    const filters = [this.#readOne()]
    for (;;) {
      const next = this.#peek()
      const isEnd = next === undefined || next.kind === 'close' || (next.kind === 'word' && next.text === 'OR')
      if (!this.#takeWord('AND') && isEnd) return (resource) => filters.every((filter) => filter(resource))
      filters.push(this.#readOne())
    }
  }

  #readOne(): Filter {
    if (++this.#depth > DEPTH_MAX) throw refusal(this.#text, 'It is nested too deep')
    const filter = this.#readNegated()
    this.#depth--
    return filter
  }

  #readNegated(): Filter {
    if (this.#takeWord('NOT') || this.#takeWord('-')) {
      const filter = this.#readOne()
      return (resource) => !filter(resource)
    }
    if (this.#peek()?.kind !== 'open') return this.#readComparison()
    this.#index++
    const filter = this.#readChoice()
    if (this.#peek()?.kind !== 'close') throw refusal(this.#text, 'A parenthesis is not closed')
    this.#index++
    return filter
  }

  #readComparison(): Filter {
    const [field, operator, value] = this.#tokens.slice(this.#index, this.#index + 3)
    if (field?.kind !== 'word' || operator === undefined || value === undefined) {
      throw refusal(this.#text, 'A comparison is a field, an operator and a value')
    }
    if (value.kind !== 'word' && value.kind !== 'text') throw refusal(this.#text, `${value.text} is no value`)
    this.#index += 3
    const isNegated = field.text.startsWith('-')
    const steps = field.text.slice(isNegated ? 1 : 0).split('.')
    const isSame = this.#comparison(operator, value)
    return (resource) => isSame(valuesAt(resource, steps)) !== isNegated
  }

  #comparison(operator: Token, value: Token): (found: readonly unknown[]) => boolean {
    const style = operator.kind === 'operator' ? 'new' : 'old'
    if (this.#style !== undefined && this.#style !== style)
      throw refusal(this.#text, 'It mixes eq with other operators')
    this.#style = style
    if (operator.text === 'eq' || operator.text === 'ne') {
      const pattern = this.#patterns.compile(value.pattern)
      const isWanted = operator.text === 'eq'
      return (found) => found.some((item) => pattern.matches(textOf(item))) === isWanted
    }
    if (operator.kind !== 'operator') throw refusal(this.#text, `${quoted(operator.text)} is no operator`)
    if (operator.text === '!=') return (found) => !found.some((item) => isEqual(item, value.text))
    if (operator.text === ':' && value.kind === 'word' && value.text === '*') return (found) => found.length > 0
    return (found) => found.some((item) => compare(operator.text, item, value.text))
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#index]
  }

  #takeWord(text: string): boolean {
    const token = this.#peek()
    // "NOT = x" is a comparison of a field that is called so.
    const isTaken = token?.kind === 'word' && token.text === text && this.#tokens[this.#index + 1]?.kind !== 'operator'
    if (isTaken) this.#index++
    return isTaken
  }
}

/** Every value that a path of fields leads to; a list stands for its items. */
function valuesAt(value: unknown, steps: readonly string[]): readonly unknown[] {
  if (Array.isArray(value)) return value.flatMap((item) => valuesAt(item, steps))
  const [step, ...rest] = steps
  if (step === undefined) return value === undefined || value === null ? [] : [value]
  if (!isMapping(value) || !Object.hasOwn(value, step)) return []
  return valuesAt(value[step], rest)
}

function compare(operator: string, found: unknown, wanted: string): boolean {
  if (operator === '=') return isEqual(found, wanted)
  if (operator === ':')
    return textOf(found)
      .toLowerCase()
      .includes(wanted.toLowerCase().replace(/^\*|\*$/g, ''))
  const order = orderOf(found, wanted)
  if (operator === '<') return order < 0
  if (operator === '>') return order > 0
  return operator === '<=' ? order <= 0 : order >= 0
}

function isEqual(found: unknown, wanted: string): boolean {
  return typeof found === 'number' ? found === Number(wanted) : textOf(found) === wanted
}

/** NaN, which is in no order, where a number is compared with what is none. */
function orderOf(found: unknown, wanted: string): number {
  if (typeof found === 'number' || /^[0-9]+$/.test(textOf(found))) return Number(found) - Number(wanted)
  const text = textOf(found)
  if (text === wanted) return 0
  return text < wanted ? -1 : 1
}

function textOf(value: unknown): string {
  return typeof value === 'object' ? '' : String(value)
}
