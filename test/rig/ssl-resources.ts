// Certificates, resources and clients for tests of frontends that terminate TLS.
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import type { Host } from '../../src/lab/host.ts'
import { type CertificateFields, type Issued, issue } from '../../src/tls/test-certificates.ts'
import { readUntilClosed } from './recording-app.ts'
import { type Description, resources } from './resources.ts'

export const ROOT = issue({ commonName: 'Root', isAuthority: true })
export const INTERMEDIATE = issue({ commonName: 'Intermediate', isAuthority: true, issuer: ROOT })

/** A certificate for `name` that {@link INTERMEDIATE} has issued. */
export function issueLeaf(name: string, fields: CertificateFields = {}): Issued {
  return issue({ commonName: name, names: [name], issuer: INTERMEDIATE, ...fields })
}

export const LEAF = issueLeaf('app.example')

/** The resource of a certificate, with its intermediate. */
export function certificateResource(name: string, leaf: Issued, chainPem = INTERMEDIATE.certificatePem): object {
  const certificate = leaf.certificatePem + chainPem
  return { kind: 'compute#sslCertificate', name, certificate, privateKey: leaf.keyPem }
}

/** The resource of an SSL policy. */
export function policyResource(name: string, fields: object): object {
  return { kind: 'compute#sslPolicy', name, ...fields }
}

/** What a load balancer of one target SSL proxy is made of. */
export type SslDescription = {
  readonly listen: string
  readonly endpoints: readonly string[]
  /** Certificates by name, the default first; default: {@link LEAF} as `mine`. */
  readonly certificates?: Readonly<Record<string, Issued>>
  /** Fields of an SSL policy; default: MODERN from TLS 1.0, the guide's. */
  readonly policy?: object
  /** Further fields of the target proxy. */
  readonly proxy?: object
  /** Further fields of the backend service. */
  readonly service?: object
}

/** The resources of one rule `rule` with the target SSL proxy `rule-proxy` and the service `app`. */
export function sslResources(description: SslDescription): object[] {
  const { listen, endpoints, certificates = { mine: LEAF }, policy, proxy, service = {} } = description
  const ssl = { sslCertificates: Object.keys(certificates), sslPolicy: 'my-ssl-policy', ...proxy }
  const balancer: Description = {
    frontends: { rule: { listen, service: 'app', proxy: ssl } },
    services: { app: { groups: { group: { endpoints } }, fields: service } },
  }
  return [
    ...resources(balancer),
    ...Object.entries(certificates).map(([name, leaf]) => certificateResource(name, leaf)),
    policyResource('my-ssl-policy', policy ?? { profile: 'MODERN', minTlsVersion: 'TLS_1_0' }),
  ]
}

/** Connects to a TLS frontend as a client that knows only the root. */
export async function connectTls(from: Host, to: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return await secure(await from.connect({ to }), options)
}

/** Makes a TLS client of a connection. */
export async function secure(socket: Duplex, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const client = connect({ socket, ca: ROOT.certificatePem, servername: 'app.example', ...options })
  await once(client, 'secureConnect')
  return client
}

/** Sends `text`, ends in order, and returns all of the answer. */
export async function finish(client: TLSSocket, text = ''): Promise<string> {
  const answer = readUntilClosed(client)
  client.end(text)
  return (await answer).toString()
}

/** What the recording app has received, out of its answer: "192.0.2.1:80 <hexadecimal>". */
export function receivedBy(answer: string | Buffer): Buffer {
  return Buffer.from(answer.toString().replace(/^\S+ /, ''), 'hex')
}

/** The common name of the certificate that a client was shown. */
export function shownName(client: TLSSocket): string {
  return String(client.getPeerCertificate().subject.CN)
}
