import { readFileSync } from 'node:fs'
import type { EdgeTlsFiles } from '../cli/edge.ts'
import type { Log } from '../telemetry/log.ts'
import { type Certificate, CertificateError, readCertificate } from '../tls/certificate.ts'
import type { TlsServerOptions } from '../tls/server.ts'

const HANDSHAKE_TIMEOUT_MS = 10_000

/** Reads the certificates that the command line of an edge names. @throws CertificateError naming the file */
export function readEdgeTls(files: EdgeTlsFiles, log: Log): Omit<TlsServerOptions, 'tickets'> {
  const certificates = files.pairs.map(({ certificatePath, keyPath }) => readPair(certificatePath, keyPath))
  for (const { name, warnings } of certificates) {
    for (const warning of warnings) log('warn', `Certificate "${name}": ${warning}`, {})
  }
  const minTlsVersion = `TLS_${files.minVersion.replace('.', '_')}` as TlsServerOptions['policy']['minTlsVersion']
  return {
    name: 'frontend',
    certificates,
    policy: { profile: files.profile, minTlsVersion, customFeatures: [] },
    protocols: [],
    handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
  }
}

function readPair(certificatePath: string, keyPath: string): Certificate {
  return readCertificate(
    certificatePath,
    readText(certificatePath, certificatePath),
    readText(certificatePath, keyPath),
    Date.now(),
  )
}

function readText(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new CertificateError(name, `${reason}; give a readable file`, { cause })
  }
}
