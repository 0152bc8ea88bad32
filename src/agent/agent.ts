import { isDeepStrictEqual } from 'node:util'
import { formatCidr } from '../address/cidr.ts'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import {
  type ConnectionPage,
  inheritedFor,
  type Program,
  type ProgramContext,
  refuseStrayed,
  type ServedPort,
  type WorkerLiveness,
  type WorkerWatch,
  watchdogOf,
} from '../dataplane/worker/program.ts'
import { warnOfSharedPorts } from '../dataplane/worker/shared-ports.ts'
import type { ConnectionLimits } from '../dataplane/worker/worker-loop.ts'
import { type ServeOptions, WorkerPool } from '../dataplane/worker/worker-pool.ts'
import { isListening } from '../linux/socket-table.ts'
import type { AgentStatus } from '../telemetry/agent-status.ts'
import type { LogFields } from '../telemetry/log.ts'
import { METRICS } from '../telemetry/metrics.ts'
import { messageOf } from '../text/error-message.ts'
import {
  type AgentListener,
  type PreparedListener,
  type PreparedStreams,
  prepareListener,
  withEdges,
} from './agent-listener.ts'
import type { AgentRoleOptions } from './agent-role-options.ts'
import { HostLoad } from './host-load.ts'
import { type ExamineHost, HostProblems } from './host-problems.ts'
import { listenerWarnings } from './listener-warnings.ts'
import { makeNewestCells } from './newest-sockets.ts'
import { PortCells } from './port-cells.ts'
import { checkPrerequisites } from './prerequisites.ts'
import type { TrustedEdges } from './trusted-edges.ts'

/** How often the app is looked for where the port is open only while it listens. */
const APP_CHECK_MS = 1_000

const APP_DOWN = 'port closed: the app does not listen'

/** What of an agent's configuration can change while it runs. */
export type AgentConfiguration = {
  readonly listeners: readonly AgentListener[]
  /** undefined: no listener trusts the edges of a controller. */
  readonly controller: AgentController | undefined
}

/** The controller that an agent follows. */
export type AgentController = {
  /** Another key is another controller, or another way to follow it. */
  readonly key: string
  /** Makes ready to follow it, without following yet. @throws Error when what is needed cannot be read */
  readonly open: () => TrustedEdges
}

/** The install configuration of an agent. */
export type AgentOptions = {
  readonly workers: number
  readonly limits: ConnectionLimits
  /** How many flows of datagrams one edge may have; 0: as many as there is room for. */
  readonly flowsPerEdgeMax: number
  /** See `WorkerPoolOptions`. */
  readonly warmsUp: boolean
  readonly workerWatch: WorkerWatch
  /** Reads the configuration as it is now; throws with all problems when it is wrong. */
  readonly readConfiguration: () => AgentConfiguration
  readonly examineHost: ExamineHost
}

/** A controller with the edges that it names. */
type Followed = { readonly key: string; readonly edges: TrustedEdges }

/**
 * Starts an agent: checks what it needs, opens its ports, and serves until told otherwise.
 *
 * @throws AllowedSubnetsError, SystemCallError or Error, each with its remedy; nothing is left running then
 */
export async function startAgent(options: AgentOptions, context: ProgramContext): Promise<Program> {
  const load = new HostLoad()
  const { listeners, controller } = options.readConfiguration()
  const followed = controller && { key: controller.key, edges: controller.open() }
  const wanted = prepareAll(listeners, followed, flowsPerWorker(options))
  checkPrerequisites()
  const { workers, limits } = options
  const pool = new WorkerPool<AgentRoleOptions>({
    entry: new URL('./worker.js', import.meta.url),
    role: { load: load.shared, newestSockets: makeNewestCells(workers) },
    workers,
    limits,
    log: context.log,
    warmsUp: options.warmsUp,
    watchdog: watchdogOf(options.workerWatch, context),
    onFatal: context.onFatal,
  })
  const agent = new Agent(options, context, pool, load)
  context.onWorkers(agent)
  try {
    agent.apply(wanted)
  } catch (error) {
    agent.stopNow()
    throw error
  }
  // Clients can connect by now; they are served once the threads have come up.
  await pool.respond()
  await agent.examineHost()
  for (const prepared of wanted) {
    if (agent.isOpen(prepared)) context.log('info', 'listening', { ...describe(prepared), workers })
    else context.log('warn', APP_DOWN, describe(prepared))
  }
  agent.follow(followed)
  return agent
}

