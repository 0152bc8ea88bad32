import { formatCidr } from '../address/cidr.ts'
import type { IpAddress } from '../address/ip-address.ts'
import { regionOfZone } from '../compute/reference.ts'
import type { CheckedResource } from '../compute/resources.ts'
import {
  ALPN_PROTOCOL_LENGTH_MAX,
  ALPN_PROTOCOL_PATTERN,
  ALPN_PROTOCOLS_MAX,
  CERTIFICATES_MAX,
  MIN_TLS_VERSIONS,
  PROFILES,
} from '../compute/ssl-features.ts'
import { agentListenerFlags } from './agent.ts'
import {
  CONNECTIONS_MAX,
  type ListenerSettings,
  listenerFlags,
  listenerSettings,
  type ProcessSettings,
  processFlags,
  processSettings,
  WORKERS_MAX,
} from './data-plane-flags.ts'
import { type EdgeControllerSettings, edgeControllerFlags, edgeControllerSettings } from './edge-controller.ts'
import {
  type FlagTable,
  type FlagValues,
  listFlag,
  parseFlags,
  quoted,
  spelled,
  switchFlag,
  UsageError,
  valueFlag,
} from './flags.ts'
import { type CertificateFiles, certificateName, type OneLineTls, oneLineResources } from './one-line-edge.ts'
import {
  integerBetween,
  oneOf,
  parseAddressPort,
  parseCidrs,
  parseDuration,
  parsePart,
  parsePositiveDuration,
  parseProtocols,
  parseResourceName,
  parseSourceRanges,
  parseTarget,
  parseText,
} from './values.ts'

/** What makes a region near. */
const PROXIMITIES = ['distance', 'measured'] as const
const PROXY_HEADERS = ['PROXY_V1', 'PROXY_V2', 'NONE'] as const
/** CUSTOM lists its suites, which only a file can. */
const TLS_PROFILES = PROFILES.filter((profile) => profile !== 'CUSTOM')
const TLS_VERSIONS = MIN_TLS_VERSIONS.map((version) => version.slice('TLS_'.length).replace('_', '.'))
const THRESHOLD_MAX = 10
const RETRIES_MAX = 100
const ZONE_DEFAULT = 'local-a'

/** The flags by which the load balancer comes from files. */
const configFlags = {
  config: listFlag(
    'config',
    'FILE',
    'A YAML or JSON file of Compute Engine resources, from forwarding rules to backends; SIGHUP reads it again and applies what has changed. Repeat the flag for each file',
    parseText,
  ),
  watch: switchFlag(
    'watch',
    'Apply a file of --config, --tls-cert, --tls-key, --tls-ticket-keys or --regions as soon as it changes, without SIGHUP',
  ),
  tlsTicketKeys: valueFlag(
    'tls-ticket-keys',
    'FILE',
    'The keys of TLS session tickets, for edges that are to resume the sessions of one another: one to 7 lines with 160 hexadecimal digits each. The first key seals, all of them open. By default an edge makes its own; a controller gives them to its edges',
    parseText,
  ),
} as const

