import { backend } from './backend.ts'
import { checkTracking, connectionTrackingPolicy } from './connection-tracking.ts'
import type { Report } from './json-schema.ts'
import { isMapping } from './json-value.ts'
import { loadBalancingScheme } from './load-balancing-scheme.ts'
import { outlierDetection } from './outlier-detection.ts'
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
import { serverDefaults } from './server-defaults.ts'

const added = serverDefaults.backendServices
const INTEGER_MAX = 2 ** 31 - 1
export const CLOSE_SEC_MAX = 3600
/** Of Envoy, whose ring it is. */
export const RING_SIZE_MAX = 8_388_608
const PEM_LENGTH_MAX = 1 << 20
/** Labels of letters, digits and hyphens, with dots between them (RFC 1123 §2.1). */
const HOST_NAME_PATTERN = '^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$'
/** A scheme and what follows it (RFC 3986 §3). */
const URI_PATTERN = '^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+$'
const HTTP_ONLY = 'For HTTP load balancers.'
const PASSTHROUGH_ONLY = 'For load balancers that are not proxies.'
const OTHER_AFFINITIES = [
  'CLIENT_IP_NO_DESTINATION',
  'GENERATED_COOKIE',
  'HEADER_FIELD',
  'HTTP_COOKIE',
  'STRONG_COOKIE_AFFINITY',
]
const OTHER_POLICIES = ['ORIGINAL_DESTINATION', 'WEIGHTED_GCP_RENDEZVOUS', 'WEIGHTED_MAGLEV', 'WEIGHTED_ROUND_ROBIN']

const logConfig = object('The log of connections.', {
  enable: flag('Whether connections are logged.', { default: false }),
  sampleRate: fraction('Part of the connections that is logged.', {
    default: added['logConfig.sampleRate'],
    examples: [0.5],
  }),
  optionalMode: recorded('Fields of the log that Google can leave out; not used.'),
  optionalFields: recorded('Fields of the log that Google can leave out; not used.'),
  loggingHttpRequestHeaders: unsupported(HTTP_ONLY),
  loggingHttpResponseHeaders: unsupported(HTTP_ONLY),
})

const subjectAltName = object(
  'A name, given in one of the two fields.',
  {
    dnsName: optional(
      text('A host name; a certificate with a wildcard that matches it is accepted.', {
        pattern: HOST_NAME_PATTERN,
        maxLength: 253,
        examples: ['app.internal.example'],
      }),
    ),
    uniformResourceIdentifier: optional(
      text('A URI, which the certificate must contain exactly.', {
        pattern: URI_PATTERN,
        examples: ['spiffe://internal.example/app'],
      }),
    ),
  },
  {
    rules: (rule) => [
      rule(['dnsName', 'uniformResourceIdentifier'], ({ dnsName, uniformResourceIdentifier: uri }, report) => {
        if (dnsName === undefined && uri === undefined) {
          report('', 'it contains no name', 'give dnsName or uniformResourceIdentifier', 'required')
        } else if (dnsName !== undefined && uri !== undefined) {
          report('', 'it contains two names', 'give each name in a separate entry', 'conflict')
        }
      }),
    ],
  },
)

const tlsSettings = optional(
  object('TLS towards the backends, with the protocol SSL; without it, any certificate is accepted.', {
    sni: optional(
      text(
        'The name that backends are asked for (SNI), also by health checks with TLS; without `subjectAltNames`, their certificate has to have it where it is verified.',
        {
          pattern: HOST_NAME_PATTERN,
          maxLength: 253,
          examples: ['app.internal.example'],
        },
      ),
    ),
    subjectAltNames: list(
      'Names, of which the certificate of a backend must have at least one; its common name does not count.',
      subjectAltName,
      { default: [], maxItems: 5 },
    ),
    certificateAuthorities: optional(
      text(
        'Extension of this project: authorities in PEM, one of which must have signed the certificate of a backend. Without this field certificates are not verified; an empty text is refused.',
        {
          format: 'certificate-pem',
          maxLength: PEM_LENGTH_MAX,
          // Left out, the certificate is not verified: that has to be meant.
          minLength: 1,
          remedy: 'give the authorities in PEM, or leave the field out to accept any certificate',
        },
      ),
    ),
    proxyHeaderPlace: oneOf(
      'Extension of this project: whether the PROXY header is sent in the clear before the TLS handshake, or as the first bytes inside TLS.',
      ['BEFORE_TLS', 'INSIDE_TLS'],
      { default: 'BEFORE_TLS' },
    ),
    authenticationConfig: unsupported(
      'Certificates and roots as resources of another API.',
      [],
      'remove it and give certificateAuthorities',
    ),
    identity: unsupported('Identity of a workload.'),
  }),
)

const connectionDraining = object(
  'What happens to the connections of a backend that is removed.',
  {
    drainingTimeoutSec: integer('Seconds for which they continue.', 0, 3600, {
      default: added['connectionDraining.drainingTimeoutSec'],
      examples: [300],
    }),
  },
  { default: {} },
)

