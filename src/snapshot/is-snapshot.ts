import { formatIpAddress, parseIpAddress } from '../address/ip-address.ts'
import { CLOSE_SEC_MAX, RING_SIZE_MAX } from '../compute/backend-service.ts'
import { BASE_EJECTION_MS_MAX } from '../compute/outlier-detection.ts'
import { MIN_TLS_VERSIONS, PROFILES } from '../compute/ssl-features.ts'
import { isBetween, isFlag, isListOf, isObjectOf, isOneOf, isOptional, isText, isWhole, type Shape } from './shape.ts'
import type { BackendService, Frontend, Snapshot } from './snapshot.ts'
import { socketOf } from './socket-of.ts'
import { DEFAULT_SPREADING } from './spreading.ts'

/** setTimeout(3) counts milliseconds in 31 bits. */
const TIMER_MS_MAX = 2 ** 31 - 1
/** Counts of the API are integers of 32 bits. */
const INTEGER_MAX = 2 ** 31 - 1

const isAddress: Shape = (value) => {
  const address = typeof value === 'string' ? parseIpAddress(value) : undefined
  return address !== undefined && formatIpAddress(address) === value
}
const isPort = isWhole(1, 65_535)
const isPart = isBetween(0, 1)
/** A group is drained, or has a tenth of its target at least. */
const isScaler: Shape = (value) => value === 0 || isBetween(0.1, 1)(value)
const isTime = isWhole(0, Number.MAX_SAFE_INTEGER)
const isBeat = isWhole(1, TIMER_MS_MAX)
const isCount = isWhole(1, INTEGER_MAX)

const isProxyHeader: Shape = (value) =>
  isObjectOf({ kind: isOneOf('NONE', 'PROXY_V1') })(value) ||
  isObjectOf({ kind: isOneOf('PROXY_V2'), crc32c: isFlag, uniqueId: isFlag })(value)

const isFrontendTls = isObjectOf({
  certificates: isListOf(isObjectOf({ name: isText, chain: isText, privateKey: isText })),
  policy: isObjectOf({
    name: isText,
    profile: isOneOf(...PROFILES),
    minTlsVersion: isOneOf(...MIN_TLS_VERSIONS),
    customFeatures: isListOf(isText),
  }),
  protocols: isListOf(isText),
})

const isFrontend = isObjectOf({
  name: isText,
  protocol: isOneOf('TCP', 'UDP'),
  address: isAddress,
  port: isPort,
  proxy: isText,
  service: isText,
  proxyHeader: isProxyHeader,
  tls: isOptional(isFrontendTls),
})

const isGroup = isObjectOf({
  name: isText,
  region: isText,
  zone: isText,
  isPreferred: isFlag,
  balancing: isObjectOf({
    mode: isOneOf('CONNECTION', 'UTILIZATION'),
    maxUtilization: isOptional(isPart),
    // That of one backend, times their number.
    maxConnections: isOptional(isWhole(0, Number.MAX_SAFE_INTEGER)),
    capacityScaler: isScaler,
  }),
  backends: isListOf(isObjectOf({ name: isText, address: isAddress, port: isPort })),
})

const isSpreading = isObjectOf({
  policy: isText,
  algorithm: isOneOf('WATERFALL_BY_REGION', 'WATERFALL_BY_ZONE', 'SPRAY_TO_REGION', 'SPRAY_TO_WORLD'),
  failoverHealthThreshold: isBetween(0.01, 0.99),
  drainsUnhealthy: isFlag,
  isolation: isOneOf('NONE', 'NEAREST', 'STRICT'),
})

const isLocality: Shape = (value) =>
  isObjectOf({ kind: isOneOf('ROUND_ROBIN', 'LEAST_REQUEST', 'RANDOM', 'MAGLEV') })(value) ||
  isObjectOf({ kind: isOneOf('RING_HASH'), minimumRingSize: isWhole(1, RING_SIZE_MAX) })(value)

const isOutlierDetection = isObjectOf({
  intervalMs: isBeat,
  baseEjectionMs: isWhole(0, BASE_EJECTION_MS_MAX),
  maxEjectedPart: isPart,
  consecutiveErrors: isCount,
  enforcedConsecutiveErrors: isPart,
  consecutiveGatewayFailures: isCount,
  enforcedConsecutiveGatewayFailures: isPart,
  successRate: isObjectOf({
    minimumBackends: isCount,
    minimumConnections: isCount,
    deviations: isBetween(0, INTEGER_MAX / 1_000),
    enforced: isPart,
  }),
})

