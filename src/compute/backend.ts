import type { Report } from './json-schema.ts'
import { parseReference } from './reference.ts'
import { fraction, integer, object, oneOf, optional, recorded, reference, text, unsupported } from './schema.ts'
import { serverDefaults } from './server-defaults.ts'

const CONNECTION_BOUNDS = ['maxConnections', 'maxConnectionsPerInstance', 'maxConnectionsPerEndpoint'] as const

const INTEGER_MAX = 2 ** 31 - 1
const RATES = 'Requests per second, which a TCP proxy cannot measure.'
const NO_RATES = 'remove it and give a maximum number of connections'

function bound(description: string) {
  return optional(integer(description, 1, INTEGER_MAX, { examples: [1000] }))
}

/** One entry of `backends` of a backend service. */
export const backend = object(
  'A group of backends, and its capacity.',
  {
    group: reference('The instance group or network endpoint group.', ['instanceGroups', 'networkEndpointGroups']),
    balancingMode: oneOf('What the target capacity is measured in.', ['UTILIZATION', 'CONNECTION'], {
      default: serverDefaults.backendServices['backends[].balancingMode'],
      unsupported: ['RATE', 'CUSTOM_METRICS', 'IN_FLIGHT'],
      remedy: 'give CONNECTION or UTILIZATION: a TCP proxy sees no requests',
    }),
    maxUtilization: optional(
      fraction('Target utilization of the processors, from 0 to 1; only with UTILIZATION.', { examples: [0.8] }),
    ),
    maxConnections: bound('Target number of connections of the whole group.'),
    maxConnectionsPerInstance: bound('Target number of connections of each instance of an instance group.'),
    maxConnectionsPerEndpoint: bound('Target number of connections of each endpoint of a network endpoint group.'),
    capacityScaler: fraction('The part of the target capacity to use: 0.1 to 1, or 0 to drain the group.', {
      default: serverDefaults.backendServices['backends[].capacityScaler'],
      examples: [0.5],
    }),
    description: optional(text('Free text.')),
    failover: unsupported('Whether the group is used only when others fail.'),
    preference: optional(
      oneOf(
        'Whether the group is filled before those that are not preferred.',
        ['PREFERRED', 'DEFAULT', 'PREFERENCE_UNSPECIFIED'],
        {},
      ),
    ),
    trafficDuration: unsupported('The duration of requests.', ['TRAFFIC_DURATION_UNSPECIFIED', 'SHORT']),
    maxRate: unsupported(RATES, [], NO_RATES),
    maxRatePerInstance: unsupported(RATES, [], NO_RATES),
    maxRatePerEndpoint: unsupported(RATES, [], NO_RATES),
    maxInFlightRequests: unsupported(RATES, [], NO_RATES),
    maxInFlightRequestsPerInstance: unsupported(RATES, [], NO_RATES),
    maxInFlightRequestsPerEndpoint: unsupported(RATES, [], NO_RATES),
    customMetrics: unsupported('Metrics that backends report.'),
    orchestrationInfo: recorded('What manages the group; not used.'),
  },
  {
    rules: (rule) => [
      rule(['capacityScaler'], ({ capacityScaler }, report) => {
        if (capacityScaler === 0 || capacityScaler >= 0.1) return
        report('capacityScaler', `${capacityScaler} is neither 0 nor between 0.1 and 1`, 'give 0 to drain the group')
      }),
      rule(
        ['group', 'balancingMode', 'maxConnections', 'maxConnectionsPerInstance', 'maxConnectionsPerEndpoint'],
        checkBounds,
      ),
    ],
  },
)

type Bounds = {
  readonly group: string
  readonly balancingMode: 'UTILIZATION' | 'CONNECTION'
  readonly maxConnections?: number
  readonly maxConnectionsPerInstance?: number
  readonly maxConnectionsPerEndpoint?: number
}

function checkBounds(fields: Bounds, report: Report): void {
  const given = CONNECTION_BOUNDS.filter((name) => fields[name] !== undefined)
  if (given.length > 1) {
    report(given[1], `${given.join(' and ')} cannot be used together`, 'give one of them', 'conflict')
  }
  if (fields.balancingMode === 'UTILIZATION') {
    if (given.length > 0 && given[0] === 'maxConnectionsPerEndpoint') {
      const remedy = 'give maxConnectionsPerInstance, or CONNECTION as balancingMode'
      report(given[0], 'maxConnectionsPerEndpoint cannot be used with UTILIZATION', remedy)
    }
    return
  }
  if (given.length === 0) {
    const [last = '', ...others] = boundsOf(fields.group).toReversed()
    const names = `${others.toReversed().join(', ')} or ${last}`
    report('balancingMode', `Either ${names} should be set with CONNECTION mode`, `give one of them`)
  }
}

/** The bounds that a group may have, as far as its reference tells what it is. */
function boundsOf(group: string): readonly string[] {
  const collection = parseReference(group)?.collection
  const [total, perInstance, perEndpoint] = CONNECTION_BOUNDS
  if (collection === 'instanceGroups') return [total, perInstance]
  return collection === 'networkEndpointGroups' ? [total, perEndpoint] : CONNECTION_BOUNDS
}
