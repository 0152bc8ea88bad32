import { type CollectionName, definitions } from '../../compute/resources.ts'
import type { Method } from './methods.ts'

/** What every list takes in its query. */
export const LIST_PARAMETERS = ['filter', 'maxResults', 'orderBy', 'pageToken', 'returnPartialSuccess'] as const

/** Where a method is: one of its scopes. */
export type MethodPlace = Method['scopes'][number]

/** The path of a method as a template: `/compute/v1/projects/{project}/zones/{zone}/instances/{name}/start`. */
export function pathOf({ shape, collection, action, id }: Method, scope: MethodPlace, name = 'name'): string {
  const project = '/compute/v1/projects/{project}'
  const isPlaces = collection === 'zones' || collection === 'regions'
  const place = isPlaces ? '' : scope === 'global' ? '/global' : `/${scope}s/{${scope}}`
  const word = action === 'getSerialPortOutput' ? 'serialPort' : action
  switch (shape) {
    case 'project':
      return action === 'get' ? project : `${project}/${action}`
    case 'aggregated':
      return `${project}/aggregated/${collection}`
    case 'collection':
      return `${project}${place}/${collection}`
    case 'collection-action':
      return `${project}${place}/${collection}/${action}`
    case 'resource':
      return `${project}${place}/${collection}/{${name}}`
    case 'resource-action':
      return id === 'images.getFromFamily'
        ? `${project}${place}/images/family/{${name}}`
        : `${project}${place}/${collection}/{${name}}/${word}`
  }
}

/** What Google's client libraries call the name of a resource in a path: `healthCheck`, `targetSslProxy`, `address`. */
export function nameParameter({ collection, action }: Method): string {
  if (action === 'getFromFamily' || collection === 'imageFamilyViews') return 'family'
  if (action === 'setLabels' && collection !== 'instances') return 'resource'
  return collection
    .replace(/ies$/, 'y')
    .replace(/xes$|sses$/, (end) => end.slice(0, -2))
    .replace(/([^s])s$/, '$1')
}

/** `compute#healthCheck` is `HealthCheck`. */
export function schemaName(collection: CollectionName): string {
  const kind = definitions[collection].kind.replace(/^[a-z]+#/, '')
  return kind.charAt(0).toUpperCase() + kind.slice(1)
}
