import { type Static, type TObject, type TProperties, type TSchema, Type } from 'typebox'
import type { ProblemCode } from './problem.ts'

// A resource's schema is plain JSON Schema, and an OpenAPI document can carry it as it is. `readOnly` marks what only
// a server sets, `writeOnly` a secret. What JSON Schema has no word for begins with `x-`; the rules between fields are
// functions, which JSON leaves out.

/** Says that a rule is broken; `path` is relative to the object that the rule belongs to. */
export type Report = (path: string, rule: string, remedy: string, code?: ProblemCode) => void

/** A rule between fields; it is asked only when all fields it looks at are sound by themselves. */
export type Rule<Fields> = {
  readonly over: readonly string[]
  readonly check: (fields: Fields, report: Report) => void
}

/** Makes a rule over some of an object's fields. */
export type RuleMaker<Properties extends TProperties> = <Key extends keyof Properties & string>(
  over: readonly Key[],
  check: (fields: Static<TObject<Pick<Properties, Key>>>, report: Report) => void,
) => Rule<never>

/** What an object has besides its fields. */
export type ObjectOptions<Properties extends TProperties> = {
  readonly rules?: (rule: RuleMaker<Properties>) => readonly Rule<never>[]
  /** Writes a sound object in the one form in which we keep it. */
  readonly normalize?: (value: Static<TObject<Properties>>) => Static<TObject<Properties>>
  readonly default?: Record<string, never>
}

/** A mapping with the fields given and no others; `rules` and `normalize` run when its fields were checked. */
export function object<Properties extends TProperties>(
  description: string,
  properties: Properties,
  { rules = () => [], ...options }: ObjectOptions<Properties> = {},
): TObject<Properties> {
  const required = Object.entries(properties).filter(([, field]) => !Type.IsOptional(field) && !('default' in field))
  const object = Type.Object(properties, {
    description,
    additionalProperties: false,
    rules: rules((over, check) => ({ over, check })),
    ...options,
  })
  // A field with a default is always there once a resource was checked, but a client need not give it.
  return Object.assign(object, { required: required.map(([name]) => name) })
}

/** One of some words. `unsupported` are Google's other words: known, refused, with what to do instead. */
export function oneOf<const Words extends string[]>(
  description: string,
  words: readonly [...Words],
  options: {
    readonly default?: Words[number]
    readonly unsupported?: readonly string[]
    readonly remedy?: string
  } = {},
) {
  const { unsupported = [], remedy, ...rest } = options
  return Type.Enum(words, { description, 'x-unsupported': unsupported, 'x-remedy': remedy, ...rest })
}

/**
 * A text; 2048 characters at most unless told otherwise.
 *
 * Of an optional one with a form, null and the empty text mean that it was left out; with `minLength` 1 they are refused,
 * with `remedy`.
 */
export function text(
  description: string,
  {
    remedy,
    ...options
  }: {
    readonly default?: string
    readonly minLength?: 1
    readonly remedy?: string
    readonly maxLength?: number
    readonly pattern?: string
    readonly format?: string
    readonly examples?: readonly string[]
    readonly writeOnly?: boolean
  } = {},
) {
  return Type.String({ description, maxLength: 2048, 'x-remedy': remedy, ...options })
}

/** A whole number between two bounds. */
export function integer(
  description: string,
  minimum: number,
  maximum: number,
  options: { readonly default?: number; readonly examples?: readonly number[] } = {},
) {
  return Type.Integer({ description, minimum, maximum, ...options })
}

/** A part of a whole, 0 to 1. */
export function fraction(
  description: string,
  options: { readonly default?: number; readonly examples?: readonly number[] },
) {
  return Type.Number({ description, minimum: 0, maximum: 1, ...options })
}

/** True or false. */
export function flag(description: string, options: { readonly default?: boolean } = {}) {
  return Type.Boolean({ description, ...options })
}

/** A list. */
export function list<Item extends TSchema>(
  description: string,
  items: Item,
  options: { readonly default?: readonly never[]; readonly minItems?: number; readonly maxItems?: number } = {},
) {
  return Type.Array(items, { description, ...options })
}

/** Texts by free names, such as labels. */
export function texts(description: string) {
  const values = Type.String({ maxLength: 65_536 })
  return Type.Unsafe<Record<string, string>>({ type: 'object', description, additionalProperties: values })
}

/** A reference to a resource of one of the collections, in any form that `parseReference` reads. */
export function reference(description: string, collections: readonly string[]) {
  return Type.String({ description, maxLength: 2048, format: 'reference', 'x-collections': collections })
}

/** The field may be left out. */
export function optional<Field extends TSchema>(field: Field) {
  return Type.Optional(field)
}

/** Set by a server only: accepted in any shape, and ignored. */
export function outputOnly(description: string) {
  return Type.Optional(Type.Unsafe<never>({ description, readOnly: true }))
}

/** Accepted in any shape and kept as it is, because nothing here depends on it. */
export function recorded(description: string) {
  return Type.Optional(Type.Unknown({ description }))
}

/** Known, but not honoured: accepted and ignored while it is empty, false, 0 or one of the words that change nothing. */
export function unsupported(description: string, harmless: readonly unknown[] = [], remedy = 'remove it') {
  return Type.Optional(Type.Unsafe<never>({ description, 'x-harmless': harmless, 'x-remedy': remedy }))
}
