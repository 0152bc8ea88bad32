import type { ProblemCode } from './problem.ts'

// A resource's schema is plain JSON Schema, and an OpenAPI document can carry it as it is. `readOnly` marks what only
// a server sets, `writeOnly` a secret. What JSON Schema has no word for begins with `x-`; the rules between fields are
// functions, and what is optional is marked by a symbol: JSON leaves both out.

/** Says that a rule is broken; `path` is relative to the object that the rule belongs to. */
export type Report = (path: string, rule: string, remedy: string, code?: ProblemCode) => void

/** A rule between fields; it is asked only when all fields it looks at are sound by themselves. */
export type Rule<Fields> = {
  readonly over: readonly string[]
  readonly check: (fields: Fields, report: Report) => void
}

/** Never there: it carries the type of the values from a schema to {@link ValueOf}. */
declare const valueType: unique symbol

/** Marks a field that may be left out of its object. */
export const OPTIONAL: unique symbol = Symbol('optional')

/** What a field takes. `schema.ts` makes them; without `type` and `enum`, any JSON. */
export type Schema<Value = unknown> = {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  readonly description?: string
  readonly enum?: readonly string[]
  readonly required?: readonly string[]
  readonly properties?: Properties
  /** Of an object without `properties`: what each of its values is. */
  readonly additionalProperties?: false | Schema
  readonly items?: Schema
  readonly minItems?: number
  readonly maxItems?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly format?: string
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly readOnly?: boolean
  readonly writeOnly?: boolean
  readonly rules?: readonly Rule<never>[]
  readonly normalize?: (value: never) => unknown
  readonly 'x-collections'?: readonly string[]
  readonly 'x-harmless'?: readonly unknown[]
  readonly 'x-unsupported'?: readonly string[]
  readonly 'x-remedy'?: string | undefined
  readonly [OPTIONAL]?: true
  readonly [valueType]?: Value
}

/** The fields of an object, by name. */
export type Properties = Readonly<Record<string, Schema>>

/** An object with the fields given and no others. */
export type ObjectSchema<Fields extends Properties = Properties> = Schema<ObjectValue<Fields>> & {
  readonly properties: Fields
}

/** A list. */
export type ListSchema<Item extends Schema> = Schema<readonly ValueOf<Item>[]> & { readonly items: Item }

/** A field that may be left out. */
export type OptionalSchema<Field extends Schema = Schema> = Field & { readonly [OPTIONAL]: true }

/** What a checked value of a schema is. */
export type ValueOf<Field extends Schema> = Field extends Schema<infer Value> ? Value : never

type ObjectValue<Fields extends Properties> = Flat<
  {
    readonly [Name in keyof Fields as Fields[Name] extends OptionalSchema ? never : Name]: ValueOf<Fields[Name]>
  } & {
    readonly [Name in keyof Fields as Fields[Name] extends OptionalSchema ? Name : never]?: ValueOf<Fields[Name]>
  }
>

/** The same, shown by the compiler as one object. */
type Flat<Value> = { [Name in keyof Value]: Value[Name] }

/** Says whether a field may be left out; one with a default may be, too, but is always there once it was checked. */
export function isOptional(field: Schema): boolean {
  return OPTIONAL in field
}
