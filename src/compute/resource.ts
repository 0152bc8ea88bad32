import type { ObjectSchema, Properties } from './json-schema.ts'
import { NAME_PATTERN, type Scope } from './reference.ts'
import { type ObjectOptions, object, optional, outputOnly, text } from './schema.ts'

/** One kind of resource: everything that is checked, defaulted, typed and documented about it. */
export type ResourceDefinition<Fields extends Properties = Properties> = {
  /** `compute#backendService` */
  readonly kind: string
  /** Where such a resource may live. */
  readonly scopes: readonly Scope['kind'][]
  readonly schema: ObjectSchema<Fields>
}

// What every resource has; kind, region, zone and selfLink say which resource it is before its schema is looked at.
const commonFields = {
  name: text('Name, unique among the resources of its collection and scope.', {
    pattern: NAME_PATTERN,
    maxLength: 63,
    examples: ['my-tcp-lb'],
  }),
  description: optional(text('Free text.')),
  kind: outputOnly('Kind of resource; in a file it says what the resource is, unless `selfLink` does.'),
  selfLink: outputOnly('URL of the resource; in a file it says kind and scope where they are not given.'),
  region: outputOnly('Region of a regional resource, as a name or a URL.'),
  zone: outputOnly('Zone of a zonal resource, as a name or a URL.'),
  id: outputOnly('Number given by a server.'),
  selfLinkWithId: outputOnly('URL with the number in place of the name.'),
  creationTimestamp: outputOnly('When a server made the resource.'),
  fingerprint: outputOnly('Hash for changes that do not overwrite those of others.'),
} as const

/** Defines a kind of resource by its own fields and the rules between them. */
export function defineResource<Fields extends Properties>(
  identity: { readonly kind: string; readonly scopes: readonly Scope['kind'][]; readonly description: string },
  properties: Fields,
  options: ObjectOptions<typeof commonFields & Fields> = {},
): ResourceDefinition<typeof commonFields & Fields> {
  const { kind, scopes, description } = identity
  return { kind, scopes, schema: object(description, { ...commonFields, ...properties }, options) }
}
