import { isMapping, type Mapping } from '../compute/json-value.ts'
import { invalidField } from './api-error.ts'
import { readFilter } from './filter.ts'

/** One entry of a list: where it is, and how clients see it. */
export type ListItem = { readonly scope: string; readonly name: string; readonly view: Mapping }

/** A part of a list; `nextPageToken` leads to the next one. */
export type Page = { readonly items: readonly ListItem[]; readonly nextPageToken: string | undefined }

/** What a client asks of a list. */
export type ListQuery = {
  readonly filter: (view: Mapping) => boolean
  readonly maxResults: number
  readonly orderBy: 'name' | 'creationTimestamp desc'
  /** The order key, the scope and the name of the last item of the page before. */
  readonly after: readonly [string, string, string] | undefined
}

const MAX_RESULTS = 500

/**
 * Reads `filter`, `maxResults`, `orderBy` and `pageToken`.
 *
 * @throws ApiError 400 invalid
 */
export function readListQuery(query: URLSearchParams): ListQuery {
  return {
    filter: readFilter(query.get('filter') ?? ''),
    maxResults: readMaxResults(query.get('maxResults') ?? ''),
    orderBy: readOrder(query.get('orderBy') ?? ''),
    after: readPageToken(query.get('pageToken') ?? ''),
  }
}

/** Takes a page out of items that stand in the order of scope and name. */
export function pageOf(items: Iterable<ListItem>, { filter, maxResults, orderBy, after }: ListQuery): Page {
  const isByTime = orderBy !== 'name'
  const page: Keyed[] = []
  for (const keyed of isByTime ? orderedByTime(items) : withKeys(items, false)) {
    if (after !== undefined && compareKeys(keyed.key, after) <= 0) continue
    if (!filter(keyed.item.view)) continue
    // One more than fits: there is another page.
    if (page.length === maxResults) return pageUpTo(page, true)
    page.push(keyed)
  }
  return pageUpTo(page, false)
}

type Keyed = { readonly item: ListItem; readonly key: Key }

function* withKeys(items: Iterable<ListItem>, isByTime: boolean): Generator<Keyed> {
  for (const item of items) yield { item, key: keyOf(item, isByTime) }
}

function orderedByTime(items: Iterable<ListItem>): readonly Keyed[] {
  return [...withKeys(items, true)].sort((a, b) => compareKeys(a.key, b.key))
}

function pageUpTo(page: readonly Keyed[], hasMore: boolean): Page {
  const last = page.at(-1)
  const nextPageToken = hasMore && last !== undefined ? writePageToken(last.key) : undefined
  return { items: page.map(({ item }) => item), nextPageToken }
}

function readMaxResults(text: string): number {
  if (text === '') return MAX_RESULTS
  const count = /^[0-9]{1,10}$/.test(text) ? Number(text) : -1
  if (count < 0 || count > MAX_RESULTS) {
    throw invalidField('maxResults', text, `Give a whole number from 0 to ${MAX_RESULTS}`)
  }
  return count === 0 ? MAX_RESULTS : count
}

function readOrder(text: string): ListQuery['orderBy'] {
  const order = text.trim().replace(/\s+/g, ' ')
  if (order === '' || order === 'name' || order === 'name asc') return 'name'
  if (order === 'creationTimestamp desc') return order
  throw invalidField('orderBy', text, 'Give name or creationTimestamp desc')
}

type Key = readonly [order: string, scope: string, name: string]

/** The latest comes first: each digit of a time is turned round. */
function keyOf({ scope, name, view }: ListItem, isByTime: boolean): Key {
  if (!isByTime) return ['', scope, name]
  const created = String(view.creationTimestamp ?? view.insertTime ?? '')
  return [created.replace(/[0-9]/g, (digit) => String(9 - Number(digit))), scope, name]
}

function compareKeys(a: Key, b: Key): number {
  for (const index of [0, 1, 2] as const) if (a[index] !== b[index]) return a[index] < b[index] ? -1 : 1
  return 0
}

function writePageToken(key: Key): string {
  return Buffer.from(JSON.stringify({ after: key })).toString('base64url')
}

function readPageToken(text: string): Key | undefined {
  if (text === '') return undefined
  try {
    const token: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    const after = isMapping(token) ? token.after : undefined
    if (Array.isArray(after) && after.length === 3 && after.every((part) => typeof part === 'string')) {
      return after as [string, string, string]
    }
  } catch {
    // Not one of ours: refused below.
  }
  throw invalidField('pageToken', text, 'Give the nextPageToken of the page before, unchanged')
}
