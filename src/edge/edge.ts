import { formatIpAddress, type IpAddress } from '../address/ip-address.ts'
import type { Position } from '../balancing/google-regions.ts'
import type { LiveEdges } from '../balancing/view.ts'
import {
  type ConnectionPage,
  type Program,
  type ProgramContext,
  refuseStrayed,
  strayedSockets,
  type WorkerLiveness,
  type WorkerWatch,
  watchdogOf,
} from '../dataplane/worker/program.ts'
import { warnOfSharedPorts } from '../dataplane/worker/shared-ports.ts'
import type { ConnectionLimits } from '../dataplane/worker/worker-loop.ts'
import { WorkerPool } from '../dataplane/worker/worker-pool.ts'
import { isOwnAddress } from '../linux/route.ts'
import { type Difference, diff } from '../snapshot/diff.ts'
import { frontendEndpoint } from '../snapshot/frontend-endpoint.ts'
import { reuseParts } from '../snapshot/reuse.ts'
import { EMPTY_SNAPSHOT, type Frontend, type Snapshot } from '../snapshot/snapshot.ts'
import { socketOf } from '../snapshot/socket-of.ts'
import type { ConfigurationStatus, EdgeControl, EdgeStatus, SteerResult } from '../telemetry/edge-status.ts'
import type { WhyAnswer, WhyQuestion } from '../telemetry/edge-why.ts'
import type { LogFields } from '../telemetry/log.ts'
import type { TicketKey } from '../tls/ticket-keys.ts'
import { type BackendHealth, BackendStates } from './backends/backend-states.ts'
import { backendsNamed, idOf, type PlacedBackend, placedBackends, releaseIds, takeIds } from './backends/edge-ids.ts'
import { type Leaver, LeavingBackends } from './backends/leaving-backends.ts'
import { LookupTables } from './backends/lookup-tables.ts'
import { Outliers } from './backends/outliers.ts'
import { type EdgePlace, RegionDistances } from './backends/region-distances.ts'
import { Spreads } from './backends/spreads.ts'
import { Availability } from './balance/availability.ts'
import { BackendTable } from './balance/backend-table.ts'
import { AssignedAddresses, type Assignment, NOTHING_ASSIGNED } from './frontends/assigned-addresses.ts'
import { BackendServices } from './frontends/backend-services.ts'
import { linesOf } from './frontends/configuration-error.ts'
import { FrontendTlsStore } from './frontends/frontend-tls.ts'
import { addressesOf, describeFrontend, Frontends, servedPort, type UnopenedFrontend } from './frontends/frontends.ts'
import { findNeeded, type NeededAddresses } from './frontends/needed-addresses.ts'
import { frontendsAt, mergedFrontends, without } from './frontends/unopened.ts'
import { availabilityName, edgeStatus } from './status.ts'
import { explain } from './why.ts'
import { makeClientCells } from './worker/client-counts.ts'
import { type ClientLimitOptions, FAIR_PART } from './worker/client-limit.ts'
import type { EdgeRoleOptions, EdgeWorkerOptions } from './worker/edge-role-options.ts'

/** How long the first round of health checks may hold up listening, where nobody is served yet (decision 0008). */
const FIRST_ROUND_MS = 1_000
/**
 * How long the first probes of new backends may hold up a reload. Longer than at the start: clients are served all the
 * while by the backends in use, which may be about to leave.
 */
const RELOAD_ROUND_MS = 5_000
/** Lines that a refused configuration costs in the log, and names in one line. */
const LISTED_MAX = 20
/** How often it is tried whether a port that could not be opened can be. */
const OPEN_AGAIN_MS = 2_000
/** How often it is looked whether an address that is no longer listened on still has connections. */
const ADDRESS_SWEEP_MS = 1_000

/** The install configuration of an edge; what it serves comes with the snapshot. */
export type EdgeOptions = Omit<
  EdgeWorkerOptions,
  'cells' | 'clientLimit' | 'flowLimit' | 'headerTimeoutMs' | 'timeouts' | 'sourceAddresses'
