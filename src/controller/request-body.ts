import { checkValue } from '../compute/check-value.ts'
import { isMapping, type Mapping } from '../compute/json-value.ts'
import { type Problem, ProblemList } from '../compute/problem.ts'
import { ApiError, invalidField } from './api-error.ts'
import type { ApiRequest } from './api-request.ts'
import type { Call } from './call.ts'
import { withInstanceAddresses } from './groups.ts'
import { errorOfProblems } from './problem-errors.ts'

/** Deeper than any resource; what is nested deeper could exhaust the stack of what walks through it. */
const DEPTH_MAX = 64

/**
 * The JSON object that a method takes; nothing, null and an empty text, which some clients send, are an empty one.
 *
 * @throws ApiError 400
 */
export function readBody({ body, rawBody }: ApiRequest): Mapping {
  if (body === undefined && rawBody.length > 0) {
    throw new ApiError(400, { message: 'Parse Error: the body is not JSON', reason: 'parseError' })
  }
  if (body === undefined || body === null || body === '') return {}
  if (!isMapping(body)) throw invalidField('resource', '', 'The body is not a JSON object')
  if (isTooDeep(body)) throw invalidField('resource', '', `It is nested deeper than ${DEPTH_MAX} levels`)
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
