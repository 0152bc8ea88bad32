import type { Schema } from '../../compute/json-schema.ts'
import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { definitions } from '../../compute/resources.ts'
import { serviceLbPolicyFields } from '../../compute/service-lb-policy.ts'
import type { Call, ResourceChange } from '../methods/call.ts'
import { ApiError, shown } from '../model/api-error.ts'
import { pathOf } from '../model/resource-paths.ts'
import type { StoredResource } from '../store/store.ts'
import { insertResource, replaceResource } from './write-resource.ts'

const { schema } = definitions.serviceLbPolicies

/** A policy as clients of the Network Services API see it. */
export function shownPolicy(stored: StoredResource): Mapping {
  const { name: _, updateTime, ...fields } = stored.resource
  const times = { createTime: stored.created, updateTime }
  return { name: pathOf(stored), ...times, ...(withoutUnspecified(fields) as Mapping) }
}

/** JSON of protocol buffers leaves out the word that stands for nothing. */
function withoutUnspecified(value: unknown): unknown {
  if (!isMapping(value)) return value
  const given = Object.entries(value).filter(([, item]) => typeof item !== 'string' || !item.endsWith('_UNSPECIFIED'))
  return Object.fromEntries(given.map(([name, item]) => [name, withoutUnspecified(item)]))
}

/** Makes the change that stores a new policy, whose name is in the query. */
export function createPolicy(call: Call, body: Mapping): ResourceChange {
  const name = call.request.query.get('serviceLbPolicyId') ?? ''
  if (name === '') {
    const message = "Required field 'serviceLbPolicyId' not specified: give the name of the policy in the query"
    throw new ApiError(400, { message, reason: 'required' })
  }
  return insertResource(call, 'serviceLbPolicies', { ...body, name })
}

/**
 * Makes the change of the fields of a policy that `updateMask` names; without one, of all of them.
 *
 * What only the server sets may be named, and stays as it is.
 */
export function patchPolicy(call: Call, stored: StoredResource, body: Mapping): ResourceChange {
  const mask = call.request.query.get('updateMask') ?? ''
  const { name } = stored
  if (mask === '' && Object.keys(body).length === 0) {
    const rule = 'give the names of fields, or * to clear all of them, since there are none in the body'
    throw new ApiError(400, { message: `Required field 'updateMask' not specified: ${rule}`, reason: 'required' })
  }
  if (mask === '' || mask === '*') return replaceResource(call, stored, { ...body, name })
  let whole: Mapping = stored.resource
  for (const path of mask.split(',')) whole = withField(whole, body, readPath(path.trim()))
  return replaceResource(call, stored, { ...whole, name })
}

/** The names that lead to a field, `isolation_config.isolation_mode` as well as `isolationConfig.isolationMode`. */
function readPath(text: string): readonly string[] {
  const names: string[] = []
  let field: Schema | undefined = schema
  for (const part of text.split('.')) {
    const name: string = isOfKeys(field) ? part : part.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
    field = names.length > 0 || serviceLbPolicyFields.includes(name) ? fieldIn(field, name) : undefined
    names.push(name)
  }
  if (field !== undefined) return names
  const rule = `There is no field of this name; give some of ${serviceLbPolicyFields.join(', ')}`
  const message = `Invalid value for field 'updateMask': '${shown(text)}'. ${rule}`
  throw new ApiError(400, { message, reason: 'invalid', parameter: 'updateMask' })
}

/** Whether the names below a field are whatever somebody wrote, such as those of labels. */
function isOfKeys(field: Schema | undefined): boolean {
  return typeof field?.additionalProperties === 'object'
}

function fieldIn({ properties = {}, additionalProperties }: Schema = {}, name: string): Schema | undefined {
  // A key that JSON can have, and objects of JavaScript have otherwise, is none of a label.
  if (typeof additionalProperties === 'object')
    return name === '' || name === '__proto__' ? undefined : additionalProperties
  return Object.hasOwn(properties, name) ? properties[name] : undefined
}

/** A mapping with one field as it is in another one, where it may be missing. */
function withField(target: Mapping, source: unknown, [name = '', ...rest]: readonly string[]): Mapping {
  const given = isMapping(source) && Object.hasOwn(source, name) ? source[name] : undefined
  const { [name]: before, ...others } = target
  if (rest.length > 0) return { ...others, [name]: withField(isMapping(before) ? before : {}, given, rest) }
  return given === undefined ? others : { ...others, [name]: given }
}
