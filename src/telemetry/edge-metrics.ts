import {
  AVAILABILITIES,
  type BackendStatus,
  type EdgeStatus,
  type FrontendStatus,
  GROUP_STATES,
  type GroupStatus,
  HEALTHS,
  type Traffic,
} from './edge-status.ts'
import { REGION_REASONS } from './region-reasons.ts'
import type { Sample, StatusMetric } from './status-metric.ts'

type EdgeMetric = StatusMetric<EdgeStatus>

const FRONTEND = ['frontend'] as const
const GROUP = ['service', 'group', 'region'] as const
const BACKEND = ['service', 'group', 'backend'] as const

const DIRECTIONS: readonly (readonly [direction: string, read: (traffic: Traffic) => number])[] = [
  ['client-to-backend', ({ bytesFromClient }) => bytesFromClient],
  ['backend-to-client', ({ bytesFromBackend }) => bytesFromBackend],
]

/** Every metric that only an edge has; the names of those of the data path are in `metrics.ts`. */
export const EDGE_METRICS: readonly EdgeMetric[] = [
  ofFrontends('connections_total', 'Connections of a forwarding rule', 'counter', ({ connections }) => connections),
  ofFrontends('connections_open', 'Connections of a forwarding rule, open now', 'gauge', ({ open }) => open),
  {
    name: 'truepeer_frontend_bytes_total',
    help: 'Payload bytes relayed for a forwarding rule',
    kind: 'counter',
    labels: [...FRONTEND, 'direction'],
    values: DIRECTIONS.map(([direction]) => direction),
    samples: ({ frontends }) =>
      frontends.flatMap((frontend) =>
        DIRECTIONS.map(([direction, read]): Sample => [[frontend.name, direction], read(frontend)]),
      ),
  },
  {
    name: 'truepeer_frontend_refused_total',
    help: 'Connections of a forwarding rule that reached no backend. peer-or-header: the peer, its header, its TLS handshake, or one more connection of the same client or to the service was refused; no-backend: no backend was healthy',
    kind: 'counter',
    labels: [...FRONTEND, 'reason'],
    values: ['peer-or-header', 'no-backend'],
    samples: ({ frontends }) =>
      frontends.flatMap(({ name, refused, noBackend }): Sample[] => [
        [[name, 'peer-or-header'], refused],
        [[name, 'no-backend'], noBackend],
      ]),
  },
  {
    name: 'truepeer_group_connections_total',
    help: 'Connections that a group of backends was chosen for, by why its region was: it is the nearest one, or what was wrong with the nearest one',
    kind: 'counter',
    labels: [...GROUP, 'reason'],
    values: REGION_REASONS,
    samples: (status) =>
      eachGroup(status).flatMap(([labels, { chosen }]) =>
        REGION_REASONS.map((reason): Sample => [[...labels, reason], chosen[reason] ?? 0]),
      ),
  },
  {
    name: 'truepeer_group_state',
    help: '1 for the state that decides what a group of backends gets of new connections, 0 for the others',
    kind: 'gauge',
    labels: [...GROUP, 'state'],
    values: GROUP_STATES,
    samples: (status) =>
      eachGroup(status).flatMap(([labels, group]) =>
        GROUP_STATES.map((state): Sample => [[...labels, state], group.state === state ? 1 : 0]),
      ),
  },
  ofBackends('connections_total', 'Connections that a backend was chosen for', 'counter', (it) => it.connections),
  ofBackends('connections_open', 'Connections to a backend, open now', 'gauge', (it) => it.open),
  {
    name: 'truepeer_backend_bytes_total',
    help: 'Payload bytes relayed for a backend',
    kind: 'counter',
    labels: [...BACKEND, 'direction'],
    values: DIRECTIONS.map(([direction]) => direction),
    samples: (status) =>
      eachBackend(status).flatMap(([labels, backend]) =>
        DIRECTIONS.map(([direction, read]): Sample => [[...labels, direction], read(backend)]),
      ),
  },
  ofBackends(
    'connect_failures_total',
    'Attempts to connect to a backend that failed, those that timed out included',
    'counter',
    (it) => it.connectFailures,
  ),
  ofBackends(
    'connect_timeouts_total',
    'Attempts to connect that a backend did not answer in time',
    'counter',
    (it) => it.connectTimeouts,
  ),
  ofBackends(
    'retries_total',
    'Attempts that came to a backend because another one had failed',
    'counter',
    (it) => it.retries,
  ),
  {
    name: 'truepeer_backend_health',
    help: '1 for the state that the health check has found, 0 for the others',
    kind: 'gauge',
    labels: [...BACKEND, 'state'],
    values: HEALTHS,
    samples: (status) => states(status, HEALTHS, ({ health }) => health),
  },
  {
    name: 'truepeer_backend_availability',
    help: '1 for the state that decides whether a backend gets new connections, 0 for the others',
    kind: 'gauge',
    labels: [...BACKEND, 'state'],
    values: AVAILABILITIES,
    samples: (status) => states(status, AVAILABILITIES, ({ availability }) => availability),
  },
  ofBackends(
    'ejected',
    '1 while outlier detection keeps a backend out, 0 otherwise',
    'gauge',
    ({ isEjected, availability }) => (isEjected && availability !== 'up' ? 1 : 0),
  ),
  ofBackends(
    'utilization_ratio',
    "Utilization of the processors of a backend's host, from 0 to 1, as its agent reports it; absent if no agent answers",
    'gauge',
    ({ utilization }) => utilization,
  ),
  ofBackends('probes_total', 'Health checks of a backend', 'counter', ({ probes }) => probes?.total),
  ofBackends('probe_failures_total', 'Health checks of a backend that failed', 'counter', (it) => it.probes?.failures),
  ofBackends(
    'health_transitions_total',
    'Changes of the health of a backend',
    'counter',
    ({ probes }) => probes?.transitions,
  ),
  {
    name: 'truepeer_certificate_expiry_seconds',
    help: 'Time until the first certificate of a chain to expire does so; negative once it has expired. An expired certificate is still served',
    kind: 'gauge',
    labels: ['certificate'],
    samples: ({ frontends }) => {
      const certificates = frontends.flatMap(({ tls }) => tls?.certificates ?? [])
      return new Map(
        certificates.map(({ name, expiresInSec }): [string, Sample] => [name, [[name], expiresInSec]]),
      ).values()
    },
  },
  {
    name: 'truepeer_configuration_reloads_total',
    help: 'Configurations that were read after the start, by result',
    kind: 'counter',
    labels: ['result'],
    values: ['ok', 'failed'],
    samples: ({ configuration: { reloads } }) => [
      [['ok'], reloads.ok],
      [['failed'], reloads.failed],
    ],
  },
  {
    name: 'truepeer_configuration_frontends_not_served',
    help: 'Frontends of the configuration in use whose port cannot be opened, or whose address cannot be put on this host',
    kind: 'gauge',
    labels: [],
    samples: ({ configuration: { unopened } }) => [[[], unopened.length]],
  },
  {
    name: 'truepeer_configuration_last_success_timestamp_seconds',
    help: 'When the configuration in use was applied, in seconds since 1970',
    kind: 'gauge',
    labels: [],
    samples: ({ configuration }) => [[[], Date.parse(configuration.appliedAt) / 1_000]],
  },
]

