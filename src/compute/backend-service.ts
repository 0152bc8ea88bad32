import { backend } from './backend.ts'
import { loadBalancingScheme } from './load-balancing-scheme.ts'
import { NAME_PATTERN } from './reference.ts'
import { defineResource } from './resource.ts'
import {
  flag,
  fraction,
  integer,
  list,
  object,
  oneOf,
  optional,
  outputOnly,
  recorded,
  reference,
  text,
  unsupported,
} from './schema.ts'

const HTTP_ONLY = 'Of load balancers for HTTP.'
const PASSTHROUGH_ONLY = 'Of load balancers that are no proxy.'
const OTHER_AFFINITIES = [
  'CLIENT_IP',
  'CLIENT_IP_NO_DESTINATION',
  'CLIENT_IP_PORT_PROTO',
  'CLIENT_IP_PROTO',
  'GENERATED_COOKIE',
  'HEADER_FIELD',
  'HTTP_COOKIE',
  'STRONG_COOKIE_AFFINITY',
]
const OTHER_POLICIES = [
  'LEAST_REQUEST',
  'MAGLEV',
  'ORIGINAL_DESTINATION',
  'RANDOM',
  'RING_HASH',
  'WEIGHTED_GCP_RENDEZVOUS',
  'WEIGHTED_MAGLEV',
  'WEIGHTED_ROUND_ROBIN',
]

const logConfig = object(
  'The log of connections.',
  {
    enable: flag('Whether connections are logged.', { default: false }),
    sampleRate: fraction('Part of the connections that is logged.', { default: 1, examples: [0.5] }),
    optionalMode: recorded('Fields of the log that Google can leave out; not used.'),
    optionalFields: recorded('Fields of the log that Google can leave out; not used.'),
    loggingHttpRequestHeaders: unsupported(HTTP_ONLY),
    loggingHttpResponseHeaders: unsupported(HTTP_ONLY),
  },
  { default: {} },
)

const connectionDraining = object(
  'What becomes of connections whose backend leaves.',
  { drainingTimeoutSec: integer('Seconds that they go on.', 0, 3600, { default: 0, examples: [300] }) },
  { default: {} },
)

// What is not served here, and is accepted while it changes nothing.
const otherFields = {
  port: recorded('Port of the backends in an older form; `portName` decides.'),
  securityPolicy: unsupported(
    'Which clients may connect.',
    [],
    'remove it and limit the clients by a firewall of the host',
  ),
  edgeSecurityPolicy: unsupported(HTTP_ONLY),
  serviceLbPolicy: unsupported('How regions share connections.'),
  ipAddressSelectionPolicy: unsupported('Version of the address of a backend with both.', [
    'IPV4_ONLY',
    'IP_ADDRESS_SELECTION_POLICY_UNSPECIFIED',
  ]),
  subsetting: unsupported('How many backends each proxy uses.', ['NONE']),
  strongSessionAffinityCookie: unsupported(HTTP_ONLY),
  affinityCookieTtlSec: unsupported(HTTP_ONLY),
  enableCDN: unsupported(HTTP_ONLY),
  cdnPolicy: unsupported(HTTP_ONLY),
  compressionMode: unsupported(HTTP_ONLY, ['DISABLED']),
  consistentHash: unsupported(HTTP_ONLY),
  customRequestHeaders: unsupported(HTTP_ONLY),
  customResponseHeaders: unsupported(HTTP_ONLY),
  iap: unsupported(HTTP_ONLY),
  localityLbPolicies: unsupported('Policies for clients that speak gRPC.'),
  maxStreamDuration: unsupported(HTTP_ONLY),
  circuitBreakers: unsupported('Bounds on connections and requests.'),
  outlierDetection: unsupported('Backends put aside by what happens to connections.'),
  customMetrics: unsupported('Metrics that backends report.'),
  tlsSettings: unsupported('TLS towards the backends.'),
  securitySettings: unsupported('TLS of a service mesh.'),
  serviceBindings: unsupported('Services of a service mesh.'),
  dynamicForwarding: unsupported('Backends that the client chooses.'),
  connectionTrackingPolicy: unsupported(PASSTHROUGH_ONLY, ['PER_CONNECTION', 'DEFAULT_FOR_PROTOCOL']),
  failoverPolicy: unsupported(PASSTHROUGH_ONLY),
  haPolicy: unsupported(PASSTHROUGH_ONLY),
  networkPassThroughLbTrafficPolicy: unsupported(PASSTHROUGH_ONLY, ['DISABLED']),
  network: recorded('Network of an internal load balancer; not used.'),
  metadatas: recorded('Data of a cluster; not used.'),
  orchestrationInfo: recorded('What manages the service; not used.'),
  params: recorded('Tags of the organisation; not used.'),
  externalManagedMigrationState: recorded('Migration between kinds of load balancers; not used.'),
  externalManagedMigrationTestingPercentage: recorded('Migration between kinds of load balancers; not used.'),
  usedBy: outputOnly('URLs of what uses the service.'),
} as const

/** Backend services (`compute#backendService`). */
export const backendServices = defineResource(
  {
    kind: 'compute#backendService',
    scopes: ['global', 'region'],
    description: 'How connections are spread over groups of backends.',
  },
  {
    backends: list('The groups.', backend, { default: [] }),
    healthChecks: list(
      'The health check, as a list of one; without one every backend counts as healthy.',
      reference('A health check.', ['healthChecks']),
      { default: [], maxItems: 1 },
    ),
    portName: optional(
      text('Name of the port in the instance groups.', { pattern: NAME_PATTERN, maxLength: 63, examples: ['tcp110'] }),
    ),
    protocol: oneOf('Protocol towards the backends.', ['TCP'], {
      default: 'TCP',
      unsupported: ['SSL', 'HTTP', 'HTTPS', 'HTTP2', 'H2C', 'UDP', 'GRPC', 'ALL', 'UNSPECIFIED'],
      remedy: 'give TCP, which carries whatever client and app speak',
    }),
    timeoutSec: integer('Seconds of silence in both directions after which a connection is ended.', 1, 2 ** 31 - 1, {
      default: 30,
      examples: [300],
    }),
    connectionDraining,
    logConfig,
    loadBalancingScheme: loadBalancingScheme(),
    sessionAffinity: oneOf('Which connections go to the same backend.', ['NONE'], {
      default: 'NONE',
      unsupported: OTHER_AFFINITIES,
      remedy: 'give NONE',
    }),
    localityLbPolicy: oneOf('How a backend is chosen inside a group.', ['ROUND_ROBIN'], {
      default: 'ROUND_ROBIN',
      unsupported: OTHER_POLICIES,
      remedy: 'give ROUND_ROBIN',
    }),
    ...otherFields,
  },
  {
    rules: (rule) => [
      rule(['backends'], ({ backends }, report) => {
        if (backends.length !== 1 || backends[0].capacityScaler !== 0) return
        report('backends[0].capacityScaler', '0 drains the only group', 'give 0.1 to 1, or add a group')
      }),
      rule(['backends'], ({ backends }, report) => {
        const seen = new Map<string, number>()
        for (const [index, { group }] of backends.entries()) {
          const first = seen.get(group)
          if (first === undefined) seen.set(group, index)
          else
            report(
              `backends[${index}].group`,
              `it is the group of backends[${first}]`,
              'remove one of them',
              'conflict',
            )
        }
      }),
    ],
  },
)
