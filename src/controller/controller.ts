import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { localBackendProblems } from '../snapshot/local-backends.ts'
import type { RefusedIn } from '../snapshot/servable.ts'
import type { ControllerStatus } from '../telemetry/controller-metrics.ts'
import type { ListenAddress } from '../telemetry/listen.ts'
import type { Log } from '../telemetry/log.ts'
import { messageOf } from '../text/error-message.ts'
import { Api } from './api/api.ts'
import { Door } from './http/door.ts'
import {
  type HttpServer,
  type IsTrustedPeer,
  isTrustedAddress,
  type RefusalListener,
  startHttpServer,
  type TlsIdentity,
} from './http/http-server.ts'
import { logInternalError } from './http/internal-error.ts'
import { OwnRoutes } from './http/own-routes.ts'
import { type Rate, RateLimit } from './http/rate-limit.ts'
import { collectionNames } from './model/collections.ts'
import { ReferenceIndex } from './model/reference-index.ts'
import type { AnswerListener, EdgeTls, MakeProvider } from './model/world.ts'
import { EdgeHub } from './publish/edge-hub.ts'
import { EdgeSources } from './publish/edge-sources.ts'
import { followCommits } from './publish/follow-commits.ts'
import { Machines } from './publish/machines.ts'
import { Publisher } from './publish/publication.ts'
import { TicketKeyring } from './publish/ticket-keyring.ts'
import { addProjects } from './resources/project.ts'
import { CREATE_REMEDY, requireDatabase } from './store/data-directory.ts'
import { SqliteStore } from './store/sqlite-store.ts'
import type { Store } from './store/store.ts'
import { TicketKeyFile } from './store/ticket-key-file.ts'

/** Requests that are being answered may take this long to end. */
const CLOSE_MS_MAX = 5_000
/** Changes of the addresses that one edge reports: those of a host are few, and each is a commit. */
const SOURCES_RATE: Rate = { perSecond: 0.1, burst: 20 }

/** What a controller runs with. */
export type ControllerOptions = {
  /** Where everything is kept. */
  readonly directory: string
  /** Whether a store is begun where there is none. */
  readonly creates: boolean
  readonly addresses: readonly ListenAddress[]
  /** Reads certificate and key as they are now; undefined: there is none. @throws Error with its remedy */
  readonly readTls: (() => TlsIdentity) | undefined
  readonly projects: readonly string[]
  /** CIDR texts. */
  readonly addressPools: readonly string[]
  readonly poolAddresses: readonly string[]
  /** Backends may be at loopback and link-local addresses. */
  readonly allowsLocalBackends?: boolean | undefined
  readonly edgeTls: EdgeTls
  /** undefined: instances are existing hosts. */
  readonly makeProvider?: MakeProvider | undefined
  /** Ranges that the machines of instances get their addresses for the internet from, CIDR texts. */
  readonly natPools?: readonly string[] | undefined
  /** The IPv6 range of the subnet of a region, for machines. */
  readonly ipv6Subnets?: Readonly<Record<string, string>> | undefined
  /** How long an operation that changes listeners waits for edges; undefined: 2 s. */
  readonly applyWaitMs?: number | undefined
  readonly log: Log
  readonly onAnswer?: AnswerListener | undefined
  readonly onRefusedConnection?: RefusalListener | undefined
  readonly isTrustedPeer?: IsTrustedPeer | undefined
}

/** A running controller. */
export type Controller = {
  readonly urls: readonly string[]
  status(): ControllerStatus
  /** Reads the certificate again; keeps the old one on any error. */
  reload(): void
  close(): Promise<void>
}

