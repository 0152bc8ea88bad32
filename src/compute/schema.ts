import {
  isOptional,
  type ListSchema,
  type ObjectSchema,
  OPTIONAL,
  type OptionalSchema,
  type Properties,
  type Report,
  type Rule,
  type Schema,
  type ValueOf,
} from './json-schema.ts'

/** Makes a rule over some of an object's fields. */
export type RuleMaker<Fields extends Properties> = <Key extends keyof Fields & string>(
  over: readonly Key[],
  check: (fields: ValueOf<ObjectSchema<Pick<Fields, Key>>>, report: Report) => void,
) => Rule<never>

/** What an object has besides its fields. */
export type ObjectOptions<Fields extends Properties> = {
  readonly rules?: (rule: RuleMaker<Fields>) => readonly Rule<never>[]
  /** Writes a sound object in the one form in which we keep it. */
  readonly normalize?: (value: ValueOf<ObjectSchema<Fields>>) => ValueOf<ObjectSchema<Fields>>
  readonly default?: Record<string, never>
}

/** A mapping with the fields given and no others; `rules` and `normalize` run when its fields were checked. */
export function object<Fields extends Properties>(
  description: string,
  properties: Fields,
  { rules = () => [], ...options }: ObjectOptions<Fields> = {},
): ObjectSchema<Fields> {
  const isRequired = (field: Schema): boolean => !isOptional(field) && !('default' in field)
  return {
    type: 'object',
    // A field with a default is always there once a resource was checked, but a client need not give it.
    required: Object.keys(properties).filter((name) => isRequired(properties[name])),
    properties,
    description,
    additionalProperties: false,
    rules: rules((over, check) => ({ over, check })),
    ...options,
  }
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
): Schema<Words[number]> {
  const { unsupported = [], remedy, ...rest } = options
  return { enum: words, description, 'x-unsupported': unsupported, 'x-remedy': remedy, ...rest }
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
): Schema<string> {
  return { type: 'string', description, maxLength: 2048, 'x-remedy': remedy, ...options }
}

/** A whole number between two bounds. */
export function integer(
  description: string,
  minimum: number,
  maximum: number,
  options: { readonly default?: number; readonly examples?: readonly number[] } = {},
): Schema<number> {
  return { type: 'integer', description, minimum, maximum, ...options }
}

/** A part of a whole, 0 to 1. */
export function fraction(
  description: string,
  options: { readonly default?: number; readonly examples?: readonly number[] },
): Schema<number> {
  return { type: 'number', description, minimum: 0, maximum: 1, ...options }
}

/** True or false. */
export function flag(description: string, options: { readonly default?: boolean } = {}): Schema<boolean> {
  return { type: 'boolean', description, ...options }
}

/** A list. */
export function list<Item extends Schema>(
  description: string,
  items: Item,
  options: { readonly default?: readonly never[]; readonly minItems?: number; readonly maxItems?: number } = {},
): ListSchema<Item> {
  return { type: 'array', items, description, ...options }
}

/** Texts by free names, such as labels. */
export function texts(description: string): Schema<Readonly<Record<string, string>>> {
  return { type: 'object', description, additionalProperties: { type: 'string', maxLength: 65_536 } }
}

/** A reference to a resource of one of the collections, in any form that `parseReference` reads. */
export function reference(description: string, collections: readonly string[]): Schema<string> {
  return { type: 'string', description, maxLength: 2048, format: 'reference', 'x-collections': collections }
}

/** The field may be left out. */
export function optional<Field extends Schema>(field: Field): OptionalSchema<Field> {
  return { ...field, [OPTIONAL]: true }
}

/** Set by a server only: accepted in any shape, and ignored. */
export function outputOnly(description: string): OptionalSchema<Schema<never>> {
  return { description, readOnly: true, [OPTIONAL]: true }
}

/** Accepted in any shape and kept as it is, because nothing here depends on it. */
export function recorded(description: string): OptionalSchema {
  return { description, [OPTIONAL]: true }
}

/** Known, but not honoured: accepted and ignored while it is empty, false, 0 or one of the words that change nothing. */
export function unsupported(
  description: string,
  harmless: readonly unknown[] = [],
  remedy = 'remove it',
): OptionalSchema<Schema<never>> {
  return { description, 'x-harmless': harmless, 'x-remedy': remedy, [OPTIONAL]: true }
}
