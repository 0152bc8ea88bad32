import { optionsProblem, proxyHeaderFields } from './proxy-header.ts'
import { defineResource } from './resource.ts'
import { list, optional, reference, text, unsupported } from './schema.ts'
import { CERTIFICATES_MAX } from './ssl-features.ts'

const PROTOCOLS_MAX = 16
/** RFC 7301 §3.1: the length of a name stands in one byte. */
const PROTOCOL_LENGTH_MAX = 255

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
      'Extension of this project: application protocols that clients may agree on (ALPN), the preferred one first; without it, none is.',
      text('A protocol.', { pattern: '^[!-~]+$', maxLength: PROTOCOL_LENGTH_MAX, examples: ['imap'] }),
      { default: [], maxItems: PROTOCOLS_MAX },
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