/** The flags of the one-line form, which say the same as a file of one forwarding rule and its backends. */
export const oneLineFlags = {
  listen: valueFlag(
    'listen',
    'ADDR:PORT',
    'The address that clients connect to. Required without --config and --controller',
    parseAddressPort,
  ),
  protocol: valueFlag(
    'p',
    'tcp|udp|tcp,udp',
    'The protocol of clients and backends; with both, each has the same address, port and backends',
    parseProtocols,
    'tcp',
  ),
  backends: listFlag('backend', 'ADDR:PORT', 'The address of a backend; repeat the flag for each backend', parseTarget),
  proxyHeader: valueFlag(
    'proxy-header',
    PROXY_HEADERS.join('|'),
    "The header that tells the backend the client's address; with UDP it is in front of every datagram, and PROXY_V2 unless it is NONE",
    oneOf(PROXY_HEADERS),
    'PROXY_V1',
  ),
  tlsCert: listFlag(
    'tls-cert',
    'FILE',
    'Accept TLS from clients, with the certificate chain in this PEM file, the leaf first. Repeat the flag for each certificate, the default one first; SIGHUP reads the files again',
    parseText,
  ),
  tlsKey: listFlag(
    'tls-key',
    'FILE',
    'A PEM file with the private key of the --tls-cert at the same position; only its owner may be able to read it',
    parseText,
  ),
  tlsProfile: valueFlag(
    'tls-profile',
    TLS_PROFILES.join('|'),
    'The cipher suites that clients may use, by the name of a profile of SSL policies',
    oneOf(TLS_PROFILES),
    'MODERN',
  ),
  tlsMinVersion: valueFlag(
    'tls-min-version',
    TLS_VERSIONS.join('|'),
    'The oldest version of TLS that clients may use; 1.3 needs the profile RESTRICTED',
    oneOf(TLS_VERSIONS),
    '1.2',
  ),
  tlsAlpn: listFlag(
    'tls-alpn',
    'PROTOCOL',
    'An application protocol that clients may agree on (ALPN), such as "postgresql"; repeat the flag for each protocol, the preferred one first. Without this flag, none is agreed on',
    parseAlpnProtocol,
  ),
  idleTimeout: valueFlag(
    'idle-timeout',
    'TIME',
    'How long a connection may be silent in both directions before it is closed; 0 sets no limit. A flow of UDP ends after 60s unless this flag is given, and 0 is refused',
    parseDuration,
    '30s',
  ),
  checkPort: valueFlag(
    'check-port',
    'PORT',
    'The TCP port of each backend that health checks connect to. Without this flag, it is the port of --backend; backends that have only UDP are not checked then',
    integerBetween(1, 65_535),
  ),
  checkInterval: valueFlag(
    'check-interval',
    'TIME',
    'Time from the start of one health check of a backend to the start of the next',
    parsePositiveDuration,
    '5s',
  ),
  checkTimeout: valueFlag(
    'check-timeout',
    'TIME',
    'Maximum time for a backend to accept the connection of a health check',
    parsePositiveDuration,
    '5s',
  ),
  healthyThreshold: valueFlag(
    'healthy-threshold',
    'N',
    'Number of successful checks in a row after which a backend that was down is used again',
    integerBetween(1, THRESHOLD_MAX),
    '2',
  ),
  unhealthyThreshold: valueFlag(
    'unhealthy-threshold',
    'N',
    'Number of failed checks in a row after which a backend is no longer used',
    integerBetween(1, THRESHOLD_MAX),
    '2',
  ),
  maxUtilization: valueFlag(
    'max-utilization',
    'PART',
    'Ask the agents on the backends for the load of their hosts. While they use more than this part of their processors on average, such as 0.8, the excess of the connections goes to other groups, if there are any with room; a backend whose app does not listen gets none',
    parsePart,
  ),
} as const

/** The flags that both forms take. */
const commonFlags = {
  check: switchFlag('check', 'Check the configuration, print what is wrong with it or that it is valid, and exit'),
  region: valueFlag(
    'region',
    'REGION',
    'The region of this edge, whose backends are preferred. Without this flag and --zone, no backend is nearer than another',
    parseResourceName,
  ),
  zone: valueFlag(
    'zone',
    'ZONE',
    'The zone of this edge, such as us-central1-b; it also gives the region',
    parseResourceName,
  ),
  regions: valueFlag(
    'regions',
    'FILE',
    'A YAML or JSON file with the positions of regions that Google does not have: a list "regions" with name, latitude and longitude of each. SIGHUP reads it again',
    parseText,
  ),
  proximity: valueFlag(
    'proximity',
    PROXIMITIES.join('|'),
    'What makes a region near: the distance on the globe, or the shortest time in which health checks connect to its backends',
    oneOf(PROXIMITIES),
    'distance',
  ),
  retries: valueFlag(
    'retries',
    'N',
    'How many further backends to try when connecting to one fails. They are of the same group first; with 2 or more, the last one is of another region if there is one',
    integerBetween(0, RETRIES_MAX),
    '3',
  ),
  sourceRanges: valueFlag(
    'source-ranges',
    'CIDR,...',
    'The addresses of this host from which to connect to backends, in turn; at most 1024. Each allows as many connections to one backend as the host has ephemeral ports, 28,232 by default. Without this flag the kernel chooses the address',
    parseSourceRanges,
  ),
  acceptProxy: valueFlag(
    'accept-proxy',
    'CIDR,...',
    'The addresses of load balancers in front of this edge: each connection must come from one of them and begin with a PROXY header',
    parseCidrs,
  ),
  headerTimeout: {
    ...agentListenerFlags.headerTimeout,
    help: 'With --accept-proxy: maximum time from accepting a connection to the end of its header',
  },
  maxConnectionsPerClient: valueFlag(
    'max-connections-per-client',
    'N|fair',
    'How many open connections one client address, or one /64 of IPv6, may have; further ones are reset. With --accept-proxy the source in the header counts. fair: an eighth of the places that are free, so that nobody can take them all; 0 sets no limit. Flows of UDP are counted apart, and fair is an eighth of all of their places',
    parseClientMax,
    'fair',
  ),
  maxFlows: valueFlag(
    'max-flows',
    'N',
    'Maximum number of open flows of UDP. Beyond it, one makes place that has been silent for long. By default there are as many as half of the limit of open files, and nine tenths of the ephemeral ports of each --source-ranges address; 0 is the default',
    integerBetween(0, CONNECTIONS_MAX),
    '0',
  ),
  unlimitedClients: valueFlag(
    'unlimited-clients',
    'CIDR,...',
    'Addresses to which --max-connections-per-client does not apply, such as those of a NAT or of a load balancer that sends no header',
    parseCidrs,
  ),
  handshakeTimeout: valueFlag(
    'handshake-timeout',
    'TIME',
    'For TLS: maximum time from accepting a connection, or from the end of its PROXY header, to the end of the handshake',
    parsePositiveDuration,
    '10s',
  ),
  headerLengthMax: {
    ...agentListenerFlags.headerLengthMax,
    help: 'With --accept-proxy: maximum length of a version 2 header, without its first 16 bytes',
  },
  allowLocalBackends: switchFlag(
    'allow-local-backends',
    'Take backends at link-local addresses, such as 169.254.169.254 of a cloud, and with --controller at loopback addresses, too',
  ),
  assignAddresses: switchFlag(
    'assign-addresses',
    'Add those addresses of frontends that this host does not have to the loopback interface, and remove them at the end; needs CAP_NET_ADMIN',
  ),
  workers: valueFlag('workers', 'N', 'Number of worker threads', integerBetween(1, WORKERS_MAX), '1'),
  ...listenerFlags,
  ...processFlags,
} as const