> & {
  readonly workers: number
  /** How many connections a client may have at once, and who may have as many as he likes; see `ClientLimitOptions`. */
  readonly clientLimit: Pick<ClientLimitOptions, 'connectionsPerClientMax' | 'unlimitedClients'>
  /** But for the idle timeout, which is the service's. */
  readonly timeouts: EdgeWorkerOptions['timeouts'] & Pick<EdgeWorkerOptions, 'headerTimeoutMs'>
  readonly place: EdgePlace
  /** For the TLS handshake with a client, from accept or the end of its header, absolute. */
  readonly handshakeTimeoutMs: number
  readonly limits: ConnectionLimits
  /** See `WorkerPoolOptions`. */
  readonly warmsUp: boolean
  readonly workerWatch: WorkerWatch
  /** From where backends are connected to, in turn; empty: the kernel chooses. */
  readonly sourceAddresses: readonly IpAddress[]
  /** Put the frontends' addresses on the loopback interface, and take them away again. */
  readonly assignsAddresses: boolean
  /**
   * What becomes of sockets of the service manager that no frontend asks for. The operator of a file makes both the same
   * in one step; behind a controller forwarding rules come and go one by one, also later than the edge.
   */
  readonly strayedSockets: 'refused' | 'wait'
  /**
   * What becomes of a frontend whose port cannot be opened, or whose address cannot be put on this host. The file of an
   * operator is applied as a whole or not at all; of a controller's configuration, which others may have changed since,
   * the rest is applied.
   */
  readonly unopenedFrontends: 'refused' | 'left-out'
  /** Others whom this host has to reach, such as a controller: their addresses are never put on this host. */
  readonly neededAddresses?: (() => Promise<readonly string[]>) | undefined
  /** Those that share limits and targets until somebody says otherwise; undefined: this edge is alone. */
  readonly edges?: LiveEdges | undefined
  /** Told that it drains: another process may be the edge from now on. */
  readonly onDrain?: (() => void) | undefined
  /** Reads the configuration as it is now; throws ConfigurationError with all problems when it is wrong. */
  readonly readSnapshot: () => Snapshot
  /** Reads the ticket keys that other edges have, too, as {@link EdgeOptions.readSnapshot}; undefined, or it returns that: there are none. */
  readonly readTicketKeys?: (() => readonly TicketKey[] | undefined) | undefined
  /** Reads where regions are, as {@link EdgeOptions.readSnapshot}, for a reload; it returns undefined: as before. */
  readonly readPositions?: (() => Promise<ReadonlyMap<string, Position> | undefined>) | undefined
}

/** A running edge. */
export type RunningEdge = Program &
  EdgeControl & {
    /** Says how many edges there are that share the targets of services, and which of them this one is. */
    shareWith(edges: LiveEdges): void
    /** A part of the status that costs nothing. */
    configuration(): ConfigurationStatus
    /** Changes whenever {@link health} may say something else. */
    healthRevision(): number
    health(): readonly BackendHealth[]
    /** Uses ticket keys that other edges have, too, until there are others; the first one seals. */
    shareTickets(keys: readonly TicketKey[]): void
  }

/**
 * Starts an edge: probes its backends, opens its ports after the first round, and serves until told otherwise.
 *
 * @throws ConfigurationError or Error, each with its remedy; nothing is left running then
 */
export async function startEdge(options: EdgeOptions, context: ProgramContext): Promise<RunningEdge> {
  const snapshot = options.readSnapshot()
  const ticketKeys = options.readTicketKeys?.()
  checkSources(options.sourceAddresses)
  const table = new BackendTable(options.workers)
  const pool = new WorkerPool<EdgeRoleOptions>({
    entry: new URL('./worker/worker.js', import.meta.url),
    role: workerOptions(options, table),
    workers: options.workers,
    limits: options.limits,
    log: context.log,
    warmsUp: options.warmsUp,
    watchdog: watchdogOf(options.workerWatch, context),
    onFatal: context.onFatal,
  })
  const edge = new Edge(options, context, pool, table)
  context.onWorkers(edge)
  try {
    await edge.start(snapshot, ticketKeys)
  } catch (error) {
    edge.stopNow()
    throw error
  }
  // Clients can connect by now; they are served once the threads have come up.
  await pool.respond()
  context.log('info', 'listening', {
    frontends: listed(edge.frontends().map(describeFrontend)),
    backends: placedBackends(snapshot).length,
    workers: options.workers,
  })
  return edge
}

