// What TLS frontends need beside the snapshot: certificates as OpenSSL takes them, and the keys of tickets.

import type { Problem } from '../../compute/problem.ts'
import { policyFeatures } from '../../compute/ssl-features.ts'
import type { BackendService, Frontend, FrontendTls, Snapshot, TlsPolicy } from '../../snapshot/snapshot.ts'
import type { TlsStatus } from '../../telemetry/edge-status.ts'
import type { Log } from '../../telemetry/log.ts'
import { type Certificate, CertificateError, certificateWarnings, readCertificate } from '../../tls/certificate.ts'
import { TlsClient } from '../../tls/client.ts'
import { unavailableSuites } from '../../tls/context.ts'
import { TLS_VERSION_NAMES } from '../../tls/handshake-names.ts'
import { readPolicy } from '../../tls/policy.ts'
import { TlsOptionsError, TlsServer, type TlsServerOptions } from '../../tls/server.ts'
import { TICKET_ROTATION_MS, type TicketKey, TicketKeys } from '../../tls/ticket-keys.ts'
import { ConfigurationError } from './configuration-error.ts'

/** How often it is looked whether a certificate has expired meanwhile. */
const WARNINGS_MS = 3_600_000

/** The TLS of an edge's frontends: what was read of each, who was warned of, and the ticket keys of all workers. */
export class FrontendTlsStore {
  readonly #handshakeTimeoutMs: number
  readonly #log: Log
  readonly #tickets = new TicketKeys()
  readonly #rotation: NodeJS.Timeout
  readonly #warnings: NodeJS.Timeout
  /** Frontends with one target proxy have one object. */
  readonly #certificates = new WeakMap<FrontendTls, readonly Certificate[]>()
  /** Services whose roots OpenSSL has read. */
  readonly #taken = new WeakSet<BackendService>()
  readonly #said = new Set<string>()
  #used: readonly FrontendTls[] = []

  constructor(handshakeTimeoutMs: number, log: Log) {
    this.#handshakeTimeoutMs = handshakeTimeoutMs
    this.#log = log
    this.#rotation = setInterval(() => this.#tickets.rotate(), TICKET_ROTATION_MS)
    this.#warnings = setInterval(() => this.#warn(), WARNINGS_MS)
    this.#rotation.unref()
    this.#warnings.unref()
  }

