import type { Schema } from './json-schema.ts'
import { fieldPath } from './problem.ts'
import { definitions } from './resources.ts'

/** One field of a resource, as the reference shows it. */
export type FieldEntry = {
  /** `backends[].maxUtilization` */
  readonly path: string
  readonly description: string
  /** What it takes, its default and whether it has to be given: `a number from 0 to 1; default 1`. */
  readonly facts: string
}

/** One kind of resource, as the reference shows it. */
export type ResourceEntry = {
  readonly collection: string
  readonly kind: string
  readonly description: string
  readonly scopes: readonly string[]
  readonly fields: readonly FieldEntry[]
  /** Fields that are accepted and have no effect, by why: set by a server, only recorded, not supported. */
  readonly accepted: Readonly<Record<'outputOnly' | 'recorded' | 'unsupported', readonly string[]>>
}

/** All that the schemas say about resources and their fields, in the order of the schemas. Pure. */
export function resourceEntries(): readonly ResourceEntry[] {
  return Object.entries(definitions).map(([collection, { kind, scopes, schema }]) => {
    const accepted = { outputOnly: [] as string[], recorded: [] as string[], unsupported: [] as string[] }
    const fields: FieldEntry[] = []
    for (const { path, field, isRequired } of fieldsOf(schema, '')) {
      const kindOfField = acceptedKind(field)
      if (kindOfField !== undefined) accepted[kindOfField].push(path)
      else fields.push({ path, description: String(field.description), facts: factsOf(field, isRequired) })
    }
    return { collection, kind, description: String(schema.description), scopes, fields, accepted }
  })
}

type PlacedField = { readonly path: string; readonly field: Schema; readonly isRequired: boolean }

function fieldsOf(object: Schema, path: string): readonly PlacedField[] {
  const { properties = {}, required = [] } = object
  return Object.entries(properties).flatMap(([name, field]) => {
    const at = fieldPath(path, name)
    const isRequired = required.includes(name)
    const { items } = field
    return [{ path: at, field, isRequired }, ...fieldsOf(items ?? field, items === undefined ? at : `${at}[]`)]
  })
}

function acceptedKind(field: Schema): keyof ResourceEntry['accepted'] | undefined {
  if (field.readOnly === true) return 'outputOnly'
  if (field['x-harmless'] !== undefined) return 'unsupported'
  return field.type === undefined && field.enum === undefined ? 'recorded' : undefined
}

function factsOf(field: Schema, isRequired: boolean): string {
  const facts = [takes(field)]
  const isScalar = typeof field.default !== 'object'
  if (isRequired) facts.push('has to be given')
  if (field.default !== undefined && isScalar && field.default !== '') facts.push(`default \`${field.default}\``)
  if (field.maxItems !== undefined) facts.push(`at most ${field.maxItems}`)
  return facts.join('; ')
}

function takes(field: Schema): string {
  const { type, items, minimum, maximum, 'x-collections': collections } = field
  if (field.enum !== undefined) return field.enum.map((word) => `\`${word}\``).join(', ')
  if (collections !== undefined) return `a reference to one of ${collections.map((name) => `\`${name}\``).join(', ')}`
  if (type === 'integer') return `a whole number from ${minimum} to ${maximum}`
  if (type === 'number') return `a number from ${minimum} to ${maximum}`
  if (field.format === 'int64') return 'a whole number'
  if (items !== undefined) return items.type === 'object' ? 'a list' : `a list: ${takes(items)}`
  if (type === 'boolean') return '`true` or `false`'
  return type === 'string' ? 'a text' : 'a mapping'
}
