// The form of plain data that another process sends: it is looked at once, where it comes in.

/** Says whether a value has a form. Fields beyond it are no fault: a later version may say more. */
export type Shape = (value: unknown) => boolean

export const isText: Shape = (value) => typeof value === 'string'
/** What goes into URLs and headers: few letters, digits and signs that need no escape; empty: there is none. */
export const isWord: Shape = (value) => typeof value === 'string' && /^[\w.~-]{0,64}$/.test(value)
export const isFlag: Shape = (value) => typeof value === 'boolean'
/** JSON has a way to say infinity: 1e999. */
export const isNumber: Shape = (value) => Number.isFinite(value)

/** Numbers from `min` to `max`. */
export function isBetween(min: number, max: number): Shape {
  return (value) => typeof value === 'number' && value >= min && value <= max
}

/** Whole numbers from `min` to `max`. */
export function isWhole(min: number, max: number): Shape {
  return (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max
}

/** One of a few words. */
export function isOneOf(...words: readonly string[]): Shape {
  return (value) => typeof value === 'string' && words.includes(value)
}

/** The value may be missing, too. */
export function isOptional(shape: Shape): Shape {
  return (value) => value === undefined || shape(value)
}

/** Each of the values of a list. */
export function isListOf(shape: Shape): Shape {
  return (value) => Array.isArray(value) && value.every(shape)
}

/** An object with these fields. */
export function isObjectOf(shapes: Readonly<Record<string, Shape>>): Shape {
  return (value) =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries(shapes).every(([name, shape]) => shape((value as Record<string, unknown>)[name]))
}