// How a backend is chosen; most of it only the managed proxy has.
const choice = {
  serviceLbPolicy: optional(
    reference('How connections are spread over regions, zones and groups; only for global services.', [
      'serviceLbPolicies',
    ]),
  ),
  localityLbPolicy: optional(
    oneOf(
      'How a backend is chosen inside a group: in turn, the less loaded of two, at random, or by a hash; `MAGLEV` with a session affinity or with UDP and `ROUND_ROBIN` otherwise, unless given.',
      ['ROUND_ROBIN', 'LEAST_REQUEST', 'RANDOM', 'RING_HASH', 'MAGLEV'],
      { unsupported: OTHER_POLICIES, remedy: 'give ROUND_ROBIN or remove it' },
    ),
  ),
  consistentHash: optional(
    object('How the hash of `RING_HASH` works.', {
      minimumRingSize: optional(
        text(
          'Minimum number of places on the ring; 1024 unless given. No backend has more than 4096, and no ring more than 262144.',
          { format: 'int64', examples: ['1024'] },
        ),
      ),
      httpCookie: unsupported(HTTP_ONLY),
      httpHeaderName: unsupported(HTTP_ONLY),
    }),
  ),
  circuitBreakers: optional(
    object('Limits, beyond which there are no connections.', {
      maxConnections: optional(
        integer('Maximum number of connections to the service; without it there is no limit.', 1, INTEGER_MAX, {
          examples: [10_000],
        }),
      ),
      // Terraform always sends these three.
      maxPendingRequests: recorded(`${HTTP_ONLY} Not used.`),
      maxRequests: recorded(`${HTTP_ONLY} Not used.`),
      maxRetries: recorded(
        'Retries of requests; not used: the flag `--retries` of an edge says how often it tries again.',
      ),
      maxRequestsPerConnection: unsupported(HTTP_ONLY),
      connectTimeout: unsupported(HTTP_ONLY, [], 'remove it: an edge has the flag --connect-timeout'),
    }),
  ),
  outlierDetection,
} as const

