import type { Mapping } from '../../compute/json-value.ts'
import { shortened } from '../../text/plain-text.ts'

/** One thing that is wrong with a request, as Google's errors list it. */
export type ErrorDetail = {
  readonly message: string
  /** `invalid`, `required`, `notFound`, `alreadyExists`, `conditionNotMet`, `resourceInUseByAnotherResource` and so on. */
  readonly reason: string
  /** The parameter that is wrong, where it is one that all of Google's APIs have. */
  readonly parameter?: string
}

/** Characters of a name or a path that a message repeats. */
const SHOWN_LENGTH_MAX = 300

/** A request that is refused; it is thrown where the reason is found and answered by `Api.handle`. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly details: readonly ErrorDetail[]

  constructor(status: number, ...details: readonly ErrorDetail[]) {
    super(details[0]?.message ?? 'The request was refused')
    this.status = status
    this.details = details
  }
}

/** The body of an error in the form of Google's APIs. */
export function errorBody({ status, message, details }: Pick<ApiError, 'status' | 'message' | 'details'>): Mapping {
  const errors = details.map(({ message: text, reason, parameter }) => ({
    message: text,
    domain: 'global',
    reason,
    ...(parameter === undefined ? {} : { location: parameter, locationType: 'parameter' }),
  }))
  return { error: { code: status, message, errors } }
}

/** There is no resource of this path, `projects/p/global/healthChecks/hc`. */
export function notFound(path: string): ApiError {
  return new ApiError(404, { message: `The resource '${shown(path)}' was not found`, reason: 'notFound' })
}

/** A field has a value that cannot be; `rule` says why, and what to do. */
export function invalidField(field: string, value: string, rule: string): ApiError {
  return new ApiError(400, { message: invalidFieldMessage(field, value, rule), reason: 'invalid' })
}

/** The message of {@link invalidField}. */
export function invalidFieldMessage(field: string, value: string, rule: string): string {
  return `Invalid value for field '${shown(field)}': '${shown(value)}'. ${rule}`
}

/** The part of a text that a message repeats. */
export function shown(text: string): string {
  return shortened(text, SHOWN_LENGTH_MAX)
}