/** The flags of `truepeer edge`. */
export const edgeFlags = { ...configFlags, ...edgeControllerFlags, ...oneLineFlags, ...commonFlags } as const

/** What an edge reads by itself. */
export type LocalConfiguration = {
  /** Its files are applied as soon as they change. */
  readonly isWatched: boolean
  /** The file of the ticket keys; undefined: the edge makes its own. */
  readonly ticketKeysPath: string | undefined
} & (
  | { readonly kind: 'files'; readonly paths: readonly string[] }
  | {
      readonly kind: 'resources'
      readonly resources: readonly CheckedResource[]
      /** The certificates among them, which are still to be read. */
      readonly certificateFiles: readonly CertificateFiles[]
    }
)

/** What the command line of an edge says; times in milliseconds. */
export type EdgeCommand = ProcessSettings &
  ListenerSettings & {
    readonly configuration: LocalConfiguration | EdgeControllerSettings
    readonly isOnlyChecked: boolean
    /** Backends may be at addresses that lead to this host, or to what only its link reaches. */
    readonly allowsLocalBackends: boolean
    /** undefined: everything is equally near. */
    readonly localRegion: string | undefined
    readonly localZone: string | undefined
    /** The path of a file with positions of regions. */
    readonly regionFile: string | undefined
    readonly proximity: (typeof PROXIMITIES)[number]
    readonly retriesMax: number
    readonly sourceAddresses: readonly IpAddress[]
    /** CIDR texts; null: clients connect directly. */
    readonly acceptProxyFrom: readonly string[] | null
    readonly headerLengthMax: number
    readonly handshakeTimeoutMs: number
    readonly clientLimit: {
      /** null: no limit. */
      readonly connectionsPerClientMax: number | 'fair' | null
      /** CIDR texts. */
      readonly unlimitedClients: readonly string[]
    }
    readonly assignsAddresses: boolean
    /** 0: as many as the host lets it have. */
    readonly flowsMax: number
  }

