import type { ObjectSchema, Rule, ValueOf } from './json-schema.ts'
import { defineResource } from './resource.ts'
import { flag, integer, object, oneOf, optional, text, unsupported } from './schema.ts'
import { serverDefaults } from './server-defaults.ts'

const added = serverDefaults.healthChecks
const TEXT_LENGTH_MAX = 1024
/** What may be in a Host header (RFC 3986 §3.2.2 and §3.2.3): no space, no line break, nothing that ends a host. */
const HOST_HEADER_PATTERN = "^[A-Za-z0-9._~%!$&'()*+,;=:\\[\\]-]*$"
/** Goes into messages of gRPC as it is. */
const SERVICE_NAME_PATTERN = '^[!-~]*$'
const PORT_MAX = 65_535
const SECONDS_MAX = 300

// Which object holds the rest of a check of each type.
const objectOfType = {
  TCP: 'tcpHealthCheck',
  SSL: 'sslHealthCheck',
  HTTP: 'httpHealthCheck',
  HTTPS: 'httpsHealthCheck',
  HTTP2: 'http2HealthCheck',
  GRPC: 'grpcHealthCheck',
  GRPC_WITH_TLS: 'grpcTlsHealthCheck',
} as const

const TYPES = ['TCP', 'SSL', 'HTTP', 'HTTPS', 'HTTP2', 'GRPC', 'GRPC_WITH_TLS'] as const

function asciiText(description: string) {
  return text(description, { default: '', maxLength: TEXT_LENGTH_MAX, format: 'ascii' })
}

const portFields = {
  port: optional(integer('Port to probe, with USE_FIXED_PORT.', 1, PORT_MAX, { examples: [110] })),
  portSpecification: optional(
    oneOf(
      'Which port is probed: `port`, as where it is left out, or the one that serves connections.',
      ['USE_FIXED_PORT', 'USE_SERVING_PORT'],
      {
        unsupported: ['USE_NAMED_PORT'],
        remedy: 'give USE_SERVING_PORT, which is the named port of the backend service',
      },
    ),
  ),
  portName: unsupported('Name of a port.', [], 'remove it and give USE_SERVING_PORT as portSpecification'),
} as const

const proxyHeader = oneOf(
  'The header that a probe sends first; PROXY_V1 sends `PROXY UNKNOWN`.',
  ['NONE', 'PROXY_V1'],
  {
    default: added['tcpHealthCheck.proxyHeader'],
  },
)

type PortFields = Pick<ValueOf<ObjectSchema<typeof portFields>>, 'port' | 'portSpecification'>

/** The rule about the port and its default; undefined: a fixed port has to be given. */
function portOptions(portDefault: number | undefined) {
  const rule: Rule<PortFields> = {
    over: ['port', 'portSpecification'],
    check: ({ port, portSpecification }, report) => {
      if (portSpecification === 'USE_SERVING_PORT' && port !== undefined) {
        report('port', `${port} cannot be used with USE_SERVING_PORT`, 'remove it, or give USE_FIXED_PORT', 'conflict')
      } else if (portSpecification !== 'USE_SERVING_PORT' && (port ?? portDefault) === undefined) {
        report('port', 'the port is missing', 'give it, or USE_SERVING_PORT as portSpecification', 'required')
      }
    },
  }
  const normalize = <Value extends PortFields>(value: Value): Value => {
    const isMissing = value.portSpecification !== 'USE_SERVING_PORT' && value.port === undefined
    return isMissing ? { ...value, port: portDefault } : value
  }
  return { rules: () => [rule], normalize }
}

function textProbe(what: string, portDefault: number) {
  const fields = {
    ...portFields,
    request: asciiText('The text that a probe sends; if it is empty, the probe sends nothing.'),
    response: asciiText('The text with which the answer must begin; if it is empty, an accepted connection is enough.'),
    proxyHeader,
  }
  return optional(object(`A check by ${what}; port ${portDefault} unless given.`, fields, portOptions(portDefault)))
}