// What is not served here, and is accepted while it changes nothing.
const otherFields = {
  port: recorded('Port of the backends in an older form; `portName` decides.'),
  securityPolicy: unsupported(
    'Which clients may connect.',
    [],
    'remove it and limit the clients by a firewall of the host',
  ),
  edgeSecurityPolicy: unsupported(HTTP_ONLY),
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
  customRequestHeaders: unsupported(HTTP_ONLY),
  customResponseHeaders: unsupported(HTTP_ONLY),
  iap: unsupported(HTTP_ONLY),
  localityLbPolicies: unsupported('Policies for clients that speak gRPC.'),
  maxStreamDuration: unsupported(HTTP_ONLY),
  customMetrics: unsupported('Metrics that backends report.'),
  securitySettings: unsupported('TLS of a service mesh.'),
  serviceBindings: unsupported('Services of a service mesh.'),
  dynamicForwarding: unsupported('Backends that the client chooses.'),
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

/**
 * What the classic proxy does not have.
 *
 * Google's page says so of `localityLbPolicy` as a whole; `ROUND_ROBIN` is what there is without it.
 */
const MANAGED_ONLY = [
  {
    name: 'localityLbPolicy',
    what: 'A locality load balancing policy',
    isHarmless: (policy: unknown) => policy === 'ROUND_ROBIN',
  },
  { name: 'consistentHash', what: 'Consistent hashing', isHarmless: isEmpty },
  { name: 'circuitBreakers', what: 'A circuit breaker', isHarmless: isEmpty },
  // An empty one is one with all of its defaults.
  { name: 'outlierDetection', what: 'Outlier detection', isHarmless: () => false },
] as const
const TO_CAPACITY = 'give one of them a capacityScaler of 0.1 to 1'
const TO_MANAGED = 'remove it, or give EXTERNAL_MANAGED as loadBalancingScheme'

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
      'The health check, as a list of one. Without one, every backend counts as healthy.',
      reference('A health check.', ['healthChecks']),
      { default: [], maxItems: 1 },
    ),
    portName: optional(
      text('Name of the port in the instance groups.', { pattern: NAME_PATTERN, maxLength: 63, examples: ['tcp110'] }),
    ),
    protocol: oneOf(
      'Protocol towards the backends: the bytes as they are, TLS around them, or datagrams. UDP is an extension of this project where the service is global, or its scheme EXTERNAL_MANAGED: Google has it for regional load balancers that are not proxies.',
      ['TCP', 'SSL', 'UDP'],
      {
        default: added.protocol,
        unsupported: ['HTTP', 'HTTPS', 'HTTP2', 'H2C', 'GRPC', 'ALL', 'UNSPECIFIED'],
        remedy: 'give TCP, which carries any protocol of client and app',
      },
    ),
    tlsSettings,
    timeoutSec: integer(
      'Seconds of silence in both directions after which a connection is closed. Of flows of UDP `connectionTrackingPolicy` says it.',
      1,
      2 ** 31 - 1,
      { default: added.timeoutSec, examples: [300] },
    ),
    connectionTrackingPolicy,
    connectionDraining,
    logConfig: optional(logConfig),
    loadBalancingScheme: loadBalancingScheme({ default: added.loadBalancingScheme }),
    sessionAffinity: oneOf(
      'Which connections go to the same backend: those with the same source and destination address, also with the same protocol, or with the same ports, too.',
      ['NONE', 'CLIENT_IP', 'CLIENT_IP_PROTO', 'CLIENT_IP_PORT_PROTO'],
      {
        default: added.sessionAffinity,
        unsupported: OTHER_AFFINITIES,
        remedy: 'give NONE or CLIENT_IP: the load balancer sees no requests',
      },
    ),
    ...choice,
    closeOnFailureSec: optional(
      integer(
        'Extension of this project: seconds for which a backend may have been unhealthy before its connections are ended; without it, they go on.',
        0,
        CLOSE_SEC_MAX,
        { examples: [30] },
      ),
    ),
    ...otherFields,
  },
  {
    rules: (rule) => [
      ...MANAGED_ONLY.map(({ name, what, isHarmless }) =>
        rule(['loadBalancingScheme', name], ({ loadBalancingScheme: scheme, [name]: value }, report) => {
          if (scheme !== 'EXTERNAL' || value === undefined || isHarmless(value)) return
          report(name, `${what} is not supported with the load balancing scheme EXTERNAL`, TO_MANAGED, 'conflict')
        }),
      ),
      rule(['loadBalancingScheme', 'backends'], ({ loadBalancingScheme: scheme, backends }, report) => {
        for (const [index, { preference }] of backends.entries()) {
          if (scheme !== 'EXTERNAL' || preference !== 'PREFERRED') continue
          const problem = 'A preferred backend is not supported with the load balancing scheme EXTERNAL'
          report(`backends[${index}].preference`, problem, TO_MANAGED, 'conflict')
        }
      }),
      rule(['protocol', 'localityLbPolicy', 'sessionAffinity', 'consistentHash'], checkHash),
      rule(['protocol', 'sessionAffinity', 'connectionTrackingPolicy'], checkTracking),
      rule(['protocol', 'tlsSettings'], ({ protocol, tlsSettings: settings }, report) => {
        if (settings === undefined) return
        if (protocol !== 'SSL') {
          const problem = `it cannot be used with the protocol ${protocol}`
          report('tlsSettings', problem, 'remove it, or give SSL as protocol', 'conflict')
          return
        }
        const { sni, subjectAltNames, certificateAuthorities: authorities } = settings
        const hasNames = subjectAltNames.length > 0
        if (authorities !== undefined && sni === undefined && !hasNames) {
          const problem = 'without a name, any certificate of these authorities would be accepted'
          report('tlsSettings.sni', problem, 'give the name that the certificates of the backends have', 'required')
        } else if (authorities === undefined && hasNames) {
          const problem = 'without authorities, anybody can make a certificate with the names in subjectAltNames'
          report(
            'tlsSettings.certificateAuthorities',
            problem,
            'give the authorities that sign the certificates',
            'required',
          )
        }
      }),
      rule(['backends'], ({ backends }, report) => {
        if (backends.length === 0 || backends.some(({ capacityScaler }) => capacityScaler !== 0)) return
        if (backends.length > 1) report('backends', 'None of the backends have a valid capacity', TO_CAPACITY)
        else report('backends[0].capacityScaler', '0 drains the only group', 'give 0.1 to 1, or add a group')
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

function isEmpty(value: unknown): boolean {
  return isMapping(value) && Object.keys(value).length === 0
}

type HashFields = {
  readonly protocol: string
  readonly localityLbPolicy?: string
  readonly sessionAffinity: string
  readonly consistentHash?: { readonly minimumRingSize?: string }
}

function checkHash(fields: HashFields, report: Report): void {
  const { protocol, localityLbPolicy, sessionAffinity, consistentHash } = fields
  if (consistentHash === undefined || isEmpty(consistentHash)) return
  const hasAffinity = sessionAffinity !== 'NONE' || protocol === 'UDP'
  const policy = localityLbPolicy ?? (hasAffinity ? 'MAGLEV' : 'ROUND_ROBIN')
  if (policy !== 'MAGLEV' && policy !== 'RING_HASH') {
    const problem = 'it is only applicable when localityLbPolicy is set to MAGLEV or RING_HASH'
    report('consistentHash', problem, 'remove it, or give one of these', 'conflict')
  }
  const { minimumRingSize } = consistentHash
  if (minimumRingSize === undefined) return
  const size = Number(minimumRingSize)
  if (size >= 1 && size <= RING_SIZE_MAX) return
  const problem = `${minimumRingSize} is not between 1 and ${RING_SIZE_MAX}`
  report('consistentHash.minimumRingSize', problem, 'give a number such as 1024')
}
