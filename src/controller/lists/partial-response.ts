import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { ApiError, shown } from '../model/api-error.ts'

/** The fields that a client wants of an answer: for each the names that lead to it, where `*` is any. */
export type FieldPaths = readonly (readonly string[])[]

const LENGTH_MAX = 4000
/** Each of them is compared with each field of an answer. */
const PATHS_MAX = 200
const DEPTH_MAX = 16
const TOKENS = /[A-Za-z0-9_-]+|[*/,()]/gy
const NAME = /^(?:[A-Za-z0-9_-]+|\*)$/

/**
 * Reads `fields`, a parameter that all of Google's APIs have: `items(name,tags/items),nextPageToken`.
 *
 * @returns undefined: the whole answer is wanted
 * @throws ApiError 400 invalidParameter
 */
export function readFields(query: URLSearchParams): FieldPaths | undefined {
  const text = query.get('fields') ?? query.get('$fields') ?? ''
  if (text === '') return undefined
  const paths = text.length > LENGTH_MAX ? undefined : readAll(text)
  if (paths !== undefined && paths.length <= PATHS_MAX) return paths
  const message = `Invalid field selection ${shown(text)}; write at most ${PATHS_MAX} such as items(name,tags/items),nextPageToken`
  throw new ApiError(400, { message, reason: 'invalidParameter', parameter: 'fields' })
}

/** The part of an answer that is wanted; what is not there is left out. */
export function partOf(value: Mapping, paths: FieldPaths): Mapping {
  const entries = Object.entries(value).flatMap(([name, item]) => {
    const rest = paths.filter(([first]) => first === name || first === '*').map((path) => path.slice(1))
    if (rest.length === 0) return []
    const part = rest.some((path) => path.length === 0) ? item : partOfAny(item, rest)
    return part === undefined ? [] : [[name, part] as const]
  })
  return Object.fromEntries(entries)
}

/** Of a list the parts of its items; undefined: a text or a number has none. */
function partOfAny(value: unknown, paths: FieldPaths): unknown {
  if (Array.isArray(value)) return value.flatMap((item) => partOfAny(item, paths) ?? [])
  return isMapping(value) ? partOf(value, paths) : undefined
}

function readAll(text: string): FieldPaths | undefined {
  const tokens = text.match(TOKENS) ?? []
  if (tokens.join('').length < text.length) return undefined
  const paths = readSelection(tokens, [])
  return tokens.length === 0 ? paths : undefined
}

/** Takes `a,b/c,d(e,f)` from the front of the tokens; undefined: something else is there. */
function readSelection(tokens: string[], outer: readonly string[]): FieldPaths | undefined {
  const paths: (readonly string[])[] = []
  do {
    const read = readOne(tokens, outer)
    if (read === undefined) return undefined
    paths.push(...read)
  } while (take(tokens, ','))
  return paths
}

/** Takes `a/b` or `a/b(c,d)`. What is open at once is bounded by the names before it. */
function readOne(tokens: string[], outer: readonly string[]): FieldPaths | undefined {
  const path = [...outer]
  do {
    const name = tokens.shift()
    if (name === undefined || !NAME.test(name) || path.length === DEPTH_MAX) return undefined
    path.push(name)
  } while (take(tokens, '/'))
  if (!take(tokens, '(')) return [path]
  const paths = readSelection(tokens, path)
  return take(tokens, ')') ? paths : undefined
}

function take(tokens: string[], token: string): boolean {
  if (tokens[0] !== token) return false
  tokens.shift()
  return true
}
