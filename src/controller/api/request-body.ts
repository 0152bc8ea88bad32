import { checkValue } from '../../compute/check-value.ts'
import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { fieldPath, type Problem, ProblemList } from '../../compute/problem.ts'
import type { ApiRequest } from '../methods/api-request.ts'
import type { Call } from '../methods/call.ts'
import { ApiError, invalidField } from '../model/api-error.ts'
import { withInstanceAddresses } from '../resources/groups.ts'
import { errorOfProblems } from '../resources/problem-errors.ts'

/** Deeper than any resource; what is nested deeper could exhaust the stack of what walks through it. */
const DEPTH_MAX = 64
/** Fields and entries of lists, on all levels: 10 MB of them would keep everybody else waiting for seconds. */
const VALUES_MAX = 20_000
const [QUOTE, BACKSLASH, COMMA, BRACE, BRACKET, COLON, BRACE_END, BRACKET_END] = Buffer.from('"\\,{[:}]')

/**
 * The JSON object that a method takes; nothing, null and an empty text, which some clients send, are an empty one.
 *
 * @throws ApiError 400
 */
export function readBody({ body, rawBody }: ApiRequest): Mapping {
  if (body === undefined && rawBody.length > 0) {
    throw new ApiError(400, { message: 'Parse Error: the body is not JSON', reason: 'parseError' })
  }
  if (hasTooMany(rawBody)) throw invalidField('resource', '', `It contains more than ${VALUES_MAX} values`)
  if (body === undefined || body === null || body === '') return {}
  if (!isMapping(body)) throw invalidField('resource', '', 'The body is not a JSON object')
  const repeated = repeatedKey(rawBody)
  if (repeated !== undefined) throw invalidField(repeated.path, repeated.key, 'The field is there twice; remove one')
  if (isTooDeep(body)) throw invalidField('resource', '', `It is nested more than ${DEPTH_MAX} levels deep`)
  return body
}

function isTooDeep(body: Mapping): boolean {
  let level: readonly unknown[] = [body]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DEPTH_MAX) return true
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []))
  }
  return false
}

/** Says whether a JSON text has more values than a bound, without making them: that alone can take seconds. */
function hasTooMany(text: Uint8Array): boolean {
  let count = 0
  let isText = false
  for (let index = 0; index < text.length; index++) {
    const byte = text[index]
    if (byte === QUOTE) isText = !isText
    else if (isText && byte === BACKSLASH) index++
    else if (!isText && (byte === COMMA || byte === BRACE || byte === BRACKET) && ++count > VALUES_MAX) return true
  }
  return false
}

/** A mapping or a list that a reader of JSON is inside of. */
type Level = {
  /** Of a mapping; undefined: it is a list. */
  readonly keys: Set<string> | undefined
  /** The key or the index of what is read. */
  at: string | number
}

/** A field that is given twice in one mapping of a JSON text, of which a parser would keep the last; and where it is. */
function repeatedKey(text: Uint8Array): { readonly path: string; readonly key: string } | undefined {
  const levels: Level[] = []
  let [start, end] = [0, 0]
  for (let index = 0; index < text.length; index++) {
    const byte = text[index]
    if (byte === QUOTE) {
      start = index++
      while (index < text.length && text[index] !== QUOTE) index += text[index] === BACKSLASH ? 2 : 1
      end = index + 1
    } else if (byte === BRACE) levels.push({ keys: new Set(), at: '' })
    else if (byte === BRACKET) levels.push({ keys: undefined, at: 0 })
    else if (byte === BRACE_END || byte === BRACKET_END) levels.pop()
    else if (byte === COMMA) {
      const level = levels.at(-1)
      if (typeof level?.at === 'number') level.at++
    } else if (byte === COLON) {
      const level = levels.at(-1)
      // Outside of texts, a colon follows a key and nowhere else.
      const key = String(JSON.parse(Buffer.from(text.subarray(start, end)).toString()))
      if (level?.keys === undefined) continue
      level.at = key
      if (level.keys.has(key)) return { path: pathTo(levels), key }
      level.keys.add(key)
    }
  }
  return undefined
}

function pathTo(levels: readonly Level[]): string {
  return levels.reduce((path, { at }) => (typeof at === 'number' ? `${path}[${at}]` : fieldPath(path, at)), 'resource')
}

/**
 * The body of an action, checked and with defaults; `{}` where the method takes none.
 *
 * @throws ApiError 400
 */
export function readActionBody(call: Call): Mapping {
  const { request, route } = call
  const { body: schema } = route.method
  if (schema === undefined) return {}
  const given = readBody(request)
  const isOfEndpoints = route.method.collection === 'networkEndpointGroups'
  const body = isOfEndpoints ? { ...given, ...withInstanceAddresses(given, call, route.scope) } : given
  const problems = new ProblemList()
  const findings = {
    report: (path: string, rule: string, remedy: string, code: Problem['code'] = 'invalid') => {
      problems.add({ source: '', resource: '', path, code, rule, remedy })
    },
    get count() {
      return problems.count
    },
  }
  const checked = checkValue(schema, body, '', findings)
  if (problems.count > 0) throw errorOfProblems(problems.toArray(), body)
  return checked as Mapping
}
