import type { Mapping } from '../../compute/json-value.ts'
import { inOrder, type ListItem, type ListQuery, pageOf, readListQuery } from '../lists/list.ts'
import type { Call } from '../methods/call.ts'
import { GLOBAL_LOCATION } from '../methods/network-services.ts'
import { type ApiError, invalidField, notFound } from '../model/api-error.ts'
import { LOCATION } from '../model/resource-paths.ts'
import { shownPolicy } from '../resources/service-lb-policies.ts'
import { shownOperation } from '../resources/shown-operation.ts'
import { operationItems } from './operation-list.ts'
import { storedOperation, storedResource } from './read-methods.ts'

const PAGE_SIZE_MAX = 500
/** In both spellings of the fields; of a list of operations only the first word counts. */
const ORDERS: Readonly<Record<string, string>> = {
  '': 'name',
  name: 'name',
  'name asc': 'name',
  'createTime desc': 'creationTimestamp desc',
  'create_time desc': 'creationTimestamp desc',
}
/** Of google.rpc.Code, by the status of the answer. */
const CODES: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  405: 'UNIMPLEMENTED',
  409: 'ALREADY_EXISTS',
  412: 'FAILED_PRECONDITION',
  429: 'RESOURCE_EXHAUSTED',
  501: 'UNIMPLEMENTED',
  503: 'UNAVAILABLE',
  507: 'RESOURCE_EXHAUSTED',
}
const PRECONDITIONS = ['resourceInUseByAnotherResource', 'resourceNotReady']

/** Answers a method of the Network Services API that changes nothing. */
export function answerNetworkServices(call: Call): Mapping {
  const { world, request, route } = call
  const { collection, action } = route.method
  if (collection === 'locations') return action === 'list' ? { locations: [location(call)] } : namedLocation(call)
  if (action === 'list') return listOf(call)
  return collection === 'operations'
    ? shownOperation(world, storedOperation(call), request.baseUrl)
    : shownPolicy(storedResource(call))
}

/** The body of an error in the form of Google's newer APIs (google.rpc.Status), and in their words. */
export function statusBody({ status, message, details }: ApiError): Mapping {
  const isPrecondition = PRECONDITIONS.includes(details[0]?.reason ?? '')
  const code = isPrecondition ? 'FAILED_PRECONDITION' : (CODES[status] ?? 'INTERNAL')
  const said = details.map((detail) => ({
    ...detail,
    message: detail.message.replace(/^The resource '/, "Resource '"),
  }))
  const violations = said.flatMap((detail) => {
    const field = /field '([^']*)'/.exec(detail.message)?.[1]
    return field === undefined ? [] : [{ field, description: detail.message }]
  })
  const badRequest = { '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations: violations }
  return {
    error: {
      code: status,
      message: said[0]?.message ?? message,
      status: code,
      ...(violations.length > 0 && status === 400 ? { details: [badRequest] } : {}),
    },
  }
}

function location({ route }: Call): Mapping {
  return { name: `projects/${route.project}/${LOCATION}`, locationId: GLOBAL_LOCATION }
}

function namedLocation(call: Call): Mapping {
  if (call.route.name === GLOBAL_LOCATION) return location(call)
  throw notFound(`projects/${call.route.project}/locations/${call.route.name}`)
}

function listOf(call: Call): Mapping {
  const { collection } = call.route.method
  const query = readQuery(call.request.query)
  const items = collection === 'operations' ? operationItems(call, LOCATION, query) : policyItems(call, query)
  const page = pageOf(items, query, call.budget)
  return {
    ...(page.items.length > 0 ? { [collection]: page.items.map(({ view }) => view) } : {}),
    ...(page.nextPageToken === undefined ? {} : { nextPageToken: page.nextPageToken }),
  }
}

function policyItems(call: Call, query: ListQuery): Iterable<ListItem> {
  const { world, route } = call
  const stored = world.store.list(route.project, 'serviceLbPolicies', LOCATION)
  const items = stored.map((one) => ({ scope: one.scope, name: one.name, view: shownPolicy(one) }))
  return inOrder(items, query, call.budget)
}

/** What Compute Engine's lists call otherwise; a page that is too large is a page of the largest size. */
function readQuery(query: URLSearchParams): ListQuery {
  const pageSize = query.get('pageSize') ?? ''
  if (!/^[0-9]{0,10}$/.test(pageSize))
    throw invalidField('pageSize', pageSize, 'Give a whole number from 0 to 9999999999')
  const order = (query.get('orderBy') ?? '').trim().replace(/\s+/g, ' ')
  if (!Object.hasOwn(ORDERS, order)) throw invalidField('orderBy', order, 'Give name or createTime desc')
  return readListQuery(
    new URLSearchParams({
      filter: query.get('filter') ?? '',
      maxResults: pageSize === '' ? '' : String(Math.min(Number(pageSize), PAGE_SIZE_MAX)),
      orderBy: ORDERS[order],
      pageToken: query.get('pageToken') ?? '',
    }),
  )
}
