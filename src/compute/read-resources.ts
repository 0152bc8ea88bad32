import { checkResourceInto } from './check-resource.ts'
import { isMapping, type Mapping } from './json-value.ts'
import { type Problem, ProblemList, quoted } from './problem.ts'
import { parseReference } from './reference.ts'
import { type CheckedResource, type CollectionName, definitions, isCollectionName } from './resources.ts'
import { readYamlDocuments } from './yaml-documents.ts'

/** What a file of resources holds; with problems, `resources` are those that are sound by themselves. */
export type ReadResources = { readonly resources: readonly CheckedResource[]; readonly problems: readonly Problem[] }

const collectionOfKind = new Map<unknown, CollectionName>()
for (const [collection, { kind }] of Object.entries(definitions)) {
  if (isCollectionName(collection)) collectionOfKind.set(kind, collection)
}

/**
 * Reads the text of a file of resources, YAML or JSON; `source` is the file's name, for problems.
 *
 * A file is one or several documents, each a resource or a list of resources as `gcloud … describe`, `list` and
 * `export` print them. `kind` or `selfLink` says what a resource is. All problems are found at once; whether references
 * lead somewhere and names are unique is not looked at. Never throws.
 */
export function readResources(text: string, source: string): ReadResources {
  const problems = new ProblemList()
  const add = (resource: string, path: string, code: Problem['code'], rule: string, remedy: string) => {
    problems.add({ source, resource, path, code, rule, remedy })
  }
  const values: unknown[] = []
  let hasList = false
  for (const document of readYamlDocuments(text)) {
    if ('errors' in document) {
      for (const { rule, remedy } of document.errors) add('', '', 'invalid', rule, remedy)
    } else if (Array.isArray(document.value)) {
      hasList = true
      for (const value of document.value) values.push(value)
    } else if (document.value !== null && document.value !== undefined) values.push(document.value)
  }
  if (values.length === 0 && problems.count === 0 && !hasList) {
    add('', '', 'required', 'there is no resource', 'add some, or write [] to have none')
  }
  const resources: CheckedResource[] = []
  for (const [index, given] of values.entries()) {
    const fallback = `resource ${index + 1}`
    const value = withShortName(given)
    const collection = isMapping(value)
      ? readCollection(value, (...problem) => add(fallback, ...problem))
      : add(fallback, '', 'invalid', `${quoted(value)} is not a resource`, 'give a mapping with kind and name')
    if (!collection) continue
    const checked = checkResourceInto(problems, collection, value, { source, fallback })
    if (checked !== undefined) resources.push(checked)
  }
  return { resources, problems: problems.toArray() }
}

/**
 * Google's newer APIs call a resource by its path, `projects/p/locations/global/serviceLbPolicies/n`, which says what
 * `selfLink` says elsewhere.
 */
function withShortName(value: unknown): unknown {
  if (!isMapping(value) || typeof value.name !== 'string') return value
  const { collection, scope, name } = parseReference(value.name) ?? {}
  return collection === 'serviceLbPolicies' && scope !== undefined ? { selfLink: value.name, ...value, name } : value
}

type Add = (path: string, code: Problem['code'], rule: string, remedy: string) => void

/** The collection that `kind` or `selfLink` names; undefined: a problem was added. */
function readCollection(value: Mapping, add: Add): CollectionName | undefined {
  const kind = value.kind ?? undefined
  const selfLink = value.selfLink
  const linked = typeof selfLink === 'string' ? parseReference(selfLink)?.collection : undefined
  const collection = kind === undefined ? linked : collectionOfKind.get(kind)
  const remedy = `give one of ${[...collectionOfKind.keys()].join(', ')}`
  if (kind === undefined && linked === undefined) {
    add('kind', 'required', 'it is missing, and there is no selfLink that says it', remedy)
  } else if (collection === undefined || !isCollectionName(collection)) {
    const path = kind === undefined ? 'selfLink' : 'kind'
    add(path, 'wrongKind', `${quoted(kind ?? linked)} is not a kind of resource that truepeer knows`, remedy)
  } else if (linked !== undefined && linked !== collection) {
    add('selfLink', 'conflict', `selfLink is in ${linked}, but kind is ${quoted(kind)}`, 'remove the one that is wrong')
  } else return collection
  return undefined
}
