import type { StatusMetric } from './status-metric.ts'

/** An edge as its controller knows it. */
export type EdgeOfController = {
  readonly name: string
  readonly isConnected: boolean
  /** The version that it serves; 0: none of this controller. */
  readonly appliedVersion: number
  /** There is a later version that it could not apply. */
  readonly isRefusing: boolean
}

/** What a controller is like at one moment. */
export type ControllerStatus = {
  readonly revision: number
  /** How many there are, by collection. */
  readonly resources: ReadonlyMap<string, number>
  readonly operations: { readonly done: number; readonly running: number }
  readonly databaseBytes: number
  readonly edges: readonly EdgeOfController[]
}

/** Requests that a controller has answered; counted by itself. */
export const CONTROLLER_REQUESTS = {
  name: 'truepeer_controller_requests_total',
  help: 'Requests that were answered, including each request of a batch. The method is that of the API, "truepeer" for edges and the audit log, "batch" for a whole batch, "unknown" for a method that does not exist, and "none" for a request that was refused before its method was read',
  labels: ['method', 'code'],
} as const

/** How long a controller takes to answer; counted by itself. */
export const CONTROLLER_SECONDS = {
  name: 'truepeer_controller_request_seconds',
  help: 'Time from a request to its answer; a change of a forwarding rule waits up to 2 s for edges',
  labels: ['method'],
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
} as const

/** Why a controller closes a connection for want of a place: see the help of {@link CONTROLLER_REFUSED_CONNECTIONS}. */
export const REFUSAL_REASONS = ['client-limit', 'limit'] as const

export type RefusalReason = (typeof REFUSAL_REASONS)[number]

/** Connections that a controller has closed for want of a place; counted by itself. */
export const CONTROLLER_REFUSED_CONNECTIONS = {
  name: 'truepeer_controller_connections_refused_total',
  help: 'Connections that were closed for want of a place: "client-limit" for the oldest of a client that has shown no token and has more than its share, "limit" where a port has as many as it may have',
  labels: ['reason'],
} as const

const OPERATION_STATES = ['done', 'running'] as const

/** Every other metric that only a controller has. */
export const CONTROLLER_METRICS: readonly StatusMetric<ControllerStatus>[] = [
  {
    name: 'truepeer_controller_revision',
    help: 'Version of the configuration; it grows by one with every change',
    kind: 'gauge',
    labels: [],
    samples: ({ revision }) => [[[], revision]],
  },
  {
    name: 'truepeer_controller_resources',
    help: 'Resources that are stored',
    kind: 'gauge',
    labels: ['collection'],
    samples: ({ resources }) => [...resources].map(([collection, count]) => [[collection], count]),
  },
  {
    name: 'truepeer_controller_operations',
    help: 'Operations that are kept',
    kind: 'gauge',
    labels: ['state'],
    values: OPERATION_STATES,
    samples: ({ operations }) => OPERATION_STATES.map((state) => [[state], operations[state]]),
  },
  {
    name: 'truepeer_controller_database_bytes',
    help: 'Size of the database on disk, including its write-ahead log',
    kind: 'gauge',
    labels: [],
    samples: ({ databaseBytes }) => [[[], databaseBytes]],
  },
  ofEdges('connected', '1 for an edge that is connected, 0 for one that was', ({ isConnected }) =>
    isConnected ? 1 : 0,
  ),
  ofEdges(
    'revision',
    'Version of the configuration that an edge serves; 0 before its first, and after a restore until it follows again',
    ({ appliedVersion }) => appliedVersion,
  ),
  ofEdges('refusing', '1 for an edge that could not apply a version later than the one it serves', ({ isRefusing }) =>
    isRefusing ? 1 : 0,
  ),
]

function ofEdges(name: string, help: string, read: (edge: EdgeOfController) => number): StatusMetric<ControllerStatus> {
  return {
    name: `truepeer_controller_edge_${name}`,
    help,
    kind: 'gauge',
    labels: ['edge'],
    samples: ({ edges }) => edges.map((edge) => [[edge.name], read(edge)]),
  }
}
