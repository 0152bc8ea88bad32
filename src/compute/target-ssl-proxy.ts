import { optionsProblem, proxyHeaderFields } from './proxy-header.ts'
import { defineResource } from './resource.ts'
import { list, optional, reference, text, unsupported } from './schema.ts'
import {
  ALPN_PROTOCOL_LENGTH_MAX,
  ALPN_PROTOCOL_PATTERN,
  ALPN_PROTOCOLS_MAX,
  CERTIFICATES_MAX,
} from './ssl-features.ts'

/** Target SSL proxies (`compute#targetSslProxy`). */
export const targetSslProxies = defineResource(
  {
    kind: 'compute#targetSslProxy',
    scopes: ['global'],
    description: 'Passes the connections of forwarding rules to a backend service, after terminating TLS.',
  },
  {
    service: reference('The backend service.', ['backendServices']),
    sslCertificates: list(
      'The certificates. Clients that name no server, or one that no certificate has, get the first.',
      reference('A certificate.', ['sslCertificates']),
      { minItems: 1, maxItems: CERTIFICATES_MAX },
    ),
    sslPolicy: optional(
      reference('The SSL policy; without one, the profile is COMPATIBLE and the oldest version TLS 1.0.', [
        'sslPolicies',
      ]),
    ),
    alpnProtocols: list(
      'Extension of this project: the application protocols to offer to clients (ALPN), the preferred one first; without it, there is no ALPN. Clients of Google know no such field: PATCH sets it.',
      text('A protocol.', { pattern: ALPN_PROTOCOL_PATTERN, maxLength: ALPN_PROTOCOL_LENGTH_MAX, examples: ['imap'] }),
      { default: [], maxItems: ALPN_PROTOCOLS_MAX },
    ),
    ...proxyHeaderFields,
    certificateMap: unsupported('Map of a certificate manager.', [], 'remove it and list sslCertificates'),
  },
  {
    rules: (rule) => [
      rule(['proxyHeader', 'proxyHeaderOptions'], ({ proxyHeader, proxyHeaderOptions }, report) => {
        const problem = optionsProblem(proxyHeader, proxyHeaderOptions)
        if (problem !== undefined) report('proxyHeaderOptions', ...problem)
      }),
    ],
  },
)
