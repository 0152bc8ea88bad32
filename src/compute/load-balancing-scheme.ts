import { oneOf } from './schema.ts'

const EXTERNAL_SCHEMES = ['EXTERNAL', 'EXTERNAL_MANAGED'] as const
const OTHER_SCHEMES = [
  'INTERNAL',
  'INTERNAL_MANAGED',
  'INTERNAL_SELF_MANAGED',
  'EXTERNAL_PASSTHROUGH',
  'INVALID_LOAD_BALANCING_SCHEME',
]
const REMEDY = 'give EXTERNAL or EXTERNAL_MANAGED: the load balancer is an external proxy'

/** The field `loadBalancingScheme`, which several resources have. */
export function loadBalancingScheme(options: { readonly default?: (typeof EXTERNAL_SCHEMES)[number] } = {}) {
  const description =
    'Kind of load balancer: the classic or the managed external proxy; some fields of backend services are for the managed one only.'
  return oneOf(description, EXTERNAL_SCHEMES, { ...options, unsupported: OTHER_SCHEMES, remedy: REMEDY })
}