/** Reads the arguments behind `truepeer edge`. @throws UsageError */
export function parseEdge(argv: readonly string[]): EdgeCommand {
  const given = parseFlags(argv, { ...edgeFlags, ...withoutDefaults(oneLineFlags) })
  const values = parseFlags(argv, edgeFlags)
  return {
    ...processSettings(values, values.workers[0]),
    // The idle timeout is the backend service's.
    ...listenerSettings(values, { headerTimeoutMs: values.headerTimeout[0], idleTimeoutMs: 0 }),
    configuration: configurationOf(given, values),
    isOnlyChecked: values.check.length > 0,
    allowsLocalBackends: values.allowLocalBackends.length > 0,
    localRegion: regionOf(values.region[0], values.zone[0]),
    localZone: values.zone[0],
    regionFile: values.regions[0],
    proximity: values.proximity[0],
    retriesMax: values.retries[0],
    sourceAddresses: values.sourceRanges[0] ?? [],
    acceptProxyFrom: values.acceptProxy[0]?.map(formatCidr) ?? null,
    headerLengthMax: values.headerLengthMax[0],
    handshakeTimeoutMs: values.handshakeTimeout[0],
    clientLimit: {
      connectionsPerClientMax: values.maxConnectionsPerClient[0],
      unlimitedClients: values.unlimitedClients[0]?.map(formatCidr) ?? [],
    },
    assignsAddresses: values.assignAddresses.length > 0,
    flowsMax: values.maxFlows[0],
  }
}

/** @param given without defaults where they belong to the one-line form */
function configurationOf(
  given: FlagValues<FlagTable>,
  values: FlagValues<typeof edgeFlags>,
): EdgeCommand['configuration'] {
  const controller = edgeControllerSettings(values)
  if (controller !== undefined) {
    refuseBeside('--controller', 'the controller says it', given, { ...configFlags, ...oneLineFlags })
    if (values.check.length > 0) {
      throw new UsageError('--check is for files and flags; with --controller, run "truepeer doctor edge"')
    }
    return controller
  }
  if (values.config.length === 0) return oneLineOf(given, values)
  refuseBeside('--config', 'the file says it', given, oneLineFlags)
  const ticketKeysPath = values.tlsTicketKeys[0]
  return { kind: 'files', paths: values.config, isWatched: values.watch.length > 0, ticketKeysPath }
}

/** @throws UsageError when one of these flags is given, too */
function refuseBeside(name: string, reason: string, given: FlagValues<FlagTable>, flags: FlagTable): void {
  for (const [key, flag] of Object.entries(flags)) {
    if (given[key].length === 0) continue
    throw new UsageError(`${name} and ${spelled(flag)} cannot be used together: ${reason}; remove one of them`)
  }
}

/** @param given as of {@link configurationOf} */
function oneLineOf(given: FlagValues<FlagTable>, values: FlagValues<typeof edgeFlags>): LocalConfiguration {
  const [listen] = values.listen
  if (listen === undefined) {
    throw new UsageError(
      '--listen is missing; give the ADDR:PORT that clients connect to, or --config FILE, or --controller URL',
    )
  }
  if (values.backends.length === 0) throw new UsageError('--backend is missing; give the ADDR:PORT of at least one')
  if (values.checkTimeout[0] > values.checkInterval[0]) {
    throw new UsageError('--check-timeout must not exceed --check-interval; shorten it')
  }
  const [region] = values.region
  const tls = tlsOf(values)
  const isWatched = values.watch.length > 0
  if (isWatched && tls === undefined) {
    throw new UsageError('--watch is for files; give --config FILE, or --tls-cert and --tls-key, with it')
  }
  if (tls === undefined) refuseWithoutTls(given)
  const [protocols] = values.protocol
  if (protocols.includes('udp')) refuseWithUdp(given, values)
  else if (values.maxFlows[0] > 0) {
    throw new UsageError('--max-flows is for UDP; give -p udp or -p tcp,udp with it, or remove it')
  }
  const resources = oneLineResources({
    listen,
    protocols,
    backends: values.backends,
    proxyHeader: values.proxyHeader[0],
    idleTimeoutMs: values.idleTimeout[0],
    flowIdleTimeoutMs: given.idleTimeout.length === 0 ? undefined : values.idleTimeout[0],
    checkPort: values.checkPort[0],
    checkIntervalMs: values.checkInterval[0],
    checkTimeoutMs: values.checkTimeout[0],
    healthyThreshold: values.healthyThreshold[0],
    unhealthyThreshold: values.unhealthyThreshold[0],
    maxUtilization: values.maxUtilization[0],
    tls,
    zone: values.zone[0] ?? (region === undefined ? ZONE_DEFAULT : `${region}-a`),
  })
  const certificateFiles = tls?.certificateFiles ?? []
  return { kind: 'resources', resources, certificateFiles, isWatched, ticketKeysPath: values.tlsTicketKeys[0] }
}