/** Which configuration is in use, and what became of later ones; see `ConfigurationStatus`. */
type Configuration = { version: number; appliedAt: string; ok: number; failed: number; problems: readonly string[] }

/** What is applied of a configuration, and how that differs from the one before. */
type Applied = { readonly snapshot: Snapshot; readonly difference: Difference }

class Edge implements RunningEdge {
  readonly #options: EdgeOptions
  readonly #context: ProgramContext
  readonly #pool: WorkerPool<EdgeRoleOptions>
  readonly #table: BackendTable
  readonly #tls: FrontendTlsStore
  readonly #services: BackendServices
  readonly #frontends: Frontends
  readonly #states: BackendStates
  readonly #leaving: LeavingBackends
  readonly #tables = new LookupTables()
  readonly #distances: RegionDistances
  readonly #spreads: Spreads
  readonly #outliers: Outliers
  readonly #addresses = new AssignedAddresses()
  /** Frontends that were closed, for as long as their address has to stay for the sake of connections. */
  #closing: readonly { readonly address: string; readonly id: number }[] = []
  readonly #sweep: NodeJS.Timeout
  readonly #retry: NodeJS.Timeout
  #snapshot = EMPTY_SNAPSHOT
  /** Of the configuration in use: those whose port cannot be opened, and those whose address cannot be put on this host. */
  #unopened: readonly UnopenedFrontend[] = []
  #unassigned: readonly UnopenedFrontend[] = []
  /** Sockets of the service manager that no frontend asks for. */
  #waiting = ''
  /** The problems of frontends that were told last. */
  #toldUnopened = ''
  readonly #configuration: Configuration = { version: 0, appliedAt: '', ok: 0, failed: 0, problems: [] }
  /** The reload that is under way or was last, and the one that waits for it. */
  #lastReload: Promise<void> = Promise.resolve()
  #nextReload: Promise<void> | undefined
  #isStopping = false

