import { MALFORMED_REASONS } from '../proxy-protocol/proxy-header.ts'
import { HANDSHAKE_FAILURES, TLS_VERSION_NAMES } from '../tls/handshake-names.ts'
import { END_REASON_NAMES } from './end-reasons.ts'
import { DROP_REASON_NAMES, FLOW_END_REASON_NAMES } from './flow-reasons.ts'

/** Why a well-formed header's source may not be impersonated; the `reason` of `truepeer_sources_refused_total`. */
export const SOURCE_REFUSALS = [
  'src-unspecified',
  'src-loopback',
  'src-multicast',
  'src-broadcast',
  'src-reserved',
  'src-linklocal',
  'src-private',
  'src-own-address',
  'src-equals-dst',
  'src-port-zero',
  'src-port-in-use',
  'src-not-kept',
  'transport-mismatch',
  'family-unsupported',
] as const
export type SourceRefusal = (typeof SOURCE_REFUSALS)[number]

/** What made an ephemeral source port replace the client's; the `cause` of `truepeer_source_port_fallbacks_total`. */
export const FALLBACK_CAUSES = ['bind-in-use', 'connection-in-use', 'not-permitted'] as const

/** Errors of accept4(2) that are counted by name; any other is `other`. */
export const ACCEPT_ERRNOS = [
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
  'ECONNABORTED',
  'EPERM',
  'EPROTO',
  'other',
] as const

/** ICMP errors that come back to a flow, counted by name; any other is `other`. */
export const FLOW_ERRNOS = ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EACCES', 'EPERM', 'other'] as const

/** Which way a datagram passed; the `direction` of `truepeer_datagrams_total`. */
const DIRECTIONS = ['client-to-backend', 'backend-to-client'] as const

/** Why a listener left its queue alone for a while; the `reason` of `truepeer_accept_pauses_total`. */
export const PAUSE_REASONS = ['limit', 'resources'] as const

/** A metric: its name and help as Prometheus shows them, and the slots of {@link Counters} that hold its values. */
export type Metric = {
  readonly name: string
  readonly help: string
  readonly kind: 'counter' | 'gauge'
  readonly label: string
  /** Label value → slot. A metric without a label has one slot under the empty value. */
  readonly slots: Readonly<Record<string, number>>
}

let slotCount = 0

function labelled<Value extends string>(
  name: string,
  help: string,
  label: string,
  values: readonly Value[],
  kind: Metric['kind'] = 'counter',
): Metric & { readonly slots: Readonly<Record<Value, number>> } {
  const slots = {} as Record<Value, number>
  for (const value of values) slots[value] = slotCount++
  return { name, help, kind, label, slots }
}

function single(name: string, help: string, kind: Metric['kind'] = 'counter'): Metric & { readonly slot: number } {
  const metric = labelled(name, help, '', [''], kind)
  return { ...metric, slot: metric.slots[''] }
}

