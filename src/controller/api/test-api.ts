import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { edgeTls } from '../../bin/edge-tls.ts'
import type { Mapping } from '../../compute/json-value.ts'
import type { ReportedHealth } from '../../feed/feed.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ApiRequest } from '../methods/api-request.ts'
import { ReferenceIndex } from '../model/reference-index.ts'
import type { MakeProvider, Publication } from '../model/world.ts'
import { followCommits } from '../publish/follow-commits.ts'
import { Machines } from '../publish/machines.ts'
import { Publisher } from '../publish/publication.ts'
import { addProjects } from '../resources/project.ts'
import { MemoryStore } from '../store/memory-store.ts'
import type { Store } from '../store/store.ts'
import { Api, type ApiOptions } from './api.ts'

/** What a test may change. */
type TestApiOptions = Partial<
  Pick<
    ApiOptions,
    'addressPools' | 'addresses' | 'natPools' | 'ipv6Subnets' | 'allowsLocalBackends' | 'projects' | 'hub' | 'edgeTls'
  >
> & {
  readonly store?: Store
  readonly makeProvider?: MakeProvider
  readonly health?: Readonly<Record<string, ReportedHealth>>
  readonly role?: ApiRequest['role']
}

/** An answer's status and JSON. */
export type Answer = { readonly status: number; readonly body: Mapping }

/** An API over a store, and short ways to ask it; paths are those behind the project `p`. */
export class TestApi {
  readonly store: Store
  readonly api: Api
  readonly references: ReferenceIndex
  readonly publisher: Publisher
  readonly machines: Machines | undefined
  /** Milliseconds since 1970; a second passes with every request. */
  now = Date.UTC(2026, 10, 22)
  /** Mistakes of our own, and which requests have met them. */
  readonly errors: { readonly error: unknown; readonly request: string }[] = []
  /** Method and status of every answer, as they were told. */
  readonly answers: string[] = []
  /** What was logged. */
  readonly logged: { readonly message: string; readonly fields: unknown }[] = []
  /** The client has left. */
  isGone = false
  #number = 0
  readonly #role: ApiRequest['role']
  readonly #ready: Promise<void>

  constructor(given: TestApiOptions = {}) {
    const { store = new MemoryStore(), health = {}, role = 'admin', makeProvider, ...options } = given
    const { projects = ['p'] } = options
    this.store = store
    this.#role = role
    this.references = new ReferenceIndex(store.all())
    this.publisher = new Publisher(store, this.references, projects, (options.edgeTls ?? edgeTls()).refusedIn)
    const log: Log = (_level, message, fields) => void this.logged.push({ message, fields })
    this.machines = makeProvider && new Machines({ store, makeProvider, log })
    const { references, publisher, machines } = this
    followCommits(store, { references, publisher, hub: { published: () => {} }, machines })
    this.#ready = addProjects(store, projects, {
      now: this.now,
      random: (count) => this.#bytes(count),
      hasFirewall: makeProvider !== undefined,
    })
    this.api = new Api({
      store,
      references,
      machines,
      clock: () => this.now,
      random: (count) => this.#bytes(count),
      health: { stateOf: (key) => health[key] },
      hub: { applied: () => Promise.resolve([]), hasEdges: () => true, isHeldUp: () => false },
      edgeTls: edgeTls(),
      projects,
      addressPools: ['203.0.113.0/24', '2001:db8::/64'],
      addresses: [],
      onAnswer: (method, status) => void this.answers.push(`${method} ${status}`),
      onError: (error, { method, path }) => this.errors.push({ error, request: `${method} ${path}` }),
      ...options,
    })
  }

  /** Sends a request; a body is sent as JSON, whose text may be given. */
  async send(method: string, path: string, body?: unknown, text = JSON.stringify(body) ?? ''): Promise<Answer> {
    await this.#ready
    this.now += 1000
    const url = new URL(path.startsWith('/') ? path : `/compute/v1/projects/p/${path}`.replace(/\/$/, ''), 'http://h')
    const response = await this.api.handle({
      method,
      path: url.pathname,
      query: url.searchParams,
      body,
      rawBody: Buffer.from(text),
      contentType: text === '' ? '' : 'application/json',
      baseUrl: 'http://h',
      user: 'tester',
      role: this.#role,
      isGone: () => this.isGone,
    })
    assert.ok('body' in response)
    return { status: response.status, body: (response.body ?? {}) as Mapping }
  }

  /** Sends a batch of the given text. */
  async batch(
    contentType: string,
    text: string,
    path = '/batch/compute/v1',
  ): Promise<{ readonly status: number; readonly text: string; readonly contentType: string }> {
    await this.#ready
    const response = await this.api.handle({
      method: 'POST',
      path,
      query: new URLSearchParams(),
      body: undefined,
      rawBody: Buffer.from(text),
      contentType,
      baseUrl: 'http://h',
      user: 'tester',
      role: this.#role,
      isGone: () => this.isGone,
    })
    const isJson = 'body' in response
    return {
      status: response.status,
      text: isJson ? JSON.stringify(response.body) : response.bytes,
      contentType: isJson ? '' : response.contentType,
    }
  }

  /** What edges would get. */
  publication(): Publication {
    return this.publisher.publication()
  }

  async get(path: string): Promise<Mapping> {
    const { status, body } = await this.send('GET', path)
    assert.equal(status, 200, JSON.stringify(body))
    return body
  }

  /** A change that has to succeed; returns its operation. */
  async change(method: string, path: string, body?: unknown): Promise<Mapping> {
    const { status, body: operation } = await this.send(method, path, body)
    assert.equal(status, 200, JSON.stringify(operation))
    assert.equal(operation.status, 'DONE')
    return operation
  }

  /** A patch or an update of the resource as it is now. */
  async changeAsItIs(method: 'PATCH' | 'PUT', path: string, body: Mapping): Promise<Mapping> {
    const { fingerprint } = await this.get(path)
    return this.change(method, path, { ...body, fingerprint })
  }

  /** A request that has to be refused: `400 invalid: message`. */
  async refusal(method: string, path: string, body?: unknown): Promise<string> {
    const revision = this.store.revision()
    const { status, body: answer } = await this.send(method, path, body)
    assert.equal(this.store.revision(), revision, 'a refused request changes nothing')
    const error = answer.error as Mapping | undefined
    assert.ok(error !== undefined && error.code === status, JSON.stringify(answer))
    const [first] = error.errors as readonly Mapping[]
    assert.equal(first.message, error.message)
    assert.equal(first.domain, 'global')
    return `${status} ${first.reason}: ${error.message}`
  }

  /** Makes the guide's TCP load balancer. */
  async makeGuide(): Promise<void> {
    for (const [path, body] of guideRequests) await this.change('POST', path, body)
  }

  /** Makes the ids to come others than those of another API on the same store. */
  skipBytes(count: number): void {
    this.#number += count
  }

  #bytes(count: number): Uint8Array {
    this.#number++
    const bytes = new Uint8Array(count)
    new DataView(bytes.buffer).setUint32(0, this.#number * 2_654_435_761)
    bytes[count - 1] = this.#number & 0xff
    return bytes
  }
}

