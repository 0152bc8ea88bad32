import { createHash } from 'node:crypto'
import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { ApiError, shown } from './api-error.ts'

/** Eight bytes make the twelve characters that Google's fingerprints have. */
const BYTE_COUNT = 8

/**
 * A hash of a JSON value, in base64: gcloud decodes it and fails on anything else. The order of fields does not matter,
 * so that a client may send back what it got.
 */
export function fingerprintOf(value: unknown): string {
  const text = JSON.stringify(value, (_, item: unknown) => (isMapping(item) ? sorted(item) : item)) ?? ''
  const digest = createHash('sha256').update(text).digest()
  return digest.subarray(0, BYTE_COUNT).toString('base64')
}

/**
 * Refuses a change that was made on top of something else than what there is; without a fingerprint it is not asked.
 *
 * `given` may be in base64 or, as some clients write bytes, in base64url.
 *
 * @throws ApiError 412 conditionNotMet
 */
export function checkFingerprint(field: string, given: unknown, current: string): void {
  if (given === undefined || given === null || given === '') return
  if (typeof given === 'string' && given.replaceAll('-', '+').replaceAll('_', '/') === current) return
  const value = typeof given === 'string' ? `'${shown(given)}'` : 'what was given'
  const message = `Invalid fingerprint: ${value} in '${field}' is not that of the resource; get it and try again`
  throw new ApiError(412, { message, reason: 'conditionNotMet' })
}

function sorted(mapping: Mapping): Mapping {
  return Object.fromEntries(Object.entries(mapping).sort(([a], [b]) => (a < b ? -1 : 1)))
}
