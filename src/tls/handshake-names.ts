// Names that are in logs and metrics. This file imports nothing but names, so that the metrics may import it.

import { HELLO_FAULTS } from './client-hello.ts'

/** The versions of TLS, in OpenSSL's words. */
export const TLS_VERSION_NAMES = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const
export type TlsVersionName = (typeof TLS_VERSION_NAMES)[number]

/** Why a handshake did not come to its end; the `reason` of a metric. */
export const HANDSHAKE_FAILURES = [
  ...HELLO_FAULTS,
  // There is nothing that both sides can do.
  'no-shared-version',
  'no-shared-cipher',
  'no-shared-group',
  'no-shared-signature',
  // The other side sent an alert.
  'certificate-refused',
  'alert',
  // The other side's certificate.
  'certificate-invalid',
  // Anything else that breaks the rules.
  'protocol-error',
  // The socket.
  'closed',
  'reset',
  'timeout',
  'out-of-resources',
] as const
export type HandshakeFailure = (typeof HANDSHAKE_FAILURES)[number]
