import type { Endpoint } from '../address/endpoint.ts'
import {
  type ListenerSettings,
  listenerFlags,
  listenerSettings,
  type ProcessSettings,
  processFlags,
  processSettings,
  WORKERS_MAX,
} from './data-plane-flags.ts'
import { listFlag, parseFlags, UsageError, valueFlag } from './flags.ts'
import {
  integerBetween,
  oneOf,
  parseAddressPort,
  parseDuration,
  parsePart,
  parsePositiveDuration,
  parseTarget,
} from './values.ts'

const PROXY_HEADERS = ['PROXY_V1', 'NONE'] as const
const THRESHOLD_MAX = 10

/** The flags of `truepeer edge`. */
export const edgeFlags = {
  listen: valueFlag('listen', 'ADDR:PORT', 'Where clients connect to. Mandatory', parseAddressPort),
  backends: listFlag('backend', 'ADDR:PORT', 'A backend; give the flag once for each. Mandatory', parseTarget),
  proxyHeader: valueFlag(
    'proxy-header',
    PROXY_HEADERS.join('|'),
    "The header that tells the backend the client's address",
    oneOf(PROXY_HEADERS),
    'PROXY_V1',
  ),
  workers: valueFlag(
    'workers',
    'N',
    'Worker threads, each with a listening socket of its own',
    integerBetween(1, WORKERS_MAX),
    '1',
  ),
  idleTimeout: valueFlag('idle-timeout', 'TIME', 'Silence in both directions; 0: for ever', parseDuration, '30s'),
  checkInterval: valueFlag(
    'check-interval',
    'TIME',
    'From one health check of a backend to the next',
    parsePositiveDuration,
    '5s',
  ),
  checkTimeout: valueFlag(
    'check-timeout',
    'TIME',
    'For a backend to accept a health check',
    parsePositiveDuration,
    '5s',
  ),
  healthyThreshold: valueFlag(
    'healthy-threshold',
    'N',
    'Successful checks in a row before a backend that was down is used again',
    integerBetween(1, THRESHOLD_MAX),
    '2',
  ),
  unhealthyThreshold: valueFlag(
    'unhealthy-threshold',
    'N',
    'Failed checks in a row before a backend is no longer used',
    integerBetween(1, THRESHOLD_MAX),
    '2',
  ),
  maxUtilization: valueFlag(
    'max-utilization',
    'PART',
    'The backends are agents: ask each for the load of its host with every health check. One above this part of its processors, such as 0.8, gets connections only if all are; one whose app does not listen is down',
    parsePart,
  ),
  ...listenerFlags,
  ...processFlags,
} as const

/** What the command line of an edge says; times in milliseconds. */
export type EdgeCommand = ProcessSettings &
  ListenerSettings & {
    readonly listen: Endpoint
    readonly backends: readonly Endpoint[]
    readonly proxyHeader: (typeof PROXY_HEADERS)[number]
    readonly healthCheck: {
      readonly checkIntervalMs: number
      readonly timeoutMs: number
      readonly healthyThreshold: number
      readonly unhealthyThreshold: number
      readonly maxUtilization: number | undefined
    }
  }

/** Reads the arguments behind `truepeer edge`. @throws UsageError */
export function parseEdge(argv: readonly string[]): EdgeCommand {
  const values = parseFlags(argv, edgeFlags)
  const [listen] = values.listen
  if (listen === undefined) throw new UsageError('--listen is missing; give the ADDR:PORT that clients connect to')
  if (values.backends.length === 0) throw new UsageError('--backend is missing; give the ADDR:PORT of at least one')
  const healthCheck = {
    checkIntervalMs: values.checkInterval[0],
    timeoutMs: values.checkTimeout[0],
    healthyThreshold: values.healthyThreshold[0],
    unhealthyThreshold: values.unhealthyThreshold[0],
    maxUtilization: values.maxUtilization[0],
  }
  if (healthCheck.timeoutMs > healthCheck.checkIntervalMs) {
    throw new UsageError('--check-timeout must not exceed --check-interval; shorten it')
  }
  return {
    ...processSettings(values, values.workers[0]),
    // An edge reads no header, so that timeout has nothing to bound.
    ...listenerSettings(values, { headerTimeoutMs: 0, idleTimeoutMs: values.idleTimeout[0] }),
    listen,
    backends: values.backends,
    proxyHeader: values.proxyHeader[0],
    healthCheck,
  }
}