/** Starts a controller. Rejects with a StoreError or Error, each with its remedy; nothing is left running then. */
export async function startController(options: ControllerOptions): Promise<Controller> {
  const { addresses, readTls, log, onAnswer, onRefusedConnection, isTrustedPeer } = options
  const tls = readTls?.()
  // Beside an address that needs it, loopback goes without; by itself, it has the certificate that was given.
  const isLoopbackOnly = addresses.every(isTrustedAddress)
  const store = await openStore(options)
  const { api, hub, machines, tickets } = makeApi(store, options)
  const onFailure = (peerAddress: string): void => log('warn', 'a request without a valid token', { peer: peerAddress })
  const door = new Door(store, () => performance.now(), onFailure)
  const changes = new RateLimit(SOURCES_RATE, () => performance.now())
  const sources = new EdgeSources(store, log, (edge) => changes.take(edge))
  const ownRoutes = new OwnRoutes(hub, sources, store)
  const servers: { readonly server: HttpServer; readonly hasTls: boolean }[] = []
  const close = async (): Promise<void> => {
    hub.close()
    tickets.close()
    sources.close()
    machines?.close()
    api.close()
    const closed = Promise.all(servers.map(({ server }) => server.close()))
    await Promise.race([closed, sleep(CLOSE_MS_MAX, undefined, { ref: false })])
    store.close()
  }
  try {
    for (const address of addresses) {
      const needed = isLoopbackOnly ? address.kind === 'tcp' : !isTrustedAddress(address)
      const server = await startHttpServer({
        address,
        tls: needed ? tls : undefined,
        door,
        api,
        ownRoutes,
        onAnswer,
        onRefusedConnection,
        isTrustedPeer,
        log,
      })
      servers.push({ server, hasTls: needed && tls !== undefined })
    }
  } catch (error) {
    await close()
    throw error
  }
  return {
    urls: servers.map(({ server }) => server.url),
    status: () => statusOf(store, hub),
    close,
    reload() {
      try {
        const renewed = readTls?.()
        for (const { server, hasTls } of servers) if (renewed !== undefined && hasTls) server.renewTls(renewed)
        log('info', 'certificate read again')
      } catch (error) {
        log('error', 'The reload failed; the old certificate is still in use', { problem: messageOf(error) })
      }
    },
  }
}

async function openStore({ directory, creates, projects, makeProvider }: ControllerOptions): Promise<Store> {
  if (!creates) requireDatabase(directory, CREATE_REMEDY)
  const store = new SqliteStore(directory)
  try {
    const hasFirewall = makeProvider !== undefined
    await addProjects(store, projects, { now: Date.now(), random: randomBytes, hasFirewall })
  } catch (error) {
    store.close()
    throw error
  }
  return store
}

/** The API over a store, and all that follows the store's commits. */
function makeApi(store: Store, options: ControllerOptions) {
  const {
    directory,
    projects,
    addressPools,
    poolAddresses,
    natPools,
    ipv6Subnets,
    allowsLocalBackends,
    edgeTls,
    makeProvider,
    applyWaitMs,
    log,
    onAnswer,
  } = options
  const refusedIn: RefusedIn = (snapshot) => [
    ...edgeTls.refusedIn(snapshot),
    ...(allowsLocalBackends === true ? [] : localBackendProblems(snapshot)),
  ]
  const references = new ReferenceIndex(store.all())
  const publisher = new Publisher(store, references, projects, refusedIn)
  const tickets = new TicketKeyring({
    file: new TicketKeyFile(directory),
    log,
    clock: Date.now,
    random: randomBytes,
    onChange: () => hub.published(),
  })
  const hub = new EdgeHub({
    publication: () => publisher.publication(),
    generation: store.meta('generation') ?? '',
    ticketKeys: () => tickets.keys(),
    applyWaitMs,
    log,
    clock: Date.now,
    monotonicClock: () => performance.now(),
  })
  const machines = makeProvider && new Machines({ store, makeProvider, log })
  followCommits(store, { references, publisher, hub, machines })
  const api = new Api({
    store,
    references,
    hub,
    health: hub,
    machines,
    edgeTls,
    clock: Date.now,
    random: randomBytes,
    projects,
    addressPools,
    addresses: poolAddresses,
    natPools,
    ipv6Subnets,
    allowsLocalBackends,
    onError: (error, about) => logInternalError(log, error, about),
    onAnswer,
  })
  return { api, hub, machines, tickets }
}

function statusOf(store: Store, hub: EdgeHub): ControllerStatus {
  const revision = store.revision()
  const generation = store.meta('generation')
  const resources = new Map<string, number>(collectionNames.map((name) => [name, 0]))
  for (const { collection } of store.all()) resources.set(collection, (resources.get(collection) ?? 0) + 1)
  const { operations, bytes } = store.size()
  const edges = hub.edges().map(({ name, isConnected, report }) => ({
    name,
    isConnected,
    appliedVersion: report !== undefined && report.applied.generation === generation ? report.applied.version : 0,
    isRefusing: report?.refused !== undefined,
  }))
  return { revision, resources, operations, databaseBytes: bytes, edges }
}