function ofFrontends(
  name: string,
  help: string,
  kind: EdgeMetric['kind'],
  read: (frontend: FrontendStatus) => number,
): EdgeMetric {
  return {
    name: `truepeer_frontend_${name}`,
    help,
    kind,
    labels: FRONTEND,
    samples: ({ frontends }) => frontends.map((frontend): Sample => [[frontend.name], read(frontend)]),
  }
}

function ofBackends(
  name: string,
  help: string,
  kind: EdgeMetric['kind'],
  read: (backend: BackendStatus) => number | undefined,
): EdgeMetric {
  return {
    name: `truepeer_backend_${name}`,
    help,
    kind,
    labels: BACKEND,
    samples: (status) =>
      eachBackend(status).flatMap(([labels, backend]): Sample[] => {
        const value = read(backend)
        return value === undefined ? [] : [[labels, value]]
      }),
  }
}

function states<State extends string>(
  status: EdgeStatus,
  all: readonly State[],
  read: (backend: BackendStatus) => State,
): Sample[] {
  return eachBackend(status).flatMap(([labels, backend]) =>
    all.map((state): Sample => [[...labels, state], read(backend) === state ? 1 : 0]),
  )
}

function eachGroup({ services }: EdgeStatus): [labels: readonly string[], group: GroupStatus][] {
  return services.flatMap((service) =>
    service.groups.map((group): [readonly string[], GroupStatus] => [[service.name, group.name, group.region], group]),
  )
}

function eachBackend({ services }: EdgeStatus): [labels: readonly string[], backend: BackendStatus][] {
  return services.flatMap((service) =>
    service.groups.flatMap((group) =>
      group.backends.map((backend): [readonly string[], BackendStatus] => [
        [service.name, group.name, backend.name],
        backend,
      ]),
    ),
  )
}