  constructor(options: EdgeOptions, context: ProgramContext, pool: WorkerPool<EdgeRoleOptions>, table: BackendTable) {
    this.#options = options
    this.#context = context
    this.#pool = pool
    this.#table = table
    this.#tls = new FrontendTlsStore(options.handshakeTimeoutMs, context.log)
    this.#frontends = new Frontends(options, pool, table, this.#tls, context.inherited)
    this.#states = new BackendStates(table, context.log, options.sourceAddresses, {
      onChange: (service) => {
        this.#spreads.touch([service])
        this.#outliers.touch(service)
      },
      onFailed: (id) => pool.endConnections([id], 'backend-unhealthy'),
      onReach: (region, connectMs) => this.#distances.observe(region, connectMs),
    })
    this.#distances = new RegionDistances(options.place)
    this.#spreads = new Spreads({
      table,
      tables: this.#tables,
      distances: this.#distances,
      factsOf: (groupKey) => this.#states.factsOf(groupKey),
      onRearranged: (service) => this.#services.define([service]),
    })
    this.#outliers = new Outliers(table, this.#states, this.#spreads, context.log)
    this.#services = new BackendServices(pool, this.#spreads)
    this.#leaving = new LeavingBackends({
      end: (ids) => pool.endConnections(ids, 'drained'),
      release: (idKey) => void table.releaseBackend(idKey),
      open: (id) => table.backends.open(id),
    })
    this.#sweep = setInterval(() => this.#sweepAddresses(), ADDRESS_SWEEP_MS)
    this.#sweep.unref()
    this.#retry = setInterval(() => this.#openAgain(), OPEN_AGAIN_MS)
    this.#retry.unref()
  }

  /** Applies the first configuration. @throws ConfigurationError or Error */
  async start(snapshot: Snapshot, ticketKeys: readonly TicketKey[] | undefined): Promise<void> {
    if (ticketKeys !== undefined) this.#tls.shareTickets(ticketKeys, false)
    if (this.#options.edges !== undefined) this.shareWith(this.#options.edges)
    await this.#apply(snapshot, FIRST_ROUND_MS)
    this.#warnOfForeignAddresses(this.frontends())
    this.#warnOfSharedPorts(this.frontends())
  }

  /** One at a time; requests that come while one waits are that one. */
  reload(): Promise<void> {
    if (this.#nextReload !== undefined) return this.#nextReload
    const next = this.#lastReload.then(() => {
      this.#nextReload = undefined
      return this.#reloadNow()
    })
    this.#nextReload = next
    this.#lastReload = next
    return next
  }

  async drain(): Promise<void> {
    this.#isStopping = true
    this.#options.onDrain?.()
    await this.#pool.drain()
    this.#stopDeciding()
  }

  stopNow(): void {
    this.#isStopping = true
    clearInterval(this.#sweep)
    clearInterval(this.#retry)
    this.#stopDeciding()
    this.#leaving.stop()
    this.#tls.stop()
    this.#pool.stopNow()
    try {
      this.#addresses.releaseAll()
    } catch (error) {
      this.#context.log(
        'error',
        `Some addresses could not be removed from the loopback interface: ${linesOf(error).join('; ')}`,
      )
    }
  }

  #stopDeciding(): void {
    this.#states.stop()
    this.#spreads.stop()
    this.#outliers.stop()
  }

  liveness(): WorkerLiveness {
    return this.#pool.liveness()
  }

  read(slot: number): number {
    return this.#pool.read(slot)
  }

  connections(countMax: number, after?: string): Promise<ConnectionPage | undefined> {
    return this.#pool.connections(countMax, after)
  }

  /** Those that are served. */
  frontends(): readonly Frontend[] {
    return this.#snapshot.frontends
  }

  configuration(): ConfigurationStatus {
    const { version, appliedAt, ok, failed, problems } = this.#configuration
    return { version, appliedAt, reloads: { ok, failed }, problems, unopened: listed(this.#unopenedProblems()) }
  }

  healthRevision(): number {
    return this.#states.healthRevision
  }

  health(): readonly BackendHealth[] {
    this.#settle()
    return this.#states.health()
  }

  shareTickets(keys: readonly TicketKey[]): void {
    this.#tls.shareTickets(keys, true)
  }

  shareWith(edges: LiveEdges): void {
    this.#states.sharesTargets = edges.count > 1
    this.#spreads.shareWith(edges)
  }

  why(question: WhyQuestion): WhyAnswer {
    return explain(question, {
      snapshot: this.#snapshot,
      table: this.#table,
      spreads: this.#spreads,
      distances: this.#distances,
      states: this.#states,
    })
  }

  status(): EdgeStatus {
    return edgeStatus({
      snapshot: this.#snapshot,
      table: this.#table,
      states: this.#states,
      spreads: this.#spreads,
      distances: this.#distances,
      tls: this.#tls,
      configuration: this.configuration(),
      leaving: this.#leaving.list(),
    })
  }

  steer(name: string, action: 'drain' | 'enable'): SteerResult {
    const backends = placedBackends(this.#snapshot)
    const found = backendsNamed(backends, name)
    const [placed] = found
    const names = listed((found.length > 0 ? found : backends).map(({ key }) => key))
    if (placed === undefined) return { kind: 'unknown', backends: names }
    if (found.length > 1) return { kind: 'ambiguous', backends: names }
    this.#states.steer(placed, action)
    this.#settle()
    const availability = availabilityName(this.#states.state(placed.idKey)?.availability ?? Availability.down)
    const open = this.#table.backends.open(idOf(this.#table.backends, placed.idKey))
    this.#context.log('info', `backend ${action}`, { backend: placed.key, availability, open })
    return { kind: 'done', backend: placed.key, availability, open }
  }

  /**
   * Shows the workers what follows from changes so far, before anybody is told of them: who hears that a backend is
   * enabled may connect at once.
   */
  #settle(): void {
    // First: ejections that count, or do not, change what there is to spread.
    this.#outliers.settle()
    this.#spreads.settle()
  }

  async #reloadNow(): Promise<void> {
    if (this.#isStopping) return
    const { log } = this.#context
    const startedMs = performance.now()
    try {
      const ticketKeys = this.#options.readTicketKeys?.()
      const positions = await this.#options.readPositions?.()
      const roundMsMax = this.#snapshot.frontends.length === 0 ? FIRST_ROUND_MS : RELOAD_ROUND_MS
      const difference = await this.#apply(this.#options.readSnapshot(), roundMsMax)
      if (difference === undefined) return
      if (positions !== undefined) await this.#locate(positions)
      if (ticketKeys !== undefined) this.#tls.shareTickets(ticketKeys, false)
      this.#configuration.ok += 1
      log('info', 'configuration applied', {
        version: this.#configuration.version,
        ...describeDifference(difference),
        durationMs: Math.round(performance.now() - startedMs),
      })
      this.#warnOfForeignAddresses(difference.opened)
      this.#warnOfSharedPorts(difference.opened)
    } catch (error) {
      const problems = linesOf(error)
      this.#configuration.failed += 1
      this.#configuration.problems = listed(problems)
      for (const problem of listed(problems)) log('error', problem)
      log('error', 'The reload failed; the old configuration is still in use', { problems: problems.length })
    }
  }

  /** Regions are at these positions; resolves once every worker has the order that follows. */
  async #locate(positions: ReadonlyMap<string, Position>): Promise<void> {
    this.#spreads.locate(positions)
    await this.#pool.respond()
  }

  /**
   * Comes from the configuration in use to another one; all of it or, on an error, nothing. Only frontends that this host
   * does not let it open may be left out; see `unopenedFrontends`.
   *
   * Nobody is refused in between: what is new is probed and opened first, then what stays leads to the new backends,
   * then what is gone is closed.
   *
   * @param roundMsMax how long the first probes of what is new may hold it up
   * @returns undefined when the edge was told to stop meanwhile
   */
  async #apply(wanted: Snapshot, roundMsMax: number): Promise<Difference | undefined> {
    const before = this.#snapshot
    const whole = reuseParts(before, wanted)
    if (this.#options.strayedSockets === 'refused') {
      refuseStrayed(this.#context.inherited, whole.frontends.map(servedPort))
    }
    this.#tls.prepare(whole)
    const takeIdsBack = takeIds(this.#table, whole)
    let assignment = NOTHING_ASSIGNED
    let applied: Applied
    try {
      if (this.#options.assignsAddresses) assignment = await this.#assign(whole)
      const unassigned = frontendsAt(assignment.refused, whole)
      this.#refuse(assignment.refused.values())
      await Promise.all([this.#states.prepare(whole, roundMsMax), this.#tables.prepare(whole)])
      if (this.#isStopping) return undefined
      applied = this.#open(before, without(whole, unassigned))
      this.#unassigned = unassigned
    } catch (error) {
      this.#states.abandon()
      this.#addresses.release(assignment.added)
      takeIdsBack()
      throw error
    }
    const { snapshot, difference } = applied
    // From here on nothing can fail any more.
    this.#leaving.cancel((idKey) => this.#states.has(idKey))
    this.#services.define(difference.services.changed)
    for (const { after } of difference.changed) this.#frontends.change(after)
    for (const frontend of difference.closed) this.#close(frontend)
    this.#services.remove(difference.services.removed)
    this.#snapshot = snapshot
    this.#tls.use(snapshot)
    this.#tables.keepOnly(snapshot)
    this.#outliers.use(snapshot)
    this.#settle()
    // Until every worker has taken its messages, clients still come to the backends that leave.
    await this.#pool.respond()
    this.#leave(before, snapshot, difference)
    releaseIds(this.#table, mergedFrontends(before, whole), snapshot)
    this.#configuration.version += 1
    this.#configuration.appliedAt = new Date().toISOString()
    this.#configuration.problems = []
    this.#tellUnopened()
    this.#warnOfWaitingSockets(snapshot)
    return difference
  }

  /** Puts addresses of frontends on this host. */
  #assign(snapshot: Snapshot): Promise<Assignment> {
    const { neededAddresses, sourceAddresses } = this.#options
    const backends = [this.#snapshot, snapshot].flatMap((one) =>
      placedBackends(one).map(({ backend }) => backend.address),
    )
    const needed = (): Promise<NeededAddresses> => findNeeded({ backends, sourceAddresses, neededAddresses })
    return this.#addresses.add([...addressesOf(snapshot.frontends)], needed)
  }

  /** @throws Error of all of these problems, where parts are not left out */
  #refuse(problems: Iterable<string>): void {
    const lines = new Set(problems)
    if (lines.size > 0 && this.#options.unopenedFrontends === 'refused') throw new Error([...lines].join('\n'))
  }

  /** Opens the new ports, behind which the backends already are as they have to be. @throws Error, SystemCallError */
  #open(before: Snapshot, wanted: Snapshot): Applied {
    const difference = diff(before, wanted)
    const { services } = difference
    const { opened, unopened } = this.#frontends.open(difference.opened)
    const snapshot = without(wanted, unopened)
    try {
      this.#refuse(unopened.map(({ problem }) => problem))
    } catch (error) {
      this.#frontends.discard(opened)
      throw error
    }
    this.#states.use(snapshot)
    this.#spreads.use(snapshot)
    // Those that have changed stay as they are for as long as something can fail.
    this.#services.define(services.added)
    try {
      this.#frontends.serve(opened)
    } catch (error) {
      this.#services.remove(services.added)
      this.#states.use(before)
      this.#spreads.use(before)
      for (const id of this.#leaving.ids()) this.#table.leave(id)
      throw error
    }
    this.#unopened = unopened
    return { snapshot, difference: { ...difference, opened: opened.map(({ frontend }) => frontend) } }
  }

  /** A port that another program had may be free by now. */
  #openAgain(): void {
    if (this.#isStopping || this.#unopened.length === 0) return
    const { opened } = this.#frontends.open(this.#unopened.map(({ frontend }) => frontend))
    this.#frontends.discard(opened)
    if (opened.length > 0) void this.reload()
  }

  #unopenedProblems(): readonly string[] {
    return [...this.#unopened, ...this.#unassigned].map(({ problem }) => problem)
  }

  /** Once, until others are left out. */
  #tellUnopened(): void {
    const problems = this.#unopenedProblems()
    const isNew = problems.join('\n') !== this.#toldUnopened
    this.#toldUnopened = problems.join('\n')
    if (problems.length === 0 || !isNew) return
    for (const problem of listed(problems)) this.#context.log('error', problem)
    this.#context.log('warn', 'Some frontends are not served; the rest of the configuration is in use', {
      frontends: problems.length,
      remedy: `free their ports, which are tried again every ${OPEN_AGAIN_MS / 1_000} s, or change their forwarding rules`,
    })
  }

  #close(frontend: Snapshot['frontends'][number]): void {
    this.#frontends.close(frontend)
    const [address] = addressesOf([frontend])
    const id = idOf(this.#table.frontends, socketOf(frontend))
    this.#closing = [...this.#closing, { address, id }]
  }

  /** Takes new connections away from backends that have left, and ends the others when their time is over. */
  #leave(before: Snapshot, snapshot: Snapshot, { left }: Difference): void {
    if (left.length === 0) return
    const { backends } = this.#table
    const remaining = new Set(placedBackends(snapshot).map(({ idKey }) => idKey))
    const inService = new Set(placedBackends(snapshot).map((placed) => placeInService(placed)))
    const leftByKey = new Map(left.map((one) => [one.key, one]))
    const leavers: Leaver[] = []
    for (const placed of placedBackends(before)) {
      const { idKey, key, backend } = placed
      const one = leftByKey.get(key)
      if (one === undefined || remaining.has(idKey)) continue
      const id = idOf(backends, idKey)
      this.#table.leave(id)
      // Where the whole service is gone, or only the group is another, nothing has happened to the backend itself. But
      // flows have no end of their own: without a service there is to be one.
      const goesOn = one.scope === 'service' && placed.service.flows === undefined
      if (goesOn || inService.has(placeInService(placed))) {
        backends.release(idKey)
        continue
      }
      leavers.push({ ...backend, idKey, key, id, drainingTimeoutMs: one.drainingTimeoutMs })
    }
    this.#leaving.start(leavers)
  }

  /** Takes away the addresses that nobody listens on and no connection uses any more. */
  #sweepAddresses(): void {
    if (this.#closing.length === 0 || this.#isStopping) return
    const used = addressesOf(this.#snapshot.frontends)
    const { frontends } = this.#table
    const waiting = this.#closing.filter(({ address, id }) => !used.has(address) && frontends.open(id) > 0)
    const waitingAddresses = new Set(waiting.map(({ address }) => address))
    const free = this.#closing.filter(({ address }) => !used.has(address) && !waitingAddresses.has(address))
    this.#closing = waiting
    try {
      this.#addresses.release(new Set(free.map(({ address }) => address)))
    } catch (error) {
      this.#context.log('error', linesOf(error).join('; '))
    }
  }

  /** They stay open, and clients in their queues, until a configuration has a frontend for them. */
  #warnOfWaitingSockets({ frontends }: Snapshot): void {
    const sockets = strayedSockets(this.#context.inherited, frontends.map(servedPort))
    const isNew = sockets.join() !== this.#waiting
    this.#waiting = sockets.join()
    if (sockets.length === 0 || !isNew) return
    this.#context.log('warn', 'The sockets from the service manager, and their clients, wait for the controller', {
      sockets: listed(sockets),
      remedy: 'create a forwarding rule for each, or remove it from the socket unit',
    })
  }

  #warnOfSharedPorts(frontends: Snapshot['frontends']): void {
    warnOfSharedPorts(frontends.map(servedPort), this.#context.log)
  }

  #warnOfForeignAddresses(frontends: Snapshot['frontends']): void {
    const addresses = frontends.map((frontend) => frontendEndpoint(frontend).address)
    const foreign = new Set(addresses.filter((address) => !isOwnAddress(address)).map(formatIpAddress))
    if (foreign.size === 0) return
    this.#context.log(
      'warn',
      'Some addresses of frontends are not on this host; clients cannot reach them until they are',
      {
        addresses: listed([...foreign]),
        remedy: 'add them to an interface, route them to this host, or give --assign-addresses',
      },
    )
  }
}

