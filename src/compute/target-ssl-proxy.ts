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
    description: 'How connections of forwarding rules go on to a backend service: with TLS taken off.',
  },
  {
    service: reference('The backend service.', ['backendServices']),
    sslCertificates: list(
      'The certificates; the first serves clients that name no server, or one that no certificate has.',
      reference('A certificate.', ['sslCertificates']),
      { minItems: 1, maxItems: CERTIFICATES_MAX },
    ),
    sslPolicy: optional(reference('The SSL policy; without one it is COMPATIBLE from TLS 1.0.', ['sslPolicies'])),
    alpnProtocols: list(
      'Extension of this project: application protocols that clients may agree on (ALPN), the preferred one first; without it, none is. Clients of Google know no such field: PATCH sets it.',
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
