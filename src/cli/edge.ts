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
import { type FlagValues, listFlag, parseFlags, UsageError, valueFlag } from './flags.ts'
import {
  integerBetween,
  oneOf,
  parseAddressPort,
  parseDuration,
  parsePart,
  parsePositiveDuration,
  parseTarget,
  parseText,
} from './values.ts'

const PROXY_HEADERS = ['PROXY_V1', 'PROXY_V2', 'NONE'] as const
const TLS_PROFILES = ['COMPATIBLE', 'MODERN', 'RESTRICTED', 'FIPS_202205'] as const
const TLS_MIN_VERSIONS = ['1.0', '1.1', '1.2', '1.3'] as const
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
  tlsCertificates: listFlag(
    'tls-cert',
    'FILE',
    'Terminate TLS with this certificate and its chain (PEM); give it once for each, each with its --tls-key. The first serves clients that name no other',
    parseText,
  ),
  tlsKeys: listFlag('tls-key', 'FILE', 'The private key (PEM) of the --tls-cert in the same place', parseText),
  tlsProfile: valueFlag(
    'tls-profile',
    TLS_PROFILES.join('|'),
    'The cipher suites that are offered, as the profiles of SSL policies name them',
    oneOf(TLS_PROFILES),
    'MODERN',
  ),
  tlsMinVersion: valueFlag(
    'tls-min-version',
    TLS_MIN_VERSIONS.join('|'),
    'The oldest version of TLS that is offered; 1.3 needs the profile RESTRICTED',
    oneOf(TLS_MIN_VERSIONS),
    '1.2',
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

/** What `--tls-...` say. */
export type EdgeTlsFiles = {
  readonly pairs: readonly { readonly certificatePath: string; readonly keyPath: string }[]
  readonly profile: (typeof TLS_PROFILES)[number]
  readonly minVersion: (typeof TLS_MIN_VERSIONS)[number]
}

/** What the command line of an edge says; times in milliseconds. */
export type EdgeCommand = ProcessSettings &
  ListenerSettings & {
    readonly listen: Endpoint
    readonly backends: readonly Endpoint[]
    readonly proxyHeader: (typeof PROXY_HEADERS)[number]
    /** Files to read; null: no TLS. */
    readonly tlsFiles: EdgeTlsFiles | null
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
    tlsFiles: tlsFiles(values),
    healthCheck,
  }
}

function tlsFiles(values: FlagValues<typeof edgeFlags>): EdgeTlsFiles | null {
  const { tlsCertificates, tlsKeys } = values
  if (tlsCertificates.length !== tlsKeys.length) {
    throw new UsageError(
      `--tls-cert is given ${tlsCertificates.length} times and --tls-key ${tlsKeys.length} times; give one of each for a certificate`,
    )
  }
  if (tlsCertificates.length === 0) return null
  return {
    pairs: tlsCertificates.map((certificatePath, index) => ({ certificatePath, keyPath: tlsKeys[index] })),
    profile: values.tlsProfile[0],
    minVersion: values.tlsMinVersion[0],
  }
}
