// The flags that an edge and an agent have in common.

import { classifyAddress } from '../address/address-class.ts'
import { parseEndpoint } from '../address/endpoint.ts'
import type { ListenAddress } from '../telemetry/listen.ts'
import { type FlagValues, quoted, UsageError, valueFlag } from './flags.ts'
import { integerBetween, oneOf, parseDuration, parsePositiveDuration, parseSocketPath } from './values.ts'

export const WORKERS_MAX = 256
export const CONNECTIONS_MAX = 10_000_000

const STUCK_ACTIONS = ['report', 'abort'] as const

/** The flags that concern the whole process. */
export const processFlags = {
  maxConnections: valueFlag(
    'max-connections',
    'N',
    'Maximum number of open connections in all workers; further clients wait in the queue. 0 means as many as the limit of open files allows, half as many where there may be flows of UDP, too',
    integerBetween(0, CONNECTIONS_MAX),
    '0',
  ),
  maxConnectionsPerWorker: valueFlag(
    'max-connections-per-worker',
    'N',
    'Maximum number of open connections in one worker; 0 means that only the limit for all workers applies',
    integerBetween(0, CONNECTIONS_MAX),
    '0',
  ),
  drainTimeout: valueFlag(
    'drain-timeout',
    'TIME',
    'How long open connections may continue after SIGTERM; 0 waits until they end by themselves',
    parseDuration,
    '30s',
  ),
  warmUp: valueFlag(
    'warm-up',
    'on|off',
    'Whether a worker, before its first client, makes connections to itself on 127.0.0.1 for at most 1.5 s, so that its code is compiled when clients come',
    oneOf(['on', 'off']),
    'on',
  ),
  workerTimeout: valueFlag(
    'worker-timeout',
    'TIME',
    'How long a worker may give no sign of life before it counts as stuck, which the log, /healthz, /readyz, the metrics and the service manager are told',
    parsePositiveDuration,
    '5s',
  ),
  onStuckWorker: valueFlag(
    'on-stuck-worker',
    STUCK_ACTIONS.join('|'),
    'What to do about a stuck worker: only report it, or end the process with SIGABRT, for a core dump and a restart',
    oneOf(STUCK_ACTIONS),
    'report',
  ),
  admin: valueFlag(
    'admin',
    'HOST:PORT|unix:PATH',
    'Serve /metrics, /healthz, /readyz, /connections and /status here, and for an edge POST /backends/NAME/drain and enable; TCP only on loopback, a UNIX socket is for its owner only',
    parseAdmin,
  ),
} as const

/** The flags that concern one listening port. */
export const listenerFlags = {
  connectTimeout: valueFlag(
    'connect-timeout',
    'TIME',
    'Maximum time to connect to the other side',
    parsePositiveDuration,
    '5s',
  ),
  halfClosedTimeout: valueFlag(
    'half-closed-timeout',
    'TIME',
    'How long a connection may be silent after one side has sent its FIN; 0 sets no limit',
    parseDuration,
    '1h',
  ),
  keepalive: valueFlag(
    'keepalive',
    'TIME',
    'How long a connection is silent before TCP keepalive probes the peer; a peer that does not answer for as long again is given up. 0 switches it off',
    parseDuration,
    '2m',
  ),
  userTimeout: valueFlag(
    'user-timeout',
    'TIME',
    'TCP_USER_TIMEOUT: how long sent data may be unacknowledged, or the receive window of the peer closed. 0 leaves it to the kernel',
    parseDuration,
    '0s',
  ),
  verbosity: valueFlag(
    'v',
    '0|1|2',
    'Which connections have a record in the log. 0: a sample of bad headers, failures and strangers; 1: each that failed; 2: all',
    integerBetween(0, 2),
    '0',
  ),
} as const

/** What the process flags say; times in milliseconds. */
export type ProcessSettings = {
  readonly workers: number
  readonly maxConnections: number
  readonly maxConnectionsPerWorker: number
  readonly drainTimeoutMs: number
  readonly warmsUp: boolean
  readonly workerWatch: { readonly timeoutMs: number; readonly aborts: boolean }
  readonly admin: ListenAddress | undefined
}

/** What the flags of a listening port have in common for an edge and an agent; times in milliseconds. */
export type ListenerSettings = {
  readonly timeouts: {
    readonly headerTimeoutMs: number
    readonly connectTimeoutMs: number
    readonly idleTimeoutMs: number
    readonly halfClosedTimeoutMs: number
  }
  readonly liveness: { readonly keepaliveMs: number; readonly userTimeoutMs: number }
  readonly verbosity: 0 | 1 | 2
}

/** Gathers the values of {@link processFlags}. */
export function processSettings(values: FlagValues<typeof processFlags>, workers: number): ProcessSettings {
  return {
    workers,
    maxConnections: values.maxConnections[0],
    maxConnectionsPerWorker: values.maxConnectionsPerWorker[0],
    drainTimeoutMs: values.drainTimeout[0],
    warmsUp: values.warmUp[0] === 'on',
    workerWatch: { timeoutMs: values.workerTimeout[0], aborts: values.onStuckWorker[0] === 'abort' },
    admin: values.admin[0],
  }
}

/** Gathers the values of {@link listenerFlags}. */
export function listenerSettings(
  values: FlagValues<typeof listenerFlags>,
  times: { readonly headerTimeoutMs: number; readonly idleTimeoutMs: number },
): ListenerSettings {
  return {
    timeouts: {
      ...times,
      connectTimeoutMs: values.connectTimeout[0],
      halfClosedTimeoutMs: values.halfClosedTimeout[0],
    },
    liveness: { keepaliveMs: values.keepalive[0], userTimeoutMs: values.userTimeout[0] },
    verbosity: values.verbosity[0] as 0 | 1 | 2,
  }
}

/** Reads where an admin server listens. */
export function parseAdmin(text: string, flag: string): ListenAddress {
  if (text.startsWith('unix:') && text.length > 'unix:'.length) {
    return { kind: 'unix', path: parseSocketPath(text.slice('unix:'.length), flag) }
  }
  const endpoint = parseEndpoint(text.replace(/^localhost:/, '127.0.0.1:'))
  if (endpoint === undefined || endpoint.port === 0) {
    throw new UsageError(`${flag} ${quoted(text)} is neither HOST:PORT nor unix:PATH; write 127.0.0.1:9112`)
  }
  if (classifyAddress(endpoint.address) !== 'loopback') {
    throw new UsageError(
      `${flag} ${quoted(text)} is not loopback, and there is no login; write 127.0.0.1:${endpoint.port} or unix:PATH`,
    )
  }
  return { kind: 'tcp', endpoint }
}