  /** Makes ready what a snapshot needs; what is in use stays as it is. @throws ConfigurationError with all that OpenSSL refuses */
  prepare(snapshot: Snapshot): void {
    // What OpenSSL has taken once it takes again: a reload has the same objects for what is the same.
    const frontends = snapshot.frontends.filter(({ tls }) => tls !== undefined && !this.#certificates.has(tls))
    const services = snapshot.services.filter((service) => !this.#taken.has(service))
    const unseen = { ...snapshot, frontends, services }
    const problems = tlsProblems(unseen)
    if (problems.length > 0) throw new ConfigurationError(problems)
    for (const tls of distinctTls(unseen)) this.#certificates.set(tls, tls.certificates.map(readOne))
    for (const service of services) this.#taken.add(service)
  }

  /** A prepared snapshot has taken effect: says what deserves a look. */
  use(snapshot: Snapshot): void {
    this.#used = distinctTls(snapshot)
    this.#warn()
  }

  /** What a worker makes a frontend's TLS of; null: its clients speak none. */
  serverOptions({ proxy, tls }: Frontend): TlsServerOptions | null {
    if (tls === undefined) return null
    const certificates = this.#certificatesOf(tls)
    return { ...optionsOf(proxy, tls, certificates, this.#tickets), handshakeTimeoutMs: this.#handshakeTimeoutMs }
  }

  status({ tls }: Frontend, nowMs = Date.now()): TlsStatus | undefined {
    if (tls === undefined) return undefined
    const { policy } = tls
    const reading = readPolicy(policy, unavailableSuites())
    if (reading.kind === 'problem') throw new Error(reading.message)
    const { minVersion, cipherSuites, ciphers } = reading.terms
    return {
      policy: policy.name,
      profile: policy.profile,
      minVersion: TLS_VERSION_NAMES[minVersion - 0x0301],
      cipherSuites: [...cipherSuites, ...ciphers].map(({ name }) => name),
      unavailable: unavailableIn(policy),
      certificates: this.#certificatesOf(tls).map((certificate) => ({
        name: certificate.name,
        names: certificate.names,
        keyKind: certificate.keyKind,
        fingerprint: certificate.fingerprint,
        expiresAt: new Date(certificate.expiresMs).toISOString(),
        expiresInSec: Math.floor((certificate.expiresMs - nowMs) / 1_000),
        warnings: certificateWarnings(certificate, nowMs),
      })),
    }
  }

  /**
   * Uses ticket keys that other edges have, too: the first one seals. `isRenewed`: there will be others in time; if none
   * come, keys of this process alone follow them.
   */
  shareTickets(keys: readonly TicketKey[], isRenewed: boolean): void {
    this.#tickets.use(keys)
    if (isRenewed) this.#rotation.refresh()
    else clearInterval(this.#rotation)
  }

  stop(): void {
    clearInterval(this.#rotation)
    clearInterval(this.#warnings)
  }

  #certificatesOf(tls: FrontendTls): readonly Certificate[] {
    const certificates = this.#certificates.get(tls)
    if (certificates === undefined) throw new Error('A frontend is served whose certificates were not read')
    return certificates
  }

  /** Says each warning once. */
  #warn(): void {
    for (const tls of this.#used) {
      for (const { about, text } of warningsOf(tls, this.#certificatesOf(tls))) this.#say(about, text)
    }
  }

  #say(about: string, warning: string): void {
    const key = `${about} ${warning}`
    if (this.#said.has(key)) return
    this.#said.add(key)
    this.#log('warn', warning)
  }
}

/** What deserves a look in a snapshot that OpenSSL takes, a sentence each. @throws CertificateError */
export function tlsWarnings(snapshot: Snapshot): string[] {
  const all = distinctTls(snapshot).flatMap((tls) => warningsOf(tls, tls.certificates.map(readOne)))
  return [...new Set(all.map(({ text }) => text))]
}

/** The same of one target proxy, each with what it is about. */
function warningsOf({ policy }: FrontendTls, certificates: readonly Certificate[]): { about: string; text: string }[] {
  const ofCertificates = certificates.flatMap((certificate) =>
    certificateWarnings(certificate, Date.now()).map((warning) => ({
      about: certificate.fingerprint,
      text: `Certificate "${certificate.name}": ${warning}`,
    })),
  )
  const unavailable = unavailableIn(policy).join(', ')
  if (unavailable === '') return ofCertificates
  const which = policy.name === '' ? `The default SSL policy (${policy.profile})` : `SSL policy "${policy.name}"`
  const text = `${which}: this OpenSSL does not support ${unavailable}; clients are offered the other cipher suites`
  return [...ofCertificates, { about: policy.name, text }]
}

/** What OpenSSL does not take of a snapshot that compiles. */
export function tlsProblems(snapshot: Snapshot): Problem[] {
  const ofProxies = distinctTls(snapshot).flatMap((tls) => {
    const proxy = snapshot.frontends.find((frontend) => frontend.tls === tls)?.proxy ?? ''
    return refusal(`targetSslProxies/${proxy}`, '', () => {
      const certificates = tls.certificates.map(readOne)
      new TlsServer({ ...optionsOf(proxy, tls, certificates, new TicketKeys()), handshakeTimeoutMs: 0 }).retire()
    })
  })
  const ofServices = snapshot.services.flatMap(({ name, tls }) => {
    if (tls === undefined) return []
    const makeClient = (): void => new TlsClient({ ...tls, rootsPem: tls.roots }).close()
    return refusal(`backendServices/${name}`, 'tlsSettings.certificateAuthorities', makeClient)
  })
  return [...ofProxies, ...ofServices]
}

/** The problem of a resource that OpenSSL does not take, if it does not; `path` is the field that it is made of. */
function refusal(resource: string, path: string, make: () => void): Problem[] {
  try {
    make()
    return []
  } catch (error) {
    if (!(error instanceof CertificateError || error instanceof TlsOptionsError)) throw error
    const isOneOfSeveral = error instanceof CertificateError && path === ''
    const rule = isOneOfSeveral ? `Certificate "${error.certificate}": ${error.rule}` : error.rule
    return [{ source: '', resource, path, code: 'invalid', rule, remedy: error.remedy }]
  }
}

function readOne({ name, chain, privateKey }: FrontendTls['certificates'][number]): Certificate {
  return readCertificate(name, chain, privateKey)
}

function optionsOf(
  proxy: string,
  { policy, protocols }: FrontendTls,
  certificates: readonly Certificate[],
  tickets: TicketKeys,
): Omit<TlsServerOptions, 'handshakeTimeoutMs'> {
  return { name: proxy, certificates, policy, protocols, tickets: tickets.table }
}

function unavailableIn(policy: TlsPolicy): readonly string[] {
  if (policy.minTlsVersion === 'TLS_1_3') return []
  return policyFeatures(policy).filter((name) => unavailableSuites().includes(name))
}

function distinctTls({ frontends }: Snapshot): readonly FrontendTls[] {
  return [...new Set(frontends.flatMap(({ tls }) => tls ?? []))]
}