function workerOptions(options: EdgeOptions, { cells }: BackendTable): EdgeWorkerOptions {
  const { retriesMax, acceptProxyFrom, headerLengthMax, liveness, verbosity } = options
  const { headerTimeoutMs, ...timeouts } = options.timeouts
  const sourceAddresses = options.sourceAddresses.map(formatIpAddress)
  const settings = { retriesMax, sourceAddresses, acceptProxyFrom, headerLengthMax, liveness, verbosity }
  const { connectionsMax, connectionsPerWorkerMax } = options.limits
  const clientLimit = {
    ...options.clientLimit,
    cells: makeClientCells(),
    connectionsMax: Math.min(connectionsMax, options.workers * connectionsPerWorkerMax),
  }
  return { cells, clientLimit, flowLimit: flowLimit(options), headerTimeoutMs, timeouts, ...settings }
}

/**
 * Flows make place for newer ones, so that there are as many as there may be where there are spoofed clients; a fair share
 * is a part of all places then, not of those that are free.
 */
function flowLimit({ clientLimit, limits }: EdgeOptions): EdgeWorkerOptions['flowLimit'] {
  const { connectionsPerClientMax: max } = clientLimit
  const connectionsPerClientMax = max === 'fair' ? Math.max(1, Math.floor(limits.flowsMax * FAIR_PART)) : max
  return { ...clientLimit, connectionsPerClientMax, cells: makeClientCells(), connectionsMax: limits.flowsMax }
}

