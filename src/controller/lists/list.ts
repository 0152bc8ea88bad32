import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { invalidField } from '../model/api-error.ts'
import type { WorkBudget } from '../model/work-budget.ts'
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
/** A filter on more would keep everybody else waiting; so would one that takes long. */
const SEEN_MAX = 10_000
const PAGE_MS_MAX = 250
/** A page of resources that are large is a short one; in characters of JSON. */
const PAGE_LENGTH_MAX = 4 * 1024 * 1024

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

/**
 * Takes a page out of items that are in the order of the query.
 *
 * It looks at no more than {@link SEEN_MAX}, for no longer than {@link PAGE_MS_MAX} from the first on: where a filter leaves few of many, or
 * takes long, a page can be short and yet have a next. So can one of large resources.
 *
 * @throws ApiError 400 when the budget of the request is spent
 */
export function pageOf(
  items: Iterable<ListItem>,
  { filter, maxResults, orderBy, after }: ListQuery,
  budget: WorkBudget,
): Page {
  const page: ListItem[] = []
  let length = 0
  let last: Key | undefined
  let seenCount = 0
  let beganMs: number | undefined
  for (const item of items) {
    budget.check()
    const key = keyOf(item, orderBy !== 'name')
    if (after !== undefined && compareKeys(key, after) <= 0) continue
    // What came before has its time, too: with that counted, each page after a long one would have one item.
    beganMs ??= budget.sinceBeginMs()
    const isWanted = filter(item.view)
    if (isWanted) length += JSON.stringify(item.view).length
    // One more than fits: there is another page.
    const isFull = isWanted ? page.length === maxResults || length > PAGE_LENGTH_MAX : seenCount >= SEEN_MAX
    if ((isFull || budget.sinceBeginMs() - beganMs > PAGE_MS_MAX) && last !== undefined) {
      return { items: page, nextPageToken: writePageToken(last) }
    }
    if (isWanted) page.push(item)
    last = key
    seenCount++
  }
  return { items: page, nextPageToken: undefined }
}

/** Items that are in the order of scope and name, in that of a query. @throws ApiError 400 as {@link pageOf} */
export function inOrder(items: Iterable<ListItem>, { orderBy }: ListQuery, budget: WorkBudget): Iterable<ListItem> {
  if (orderBy === 'name') return items
  const keyed = Array.from(items, (item) => {
    budget.check()
    return { item, key: keyOf(item, true) }
  })
  return keyed.sort((a, b) => compareKeys(a.key, b.key)).map(({ item }) => item)
}

/** The time in the key of an item in a list that is ordered by time, and the other way round. */
export function timeOfOrder(order: string): string {
  return order.replace(/[0-9]/g, (digit) => String(9 - Number(digit)))
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
  const created = String(view.creationTimestamp ?? view.createTime ?? view.insertTime ?? '')
  return [timeOfOrder(created), scope, name]
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