/** Every metric of the data plane, the only place that names them. */
export const METRICS = {
  accepted: single('truepeer_connections_accepted_total', 'Connections taken from a listener'),
  open: single('truepeer_connections_open', 'Connections open now', 'gauge'),
  ended: labelled('truepeer_connections_ended_total', 'Connections that ended, by reason', 'reason', END_REASON_NAMES),
  bytes: labelled('truepeer_bytes_total', 'Payload bytes of connections relayed', 'direction', DIRECTIONS),
  malformed: labelled(
    'truepeer_headers_malformed_total',
    'Connections whose first bytes were not a valid PROXY protocol header',
    'reason',
    MALFORMED_REASONS,
  ),
  local: single('truepeer_headers_local_total', 'Headers without a client: LOCAL, UNKNOWN, UNSPEC, or naming the edge'),
  sourceRefused: labelled(
    'truepeer_sources_refused_total',
    'Well-formed headers whose source may not be impersonated',
    'reason',
    SOURCE_REFUSALS,
  ),
  sourcePortFallbacks: labelled(
    'truepeer_source_port_fallbacks_total',
    "Connections that could not keep the client's port",
    'cause',
    FALLBACK_CAUSES,
  ),
  tlsHandshakes: labelled(
    'truepeer_tls_handshakes_total',
    'Complete TLS handshakes that did not resume a session',
    'version',
    TLS_VERSION_NAMES,
  ),
  tlsResumed: labelled(
    'truepeer_tls_resumptions_total',
    'Complete TLS handshakes that resumed a session',
    'version',
    TLS_VERSION_NAMES,
  ),
  tlsFailures: labelled(
    'truepeer_tls_handshake_failures_total',
    'TLS handshakes that failed',
    'reason',
    HANDSHAKE_FAILURES,
  ),
  connectFailures: single('truepeer_connect_failures_total', 'Attempts to reach a backend or target that failed'),
  connectRetries: single('truepeer_connect_retries_total', 'Further attempts after a failed one'),
  acceptErrors: labelled('truepeer_accept_errors_total', 'Errors of accept4(2)', 'errno', ACCEPT_ERRNOS),
  acceptPauses: labelled('truepeer_accept_pauses_total', 'Times a listener was paused', 'reason', PAUSE_REASONS),
  flowsOpened: single('truepeer_flows_opened_total', 'UDP flows that were opened'),
  flowsOpen: single('truepeer_flows_open', 'UDP flows open now', 'gauge'),
  flowsEnded: labelled(
    'truepeer_flows_ended_total',
    'UDP flows that ended, by reason',
    'reason',
    FLOW_END_REASON_NAMES,
  ),
  datagrams: labelled('truepeer_datagrams_total', 'Datagrams passed on', 'direction', DIRECTIONS),
  datagramBytes: labelled(
    'truepeer_datagram_bytes_total',
    'Payload bytes of datagrams passed on',
    'direction',
    DIRECTIONS,
  ),
  datagramsDropped: labelled(
    'truepeer_datagrams_dropped_total',
    'Datagrams that were not passed on, by reason',
    'reason',
    DROP_REASON_NAMES,
  ),
  flowErrors: labelled(
    'truepeer_flow_errors_total',
    'ICMP errors that came back from backends or the app, by errno',
    'errno',
    FLOW_ERRNOS,
  ),
} as const

/** Whether each worker comes round; known by the main thread. */
export const WORKER_UP = {
  name: 'truepeer_worker_up',
  help: '1 while the worker gives signs of life, 0 while it is stuck: its clients get no answers',
  labels: ['worker'],
} as const
export const WORKER_STALLS = {
  name: 'truepeer_worker_stalls_total',
  help: 'How often a worker was found to be stuck, for longer than --worker-timeout',
} as const

/** What only the main thread knows. */
export const LOG_DROPPED = {
  name: 'truepeer_log_dropped_total',
  help: 'Log records dropped because the reader of stdout was too slow',
} as const

/** Of every program. */
export const BUILD_INFO = {
  name: 'truepeer_build_info',
  help: 'Always 1; the labels say which truepeer on which Node this is',
  labels: ['version', 'node'],
} as const

/** How many slots {@link Counters} needs. */
export const SLOT_COUNT = slotCount

/**
 * The counters of one worker: doubles in memory that the main thread reads while the worker writes.
 *
 * Each set has one writer; a reader may see a value one event old, never a torn one.
 */
export class Counters {
  readonly shared: SharedArrayBuffer
  readonly #values: Float64Array

  constructor(shared = new SharedArrayBuffer(SLOT_COUNT * Float64Array.BYTES_PER_ELEMENT)) {
    this.shared = shared
    this.#values = new Float64Array(shared)
  }

  add(slot: number, amount = 1): void {
    this.#values[slot] += amount
  }

  read(slot: number): number {
    return this.#values[slot]
  }
}
