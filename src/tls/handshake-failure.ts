import type { HandshakeFailure } from './handshake-names.ts'

// openssl/sslerr.h
const REASONS: ReadonlyMap<number, HandshakeFailure> = new Map([
  [166, 'no-shared-version'], // SSL_R_VERSION_TOO_HIGH
  [191, 'no-shared-version'], // SSL_R_NO_PROTOCOLS_AVAILABLE
  [258, 'no-shared-version'], // SSL_R_UNSUPPORTED_PROTOCOL
  [259, 'no-shared-version'], // SSL_R_UNSUPPORTED_SSL_VERSION
  [396, 'no-shared-version'], // SSL_R_VERSION_TOO_LOW
  [181, 'no-shared-cipher'], // SSL_R_NO_CIPHERS_AVAILABLE
  [193, 'no-shared-cipher'], // SSL_R_NO_SHARED_CIPHER
  [101, 'no-shared-group'], // SSL_R_NO_SUITABLE_KEY_SHARE
  [295, 'no-shared-group'], // SSL_R_NO_SUITABLE_GROUPS
  [410, 'no-shared-group'], // SSL_R_NO_SHARED_GROUPS
  [118, 'no-shared-signature'], // SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM
  [333, 'no-shared-signature'], // SSL_R_LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED
  [376, 'no-shared-signature'], // SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS
  [134, 'certificate-invalid'], // SSL_R_CERTIFICATE_VERIFY_FAILED
])

/** Alerts travel as errors above this number (SSL_AD_REASON_OFFSET). */
const ALERTS_START = 1_000
const ALERTS_END = 1_256
/** bad_certificate … certificate_unknown, unknown_ca (RFC 8446 §6). */
const CERTIFICATE_ALERTS = [42, 43, 44, 45, 46, 48]
const PROTOCOL_VERSION_ALERT = 70

/** Names the reason that OpenSSL gives (ERR_GET_REASON). */
export function handshakeFailure(reason: number): HandshakeFailure {
  const alert = reason - ALERTS_START
  if (reason < ALERTS_START || reason >= ALERTS_END) return REASONS.get(reason) ?? 'protocol-error'
  if (CERTIFICATE_ALERTS.includes(alert)) return 'certificate-refused'
  return alert === PROTOCOL_VERSION_ALERT ? 'no-shared-version' : 'alert'
}