class Agent implements Program {
  readonly #options: AgentOptions
  readonly #context: ProgramContext
  readonly #pool: WorkerPool<AgentRoleOptions>
  readonly #load: HostLoad
  readonly #appCheck: NodeJS.Timeout
  readonly #host: HostProblems
  /** What is configured, by name. */
  #prepared = new Map<string, PreparedListener>()
  /** The names whose ports are open. */
  readonly #open = new Set<string>()
  /** The connections of each port, whatever becomes of its entrance. */
  readonly #cells = new PortCells()
  #followed: Followed | undefined

  constructor(options: AgentOptions, context: ProgramContext, pool: WorkerPool<AgentRoleOptions>, load: HostLoad) {
    this.#options = options
    this.#context = context
    this.#pool = pool
    this.#load = load
    this.#host = new HostProblems(options.examineHost, context.log)
    this.#appCheck = setInterval(() => {
      this.#checkApps()
      void this.#host.recheck()
    }, APP_CHECK_MS)
    this.#appCheck.unref()
  }

  async reload(): Promise<void> {
    const { log } = this.#context
    try {
      const { listeners, controller } = this.#options.readConfiguration()
      const isFollowed = controller?.key === this.#followed?.key
      const followed = isFollowed ? this.#followed : controller && { key: controller.key, edges: controller.open() }
      const wanted = prepareAll(listeners, followed, flowsPerWorker(this.#options))
      this.apply(wanted)
      this.follow(followed)
      void this.examineHost()
      // Whoever reads that it is done may send the next client: workers act by it from now on.
      await this.#pool.respond()
      log('info', 'reloaded', { listeners: wanted.map(describe) })
    } catch (error) {
      const reason = messageOf(error)
      log('error', `The reload failed and nothing was changed: ${reason}`)
    }
  }

  /** Says in the log what is wrong with the host. Takes seconds only where something is. Never rejects. */
  examineHost(): Promise<void> {
    return this.#host.check([...new Set([...this.#prepared.values()].map(({ listener }) => listener))])
  }

  /** Follows this controller from now on, and no other. */
  follow(followed: Followed | undefined): void {
    if (followed === this.#followed) return
    this.#followed?.edges.stop()
    this.#followed = followed
    followed?.edges.start(() => this.#trust(followed.edges))
  }

  async drain(): Promise<void> {
    this.#stopChecks()
    this.follow(undefined)
    await this.#pool.drain()
    this.#load.stop()
  }

  stopNow(): void {
    this.#stopChecks()
    this.follow(undefined)
    this.#load.stop()
    this.#pool.stopNow()
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

  /** What `/status` shows. */
  agentStatus(): AgentStatus {
    return {
      listeners: [...this.#prepared.values()].map((prepared) => ({
        listen: formatEndpoint(prepared.listener.listen),
        protocol: prepared.protocol,
        target4: formatTarget(prepared.listener.target4),
        target6: formatTarget(prepared.listener.target6),
        trusted: prepared.entrance.allowedSubnets,
        isOpen: this.isOpen(prepared),
      })),
      connections: {
        open: this.read(METRICS.open.slot),
        accepted: this.read(METRICS.accepted.slot),
        ended: this.#counts(METRICS.ended.slots),
      },
      flows: {
        open: this.read(METRICS.flowsOpen.slot),
        opened: this.read(METRICS.flowsOpened.slot),
        ended: this.#counts(METRICS.flowsEnded.slots),
        dropped: this.#counts(METRICS.datagramsDropped.slots),
      },
    }
  }

  /** Of each reason that there has been, how often. */
  #counts(slots: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
    const counts = Object.entries(slots).map(([reason, slot]) => [reason, this.read(slot)] as const)
    return Object.fromEntries(counts.filter(([, count]) => count > 0))
  }

  /** Reports whether the port is open. */
  isOpen(prepared: PreparedListener): boolean {
    return this.#open.has(prepared.name)
  }

  /** Makes the ports and what lies behind them as `wanted`; all of it or, when one cannot be opened, nothing. */
  apply(wanted: readonly PreparedListener[]): void {
    refuseStrayed(this.#context.inherited, wanted.map(servedPort))
    const opened: string[] = []
    try {
      for (const prepared of wanted) {
        if (this.#open.has(prepared.name) || !isToBeOpen(prepared)) continue
        this.#listen(prepared)
        opened.push(prepared.name)
      }
    } catch (error) {
      for (const name of opened) this.#unlisten(name)
      throw error
    }
    const names = new Set(wanted.map(({ name }) => name))
    for (const prepared of wanted) {
      const before = this.#prepared.get(prepared.name)
      if (before !== undefined && this.#open.has(prepared.name)) this.#change(before, prepared)
    }
    for (const name of [...this.#open]) if (!names.has(name)) this.#unlisten(name)
    this.#prepared = new Map(wanted.map((prepared) => [prepared.name, prepared]))
    this.#cells.keep(names)
    for (const warning of listenerWarnings(wanted)) this.#context.log('warn', warning)
  }

  /** Without reading the configuration again: somebody may be in the middle of writing it. */
  #trust(edges: TrustedEdges): void {
    const subnets = edges.subnets()
    for (const [name, before] of this.#prepared) {
      const prepared = withEdges(before, subnets)
      this.#prepared.set(name, prepared)
      if (this.#open.has(name)) this.#change(before, prepared)
    }
    this.#context.log('info', 'trusted edges', { edges: subnets.map(formatCidr) })
  }

  #stopChecks(): void {
    clearInterval(this.#appCheck)
    this.#host.stop()
  }

  /** Opens and closes the ports that follow their app. */
  #checkApps(): void {
    const { log } = this.#context
    for (const prepared of this.#prepared.values()) {
      const isOpen = this.#open.has(prepared.name)
      if (isToBeOpen(prepared) === isOpen) continue
      try {
        if (isOpen) this.#unlisten(prepared.name)
        else this.#listen(prepared)
        log(isOpen ? 'warn' : 'info', isOpen ? APP_DOWN : 'listening', describe(prepared))
      } catch (error) {
        log('error', messageOf(error))
      }
    }
  }

  #listen(prepared: PreparedListener): void {
    const { listen: endpoint, liveness } = prepared.listener
    const inheritedFds = inheritedFor(servedPort(prepared), this.#context.inherited)
    if (prepared.protocol === 'udp') {
      this.#pool.listenForDatagrams(prepared.name, { endpoint, inheritedFds }, this.#withCell(prepared))
    } else {
      this.#pool.define(prepared.name, prepared.service)
      try {
        this.#pool.listen(prepared.name, { endpoint, liveness, inheritedFds }, this.#serveOptions(prepared))
      } catch (error) {
        this.#pool.remove(prepared.name)
        throw error
      }
    }
    warnOfSharedPorts([{ endpoint, protocol: prepared.protocol }], this.#context.log)
    this.#open.add(prepared.name)
  }

  /** Gives an open port what has changed of it, for connections to come. */
  #change(before: PreparedListener, after: PreparedListener): void {
    const { name, entrance } = after
    const isSame = isDeepStrictEqual(before.entrance, entrance)
    if (after.protocol === 'udp') {
      if (!isSame) this.#pool.changeDatagrams(name, this.#withCell(after))
      return
    }
    if (before.protocol === 'tcp' && !isDeepStrictEqual(before.service, after.service)) {
      this.#pool.define(name, after.service)
    }
    if (!isSame) this.#pool.change(name, this.#serveOptions(after))
  }

  #serveOptions(prepared: PreparedStreams): ServeOptions<AgentRoleOptions> {
    return { service: prepared.name, options: this.#withCell(prepared) }
  }

  #withCell<Options>({ name, entrance }: { readonly name: string; readonly entrance: Options }) {
    return { ...entrance, portOpen: this.#cells.of(name) }
  }

  #unlisten(name: string): void {
    this.#pool.unlisten(name)
    this.#pool.remove(name)
    this.#open.delete(name)
  }
}

/** @throws AllowedSubnetsError */
function prepareAll(
  listeners: readonly AgentListener[],
  followed: Followed | undefined,
  flowsPerEdgeMax: number,
): readonly PreparedListener[] {
  const edges = followed?.edges.subnets() ?? []
  return listeners.flatMap((listener) => prepareListener(listener, edges, flowsPerEdgeMax))
}

/** The kernel spreads the sockets of an edge evenly over the workers. */
function flowsPerWorker({ flowsPerEdgeMax, workers }: AgentOptions): number {
  return Math.ceil(flowsPerEdgeMax / workers)
}

function isToBeOpen({ listener, protocol }: PreparedListener): boolean {
  return listener.appCheck !== 'close-port' || listener.appTargets.some((target) => isListening(target, protocol))
}

function servedPort({ listener, protocol }: PreparedListener): ServedPort {
  return { endpoint: listener.listen, protocol }
}

function describe({ listener, entrance, protocol }: PreparedListener): LogFields {
  return {
    listen: formatEndpoint(listener.listen),
    protocol,
    target4: formatTarget(listener.target4),
    target6: formatTarget(listener.target6),
    allowedSubnets: entrance.allowedSubnets === null ? 'all' : entrance.allowedSubnets.length,
  }
}

function formatTarget(target: Endpoint | null): string {
  return target === null ? 'none' : formatEndpoint(target)
}
