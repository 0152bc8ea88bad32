import type { Call } from '../methods/call.ts'
import { ApiError, shown } from '../model/api-error.ts'
import { pathOf } from '../model/resource-paths.ts'
import type { NamedRequest } from '../resources/operations.ts'
import { readBody } from './request-body.ts'

const UUID = /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/
/** Google takes every UUID but this one. */
const ZERO = '00000000-0000-0000-0000-000000000000'

/** Reads `requestId`; undefined: there is none. @throws ApiError 400 */
export function readRequestId(call: Call): NamedRequest | undefined {
  const { request, route } = call
  const { project, scope, method } = route
  const requestId = request.query.get('requestId') ?? ''
  if (requestId === '') return undefined
  if (!UUID.test(requestId) || requestId === ZERO) {
    const message = `Invalid value for field 'requestId': '${shown(requestId)}' is not a UUID other than zero; make a new one for each request`
    throw new ApiError(400, { message, reason: 'invalid' })
  }
  // The name of a new resource is in the body or in the query only.
  const inQuery = method.action === 'create' ? request.query.get('serviceLbPolicyId') : route.name
  const name = method.action === 'insert' ? readBody(request).name : inQuery
  const path = pathOf({ project, scope, collection: method.collection, name: typeof name === 'string' ? name : '' })
  return { requestId, key: `${requestId.toLowerCase()} ${method.id} ${path}` }
}
