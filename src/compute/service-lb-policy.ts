import type { Report } from './json-schema.ts'
import { defineResource } from './resource.ts'
import { flag, integer, object, oneOf, optional, outputOnly, text, texts } from './schema.ts'

const isolationConfig = object(
  'Whether connections leave the region of the edge; both fields have to be given.',
  {
    isolationGranularity: optional(oneOf('What is isolated.', ['REGION', 'ISOLATION_GRANULARITY_UNSPECIFIED'], {})),
    isolationMode: optional(
      oneOf(
        'With `NEAREST`, connections go to the nearest region with a healthy backend, and nowhere else when that is full. With `STRICT`, they are ended when the edge’s own region has no healthy backend.',
        ['NEAREST', 'STRICT', 'ISOLATION_MODE_UNSPECIFIED'],
        {},
      ),
    ),
  },
  { rules: (rule) => [rule(['isolationGranularity', 'isolationMode'], checkIsolation)] },
)

type Isolation = { readonly isolationGranularity?: string; readonly isolationMode?: string }

function checkIsolation({ isolationGranularity, isolationMode }: Isolation, report: Report): void {
  const isGiven = (word: string | undefined): boolean => word !== undefined && !word.endsWith('_UNSPECIFIED')
  if (isGiven(isolationGranularity) === isGiven(isolationMode)) return
  const missing = isGiven(isolationMode) ? 'isolationGranularity' : 'isolationMode'
  const remedy = missing === 'isolationMode' ? 'give NEAREST or STRICT' : 'give REGION'
  report(missing, 'isolationGranularity and isolationMode have to be given together', remedy, 'required')
}

const fields = {
  description: optional(text('Free text.', { maxLength: 1024 })),
  loadBalancingAlgorithm: optional(
    oneOf(
      'Where connections go, always by capacity: to the nearest region (here `SPRAY_TO_REGION` is the same), to the zone of the edge and then the rest of its region, or to all regions; the nearest region unless given.',
      [
        'WATERFALL_BY_REGION',
        'WATERFALL_BY_ZONE',
        'SPRAY_TO_REGION',
        'SPRAY_TO_WORLD',
        'LOAD_BALANCING_ALGORITHM_UNSPECIFIED',
      ],
      {},
    ),
  ),
  autoCapacityDrain: optional(
    object('What becomes of a group with few healthy backends.', {
      enable: optional(
        flag(
          'Whether a group with less than 25 % healthy backends gets no connections, while that is so for less than half of the groups.',
        ),
      ),
    }),
  ),
  failoverConfig: optional(
    object('When connections go elsewhere because backends are unhealthy.', {
      failoverHealthThreshold: optional(
        integer(
          'The part of healthy backends in percent, below which a part of the connections goes to other groups; 70 unless given.',
          1,
          99,
          { examples: [70] },
        ),
      ),
    }),
  ),
  isolationConfig: optional(isolationConfig),
  labels: optional(texts('Labels, by name.')),
  createTime: outputOnly('When a server made the policy.'),
  updateTime: outputOnly('When a server last changed the policy.'),
} as const

/** The fields of a policy in Google's API; others that a resource has here say which one it is in a file. */
export const serviceLbPolicyFields: readonly string[] = ['name', ...Object.keys(fields)]

/** Service LB policies: resources of Google's Network Services API, which backend services name. */
export const serviceLbPolicies = defineResource(
  {
    kind: 'networkservices#serviceLbPolicy',
    scopes: ['global'],
    description: 'How connections are spread over regions, zones and groups.',
  },
  fields,
)
