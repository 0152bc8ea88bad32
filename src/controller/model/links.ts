import type { Schema } from '../../compute/json-schema.ts'
import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { type CollectionName, definitions } from '../../compute/resources.ts'
import { collectionFacts } from './collections.ts'

/** A field of a resource that names another one. */
export type LinkField = {
  /** `backends[0].group` */
  readonly path: string
  /** What it may name; empty: something that has no schema, such as a network. */
  readonly collections: readonly CollectionName[]
}

/** What becomes of one link. */
type MapLink = (text: string, field: LinkField) => string

/** Copies a checked resource with every link in it mapped. */
export function mapLinks(collection: CollectionName, resource: Mapping, map: MapLink): Mapping {
  return mapValue({ collection, map }, definitions[collection].schema, resource, { path: '', place: '' }) as Mapping
}

/**
 * A resource as clients see it: links mapped, and left out what has no value and Google leaves out, too: texts and lists
 * that are empty because nothing was given.
 */
export function shownResource(collection: CollectionName, resource: Mapping, map: MapLink): Mapping {
  const mapped = mapLinks(collection, resource, map)
  const hidden = collectionFacts[collection].hidden
  const shown = withoutEmpty(definitions[collection].schema, mapped) as Mapping
  return Object.fromEntries(Object.entries(shown).filter(([name]) => !hidden.includes(name)))
}

type LinkMapping = { readonly collection: CollectionName; readonly map: MapLink }

/** Where a value is: `path` has indexes, `place` has none. */
type Position = {
  /** `networkInterfaces[0].network` */
  readonly path: string
  /** `networkInterfaces[].network` */
  readonly place: string
}

function mapValue(mapping: LinkMapping, field: Schema, value: unknown, { path, place }: Position): unknown {
  const { collection, map } = mapping
  if (typeof value === 'string') {
    const collections = field['x-collections'] as LinkField['collections'] | undefined
    const isLink = collections !== undefined || collectionFacts[collection].otherLinks.includes(place)
    return isLink ? map(value, { path, collections: collections ?? [] }) : value
  }
  const { items, properties } = field
  if (Array.isArray(value)) {
    return items === undefined
      ? value
      : value.map((item, index) => mapValue(mapping, items, item, { path: `${path}[${index}]`, place: `${place}[]` }))
  }
  if (!isMapping(value) || properties === undefined) return value
  const entries = Object.entries(value).map(([name, item]) => {
    if (!Object.hasOwn(properties, name)) return [name, item]
    const dot = place === '' ? '' : '.'
    const position = { path: `${path}${dot}${name}`, place: `${place}${dot}${name}` }
    return [name, mapValue(mapping, properties[name], item, position)]
  })
  return Object.fromEntries(entries)
}

function withoutEmpty(field: Schema, value: unknown): unknown {
  const { items, properties } = field
  if (Array.isArray(value)) return items === undefined ? value : value.map((item) => withoutEmpty(items, item))
  if (!isMapping(value) || properties === undefined) return value
  const entries = Object.entries(value).flatMap(([name, item]) => {
    if (!Object.hasOwn(properties, name)) return [[name, item]]
    return isEmptyDefault(properties[name], item) ? [] : [[name, withoutEmpty(properties[name], item)]]
  })
  return Object.fromEntries(entries)
}

function isEmptyDefault(field: Schema, value: unknown): boolean {
  if (value === '') return field.default === ''
  return Array.isArray(value) && value.length === 0 && Array.isArray(field.default)
}