const zone = 'zones/us-central1-b'

/** What gcloud sends for the guide's rows, in their order. */
export const guideRequests: readonly (readonly [path: string, body: Mapping])[] = [
  [
    `${zone}/instances`,
    {
      name: 'my-backend',
      machineType: 'http://h/compute/v1/projects/p/zones/us-central1-b/machineTypes/n1-standard-1',
      disks: [{ boot: true, initializeParams: { sourceImage: 'http://h/centos-7' } }],
      metadata: {},
      networkInterfaces: [
        {
          network: 'http://h/compute/v1/projects/p/global/networks/default',
          networkIP: '10.128.0.2',
          accessConfigs: [{ name: 'external-nat', type: 'ONE_TO_ONE_NAT' }],
        },
      ],
      tags: { items: ['tcp-lb'] },
    },
  ],
  [`${zone}/instanceGroups`, { name: 'my-instance-group' }],
  [`${zone}/instanceGroups/my-instance-group/setNamedPorts`, { namedPorts: [{ name: 'tcp110', port: 110 }] }],
  [
    `${zone}/instanceGroups/my-instance-group/addInstances`,
    { instances: [{ instance: 'http://h/compute/v1/projects/p/zones/us-central1-b/instances/my-backend' }] },
  ],
  ['global/healthChecks', { name: 'my-tcp-health-check', type: 'TCP', tcpHealthCheck: { port: 110 } }],
  [
    'global/backendServices',
    {
      name: 'my-tcp-lb',
      healthChecks: ['http://h/compute/v1/projects/p/global/healthChecks/my-tcp-health-check'],
      portName: 'tcp110',
      protocol: 'TCP',
      timeoutSec: 300,
      backends: [
        {
          group: 'http://h/compute/v1/projects/p/zones/us-central1-b/instanceGroups/my-instance-group',
          balancingMode: 'UTILIZATION',
          maxUtilization: 0.8,
        },
      ],
    },
  ],
  [
    'global/targetTcpProxies',
    { name: 'my-tcp-lb-target-proxy', service: 'global/backendServices/my-tcp-lb', proxyHeader: 'PROXY_V1' },
  ],
  ['global/addresses', { name: 'lb-static-ipv4', ipVersion: 'IPV4' }],
  [
    'global/forwardingRules',
    {
      name: 'my-tcp-lb-ipv4-forwarding-rule',
      IPAddress: '203.0.113.1',
      loadBalancingScheme: 'EXTERNAL',
      portRange: '110',
      target: 'http://h/compute/v1/projects/p/global/targetTcpProxies/my-tcp-lb-target-proxy',
    },
  ],
]

/** Makes a self-signed certificate and its key, a curve such as P-256 or `rsa:2048`, in PEM. */
export function makeCertificate(
  keyKind = 'P-256',
  name = 'lb.example.com',
): { certificate: string; privateKey: string } {
  const directory = mkdtempSync(join(tmpdir(), 'truepeer-certificate-'))
  const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'certificate.pem')]
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name},IP:192.0.2.1`]
  // Three short primes are found in a fraction of the time of two long ones.
  const isRsa = keyKind.startsWith('rsa:')
  const kind = isRsa ? [keyKind, '-pkeyopt', 'rsa_keygen_primes:3'] : ['ec', '-pkeyopt', `ec_paramgen_curve:${keyKind}`]
  const files = ['-keyout', key, '-out', certificate, '-days', '30']
  execFileSync('openssl', ['req', '-x509', '-nodes', '-newkey', ...kind, ...files, ...subject], { stdio: 'ignore' })
  const made = { certificate: readFileSync(certificate, 'utf8'), privateKey: readFileSync(key, 'utf8') }
  rmSync(directory, { recursive: true })
  return made
}
