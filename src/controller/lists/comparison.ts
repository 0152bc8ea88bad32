import { isMapping } from '../../compute/json-value.ts'

/** What a filter compares the values of a field with: those of one resource, none where it does not have the field. */
export type Comparison = (found: readonly unknown[]) => boolean

const NUMBER = /^[-+]?(?:[0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$/
const WHOLE_NUMBER = /^[0-9]+$/
/** RFC 3339; a filter may leave out the time of day, and its offset. */
const TIME =
  /^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?([Zz]|[-+][0-9]{2}:?[0-9]{2})?)?$/
const PATH_OF_LINK = /^https?:\/\/[^/]+\/(?:compute\/[a-z0-9]+\/)?(projects\/.+)$/

/** The comparison of `field OPERATOR wanted`, with the operators of AIP-160. */
export function comparison(operator: string, wanted: string): Comparison {
  switch (operator) {
    case '=':
      return (found) => found.some((item) => isEqual(item, wanted))
    case '!=':
      return (found) => !found.some((item) => isEqual(item, wanted))
    case ':':
      return wanted === '*' ? (found) => found.length > 0 : (found) => found.some((item) => has(item, wanted))
    case '<':
      return (found) => found.some((item) => orderOf(item, wanted) < 0)
    case '<=':
      return (found) => found.some((item) => orderOf(item, wanted) <= 0)
    case '>':
      return (found) => found.some((item) => orderOf(item, wanted) > 0)
    default:
      return (found) => found.some((item) => orderOf(item, wanted) >= 0)
  }
}

/** Numbers, times, truth values and links are the same however they are written. */
export function isEqual(found: unknown, wanted: string): boolean {
  if (typeof found === 'boolean') return String(found) === wanted.toLowerCase()
  if (typeof found === 'number') return found === numberOf(wanted)
  const text = textOf(found)
  if (text === wanted) return true
  const time = timeOf(text)
  if (!Number.isNaN(time)) return time === timeOf(wanted)
  const path = pathOfLink(text)
  return path !== undefined && path === pathOfLink(wanted)
}

/** The path from the project on of a resource's URL, on whichever server; undefined: it is none. */
export function pathOfLink(text: string): string | undefined {
  return PATH_OF_LINK.exec(text)?.[1]
}

/** A value as a pattern sees it. */
export function textOf(value: unknown): string {
  return typeof value === 'object' ? '' : String(value)
}

/** A text holds another, with anything in place of `*`; a mapping has a key; other values are equal. */
function has(found: unknown, wanted: string): boolean {
  if (isMapping(found)) return Object.hasOwn(found, wanted)
  if (typeof found !== 'string') return isEqual(found, wanted)
  const text = found.toLowerCase()
  let from = 0
  for (const piece of wanted.toLowerCase().split('*')) {
    const at = text.indexOf(piece, from)
    if (at < 0) return isEqual(found, wanted)
    from = at + piece.length
  }
  return true
}

/** NaN, which is in no order, where a number is compared with what is none. */
function orderOf(found: unknown, wanted: string): number {
  const text = textOf(found)
  // An id has more digits than a number keeps.
  if (WHOLE_NUMBER.test(text) && WHOLE_NUMBER.test(wanted)) return compare(BigInt(text), BigInt(wanted))
  if (typeof found === 'number' || WHOLE_NUMBER.test(text)) return Number(text) - numberOf(wanted)
  if (typeof found !== 'string') return Number.NaN
  const [time, wantedTime] = [timeOf(text), timeOf(wanted)]
  if (!Number.isNaN(time) && !Number.isNaN(wantedTime)) return time - wantedTime
  return compare(text, wanted)
}

function compare<Value extends bigint | string>(one: Value, other: Value): number {
  if (one === other) return 0
  return one < other ? -1 : 1
}

function numberOf(text: string): number {
  return NUMBER.test(text) ? Number(text) : Number.NaN
}

/** Milliseconds since 1970; NaN: the text is no time. Without an offset it is that of UTC. */
function timeOf(text: string): number {
  const match = TIME.exec(text)
  if (match === null) return Number.NaN
  const hasOffset = match[1] === undefined || match[4] !== undefined
  return Date.parse(hasOffset ? text : `${text}Z`)
}
