import { createHash } from 'node:crypto'
import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { compareTexts } from '../../text/compare-texts.ts'
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
  if (isMissing(given)) return
  if (typeof given === 'string' && given.replaceAll('-', '+').replaceAll('_', '/') === current) return
  const value = typeof given === 'string' ? `'${shown(given)}'` : 'what was given'
  const message = `Invalid fingerprint: ${value} in '${field}' is not the current one; get the resource and try again`
  throw new ApiError(412, { message, reason: 'conditionNotMet' })
}

/**
 * The same for labels, tags and metadata, which are replaced as a whole: as with Google, a missing fingerprint is a wrong
 * one.
 */
export function checkNeededFingerprint(field: string, given: unknown, current: string): void {
  checkFingerprint(field, given, current)
  if (!isMissing(given)) return
  const message = `Invalid fingerprint: there is none in '${field}'; get the resource, and send the one that it has`
  throw new ApiError(412, { message, reason: 'conditionNotMet' })
}

/** Refuses the patch or the update of a resource that does not say on which version it was made, in Google's words. */
export function requireFingerprint(given: unknown): void {
  if (!isMissing(given)) return
  const message = "Required field 'resource.fingerprint' not specified: get the resource, and send the one that it has"
  throw new ApiError(400, { message, reason: 'required' })
}

function isMissing(given: unknown): boolean {
  return given === undefined || given === null || given === ''
}

function sorted(mapping: Mapping): Mapping {
  return Object.fromEntries(Object.entries(mapping).sort(([a], [b]) => compareTexts(a, b)))
}