function httpProbe(what: string, portDefault: number) {
  const fields = {
    ...portFields,
    host: text('The Host header; if it is empty, the address of the backend.', {
      default: '',
      maxLength: TEXT_LENGTH_MAX,
      pattern: HOST_HEADER_PATTERN,
      examples: ['app.internal.example'],
    }),
    requestPath: text('The path of the request.', {
      default: added['httpHealthCheck.requestPath'],
      pattern: '^/[!-~]*$',
      examples: ['/healthz'],
    }),
    response: asciiText(
      'A text that the first 1024 bytes of the body must contain; if it is empty, status 200 is enough.',
    ),
    proxyHeader,
  }
  return optional(object(`A check by ${what}; port ${portDefault} unless given.`, fields, portOptions(portDefault)))
}

function grpcProbe(what: string) {
  const fields = {
    ...portFields,
    grpcServiceName: text('The service to ask about; if it is empty, the whole server.', {
      default: '',
      maxLength: TEXT_LENGTH_MAX,
      pattern: SERVICE_NAME_PATTERN,
      examples: ['my.package.Service'],
    }),
  }
  return optional(object(`A check by ${what}.`, fields, portOptions(undefined)))
}

/** Health checks (`compute#healthCheck`). */
export const healthChecks = defineResource(
  {
    kind: 'compute#healthCheck',
    scopes: ['global', 'region'],
    description: 'How edges find out which backends can serve.',
  },
  {
    type: oneOf('The protocol of a probe.', TYPES, { unsupported: ['UDP', 'INVALID'], remedy: 'give another type' }),
    checkIntervalSec: integer('Seconds from the start of one probe to the start of the next.', 1, SECONDS_MAX, {
      default: added.checkIntervalSec,
    }),
    timeoutSec: integer('Maximum seconds for a probe; at most `checkIntervalSec`.', 1, SECONDS_MAX, {
      default: added.timeoutSec,
    }),
    healthyThreshold: integer('Number of successes in a row that make a backend healthy.', 1, 10, {
      default: added.healthyThreshold,
    }),
    unhealthyThreshold: integer('Number of failures in a row that make a backend unhealthy.', 1, 10, {
      default: added.unhealthyThreshold,
    }),
    tcpHealthCheck: textProbe('TCP', added['tcpHealthCheck.port']),
    sslHealthCheck: textProbe('TLS', added['sslHealthCheck.port']),
    httpHealthCheck: httpProbe('HTTP', added['httpHealthCheck.port']),
    httpsHealthCheck: httpProbe('HTTPS', added['httpsHealthCheck.port']),
    http2HealthCheck: httpProbe('HTTP/2 with TLS', added['http2HealthCheck.port']),
    grpcHealthCheck: grpcProbe('gRPC'),
    grpcTlsHealthCheck: grpcProbe('gRPC with TLS'),
    logConfig: optional(
      object('The log of transitions.', {
        enable: flag(
          'Whether the record of a change of health, which is always written, also has the fields of Google.',
          { default: false },
        ),
      }),
    ),
    udpHealthCheck: unsupported('A check by UDP.'),
    sourceRegions: unsupported('Regions that probes come from.', [], 'remove it: every edge probes its backends'),
  },
  {
    rules: (rule) => [
      rule(['checkIntervalSec', 'timeoutSec'], ({ checkIntervalSec, timeoutSec }, report) => {
        if (timeoutSec <= checkIntervalSec) return
        const problem = `${timeoutSec} is more than checkIntervalSec, ${checkIntervalSec}`
        report('timeoutSec', problem, `give ${checkIntervalSec} or less, or a longer interval`)
      }),
      rule(['type', ...Object.values(objectOfType)], ({ type, ...objects }, report) => {
        const wanted = objectOfType[type]
        for (const name of Object.values(objectOfType)) {
          if (name === wanted) {
            if (objects[name] === undefined) report(name, `type ${type} needs it`, `add it, if only as {}`, 'required')
          } else if (objects[name] !== undefined) {
            report(
              name,
              `it cannot be used with type ${type}`,
              `remove it, or give the type that it belongs to`,
              'conflict',
            )
          }
        }
      }),
    ],
  },
)