/** What has no form for UDP, and was meant for it. @throws UsageError */
function refuseWithUdp(given: FlagValues<FlagTable>, values: FlagValues<typeof edgeFlags>): void {
  if (given.proxyHeader.length > 0 && values.proxyHeader[0] === 'PROXY_V1') {
    throw new UsageError('--proxy-header PROXY_V1 cannot be used with UDP; give PROXY_V2')
  }
  if (values.idleTimeout[0] === 0) {
    throw new UsageError(
      '--idle-timeout 0 cannot be used with UDP, which has no end of its own; give a time such as 60s',
    )
  }
  if (!values.protocol[0].includes('tcp') && values.tlsCert.length > 0) {
    throw new UsageError('--tls-cert cannot be used with UDP alone; give -p tcp,udp, or remove it')
  }
}

/** Whoever gives them thinks that there is TLS. @throws UsageError */
function refuseWithoutTls(given: FlagValues<FlagTable>): void {
  for (const key of ['tlsProfile', 'tlsMinVersion', 'tlsAlpn', 'tlsTicketKeys'] as const) {
    if (given[key].length === 0) continue
    throw new UsageError(`${spelled(edgeFlags[key])} is for TLS; give --tls-cert and --tls-key with it`)
  }
}

function tlsOf(values: FlagValues<typeof edgeFlags>): OneLineTls | undefined {
  const { tlsCert: certificates, tlsKey: keys } = values
  if (certificates.length !== keys.length) {
    const counts = `there are ${certificates.length} --tls-cert and ${keys.length} --tls-key`
    throw new UsageError(`${counts}; give a --tls-key for each --tls-cert, in the same order`)
  }
  if (certificates.length > CERTIFICATES_MAX) {
    throw new UsageError(`--tls-cert is given ${certificates.length} times; give at most ${CERTIFICATES_MAX}`)
  }
  if (certificates.length === 0) return undefined
  const [profile] = values.tlsProfile
  const [version] = values.tlsMinVersion
  if (version === '1.3' && profile !== 'RESTRICTED') {
    throw new UsageError(
      `--tls-min-version 1.3 cannot be used with the profile ${profile}; give --tls-profile RESTRICTED`,
    )
  }
  if (profile === 'FIPS_202205' && version !== '1.2') {
    throw new UsageError(`--tls-profile FIPS_202205 cannot be used with version ${version}; give --tls-min-version 1.2`)
  }
  const certificateFiles = certificates.map((certificatePath, index) => ({
    name: certificateName(index),
    certificatePath,
    keyPath: keys[index],
  }))
  const { tlsAlpn: alpnProtocols } = values
  if (alpnProtocols.length > ALPN_PROTOCOLS_MAX) {
    throw new UsageError(`--tls-alpn is given ${alpnProtocols.length} times; give at most ${ALPN_PROTOCOLS_MAX}`)
  }
  const repeated = alpnProtocols.find((protocol, index) => alpnProtocols.indexOf(protocol) !== index)
  if (repeated !== undefined) throw new UsageError(`--tls-alpn ${quoted(repeated)} is given twice; give it once`)
  const minTlsVersion = MIN_TLS_VERSIONS[TLS_VERSIONS.indexOf(version)]
  return { certificateFiles, profile, minTlsVersion, alpnProtocols }
}

function parseAlpnProtocol(text: string, flag: string): string {
  if (text.includes(',')) {
    throw new UsageError(`${flag} ${quoted(text)} is more than one protocol; repeat the flag for each of them`)
  }
  if (text.length <= ALPN_PROTOCOL_LENGTH_MAX && new RegExp(ALPN_PROTOCOL_PATTERN).test(text)) return text
  throw new UsageError(
    `${flag} ${quoted(text)} is not a protocol name for ALPN; write up to 255 printable characters, no spaces`,
  )
}

function parseClientMax(text: string, flag: string): number | 'fair' | null {
  if (text === 'fair') return text
  if (!/^\d+$/.test(text))
    throw new UsageError(`${flag} ${quoted(text)} is neither a number nor fair; write fair, or 100`)
  return integerBetween(0, CONNECTIONS_MAX)(text, flag) || null
}

function regionOf(region: string | undefined, zone: string | undefined): string | undefined {
  const ofZone = zone === undefined ? undefined : regionOfZone(zone)
  if (region !== undefined && ofZone !== undefined && region !== ofZone) {
    throw new UsageError(`--zone ${quoted(zone ?? '')} is in ${ofZone}, not in ${quoted(region)}; leave --region out`)
  }
  return region ?? ofZone
}

/** So that it shows which of them were given. */
function withoutDefaults<Table extends FlagTable>(table: Table): Table {
  const entries = Object.entries(table).map(([key, flag]) => [key, { ...flag, defaultText: undefined }])
  return Object.fromEntries(entries) as Table
}