const isService = isObjectOf({
  name: isText,
  idleTimeoutMs: isTime,
  flows: isOptional(isObjectOf({ persistsOnUnhealthy: isFlag })),
  drainingTimeoutMs: isWhole(0, TIMER_MS_MAX),
  healthCheck: isOptional(isText),
  logSampleRate: isPart,
  groups: isListOf(isGroup),
  spreading: isSpreading,
  locality: isLocality,
  affinity: isOneOf('NONE', 'CLIENT_IP', 'CLIENT_IP_PROTO', 'CLIENT_IP_PORT_PROTO'),
  maxConnections: isOptional(isCount),
  outlierDetection: isOptional(isOutlierDetection),
  closeOnFailureMs: isOptional(isWhole(0, 1_000 * CLOSE_SEC_MAX)),
  tls: isOptional(
    isObjectOf({
      serverName: isText,
      names: isOptional(isObjectOf({ dnsNames: isListOf(isText), uris: isListOf(isText) })),
      roots: isText,
      headerPlace: isOneOf('before-tls', 'inside-tls'),
    }),
  ),
})

const isProbe: Shape = (value) =>
  isObjectOf({ kind: isOneOf('TCP', 'SSL'), request: isText, response: isText })(value) ||
  isObjectOf({ kind: isOneOf('HTTP', 'HTTPS', 'HTTP2'), host: isText, requestPath: isText, response: isText })(value) ||
  isObjectOf({ kind: isOneOf('GRPC', 'GRPC_WITH_TLS'), serviceName: isText })(value)

const isHealthCheck = isObjectOf({
  name: isText,
  checkIntervalMs: isBeat,
  timeoutMs: isBeat,
  healthyThreshold: isWhole(1, TIMER_MS_MAX),
  unhealthyThreshold: isWhole(1, TIMER_MS_MAX),
  port: isOptional(isPort),
  sendsProxyHeader: isFlag,
  logsTransitions: isFlag,
  probe: isProbe,
})

const hasParts = isObjectOf({
  frontends: isListOf(isFrontend),
  services: isListOf(isService),
  healthChecks: isListOf(isHealthCheck),
})

const hasServices = isObjectOf({
  frontends: isListOf(isObjectOf({})),
  services: isListOf(isObjectOf({ groups: isListOf(isObjectOf({})) })),
})

/** How a frontend was before there was another. */
const BEFORE_UDP: Pick<Snapshot['frontends'][number], 'protocol'> = { protocol: 'TCP' }

/** How a service was before it could say otherwise. */
const BEFORE_CHOICE: Pick<Snapshot['services'][number], 'spreading' | 'locality' | 'affinity'> = {
  spreading: DEFAULT_SPREADING,
  locality: { kind: 'ROUND_ROBIN' },
  affinity: 'NONE',
}

/** Says whether a value from outside is a snapshot that a data plane can be given: complete, and consistent. */
export function isSnapshot(value: unknown): value is Snapshot {
  return hasParts(value) && isConsistent(value as Snapshot)
}

/**
 * A snapshot from outside: from a controller, or kept on disk; undefined: it is none.
 *
 * One of a version before there was a choice is completed, so that an edge can be updated before its controller, and
 * starts with what it has kept.
 */
export function readSnapshot(value: unknown): Snapshot | undefined {
  const whole = completed(value)
  return isSnapshot(whole) ? whole : undefined
}

function completed(value: unknown): unknown {
  if (!hasServices(value)) return value
  const { frontends, services, ...rest } = value as {
    readonly frontends: readonly object[]
    readonly services: readonly { readonly groups: readonly object[] }[]
  }
  const whole = services.map(({ groups, ...service }) => ({
    ...BEFORE_CHOICE,
    ...service,
    groups: groups.map((group) => ({ isPreferred: false, ...group })),
  }))
  return { ...rest, frontends: frontends.map((frontend) => ({ ...BEFORE_UDP, ...frontend })), services: whole }
}

/** All names are unique in their list, and lead to something. */
function isConsistent({ frontends, services, healthChecks }: Snapshot): boolean {
  const byName = new Map(services.map((service) => [service.name, service]))
  const checkNames = namesOf(healthChecks)
  return (
    new Set(frontends.map(socketOf)).size === frontends.length &&
    byName.size === services.length &&
    checkNames.size === healthChecks.length &&
    frontends.every((frontend) => fits(frontend, byName.get(frontend.service))) &&
    services.every(({ healthCheck }) => healthCheck === undefined || checkNames.has(healthCheck)) &&
    services.every(({ groups }) => hasUniqueNames(groups) && groups.every(({ backends }) => hasUniqueNames(backends)))
  )
}

/** UDP leads to UDP, without what only TCP has. */
function fits({ protocol, proxyHeader, tls }: Frontend, service: BackendService | undefined): boolean {
  if (service === undefined || (protocol === 'UDP') !== (service.flows !== undefined)) return false
  return protocol === 'TCP' || (proxyHeader.kind !== 'PROXY_V1' && tls === undefined)
}

type Named = readonly { readonly name: string }[]

function namesOf(list: Named): Set<string> {
  return new Set(list.map(({ name }) => name))
}

function hasUniqueNames(list: Named): boolean {
  return namesOf(list).size === list.length
}
