import { ApiError, shown } from '../model/api-error.ts'
import type { ApiResponse } from './api-request.ts'

const PARAMETERS = ['prettyPrint', '$prettyPrint']
const FALSE = ['false', '0', 'f', 'n', 'no']
const TRUE = ['true', '1', 't', 'y', 'yes', '']

/** Whether an answer is to be for people, with lines and indents. It is, unless `prettyPrint` says false, as Google's. */
export function isPretty(query: URLSearchParams): boolean {
  return !PARAMETERS.some((name) => FALSE.includes(query.get(name)?.toLowerCase() ?? ''))
}

/** @throws ApiError 400 for a `prettyPrint` that is neither true nor false */
export function checkPrettyPrint(query: URLSearchParams): void {
  for (const parameter of PARAMETERS) {
    const value = query.get(parameter) ?? ''
    if ([...TRUE, ...FALSE].includes(value.toLowerCase())) continue
    const message = `Invalid value '${shown(value)}' for '${parameter}': give true or false`
    throw new ApiError(400, { message, reason: 'invalidParameter', parameter })
  }
}

/** The text of an answer's JSON. */
export function jsonText({ body, isPretty: pretty }: Extract<ApiResponse, { readonly body: unknown }>): string {
  return body === undefined ? '' : JSON.stringify(body, null, pretty === true ? 2 : undefined)
}