function checkSources(addresses: readonly IpAddress[]): void {
  const problems = addresses
    .filter((address) => !isOwnAddress(address))
    .map((address) => {
      const text = formatIpAddress(address)
      const remedy = `add it to an interface ("ip address add ${text}/${address.family === 4 ? 32 : 128} dev lo"), or leave it out`
      return `--source-ranges: "${text}" is not an address of this host; ${remedy}`
    })
  if (problems.length > 0) throw new Error(listed(problems).join('\n'))
}

function placeInService({ service, backend }: PlacedBackend): string {
  return `${service.name} ${backend.address} ${backend.port}`
}

function describeDifference({ opened, closed, changed, services, joined, left }: Difference): LogFields {
  return {
    opened: listed(opened.map(describeFrontend)),
    closed: listed(closed.map(describeFrontend)),
    changed: listed(changed.map(({ after }) => describeFrontend(after))),
    servicesChanged: listed(services.changed.map(({ name }) => name)),
    backendsAdded: joined.length,
    backendsRemoved: left.length,
  }
}

/** The first of many. */
function listed(lines: readonly string[]): string[] {
  if (lines.length <= LISTED_MAX) return [...lines]
  return [...lines.slice(0, LISTED_MAX), `and ${lines.length - LISTED_MAX} more`]
}
