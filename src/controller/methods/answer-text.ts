import { ApiError, shown } from '../model/api-error.ts'
import type { ApiResponse } from './api-request.ts'

const ALT = ['alt', '$alt']
const PRETTY_PRINT = ['prettyPrint', '$prettyPrint']
const FALSE = ['false', '0', 'f', 'n', 'no']
const TRUE = ['true', '1', 't', 'y', 'yes', '']

/** Whether an answer is to be for people, with lines and indents. It is, unless `prettyPrint` says false, as Google's. */
export function isPretty(query: URLSearchParams): boolean {
  return !PRETTY_PRINT.some((name) => FALSE.includes(query.get(name)?.toLowerCase() ?? ''))
}

/** @throws ApiError 400 for an `alt` that is not JSON, and a `prettyPrint` that is neither true nor false */
export function checkAnswerForm(query: URLSearchParams): void {
  const check = (parameter: string, isValid: (value: string) => boolean, rule: string): void => {
    const value = query.get(parameter) ?? ''
    if (isValid(value)) return
    const message = `Invalid value '${shown(value)}' for '${parameter}': ${rule}`
    throw new ApiError(400, { message, reason: 'invalidParameter', parameter })
  }
  // Who asks for enums as numbers reads their names as well, as JSON of protocol buffers is defined.
  const isJson = (value: string): boolean => /^(?:json(?:;enum-encoding=int)?)?$/.test(value)
  const isBoolean = (value: string): boolean => [...TRUE, ...FALSE].includes(value.toLowerCase())
  for (const name of ALT) check(name, isJson, 'answers are JSON; give json, or leave it out')
  for (const name of PRETTY_PRINT) check(name, isBoolean, 'give true or false')
}

/** The text of an answer's JSON. */
export function jsonText({ body, isPretty: pretty }: Extract<ApiResponse, { readonly body: unknown }>): string {
  return body === undefined ? '' : JSON.stringify(body, null, pretty === true ? 2 : undefined)
}
