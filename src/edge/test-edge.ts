// For tests: an edge's role over real backends on loopback, in an event loop that is stepped by hand.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { formatIpAddress } from '../address/ip-address.ts'
import {
  endpointOf,
  NO_LIVENESS,
  TestApp,
  type TestLimits,
  TestLoop,
  WIDE_LIMITS,
} from '../dataplane/connection/test-loop.ts'
import { Services } from '../dataplane/worker/services.ts'
import { acceptFrom, close } from '../linux/socket.ts'
import type { LogFields } from '../telemetry/log.ts'
import { Counters, METRICS } from '../telemetry/metrics.ts'
import { Availability } from './balance/availability.ts'
import { type BackendCells, BackendCounter, BackendTable, FrontendCounter } from './balance/backend-table.ts'
import type { Plan } from './balance/plan.ts'
import { type TestGroup, TestPlan, type TestPlanOptions } from './test-plan.ts'
import { makeClientCells } from './worker/client-counts.ts'
import type { EdgeEntrance } from './worker/edge-entrance.ts'
import { EdgeRole } from './worker/edge-role.ts'
import type { EdgeRoleOptions, EdgeWorkerOptions } from './worker/edge-role-options.ts'
import type { EdgeService } from './worker/edge-service.ts'

const NO_CLIENT_LIMIT = {
  cells: makeClientCells(),
  connectionsPerClientMax: null,
  connectionsMax: 1_000,
  unlimitedClients: [],
}

/** What a test wants otherwise. */
export type TestEdgeOptions = Partial<Omit<EdgeWorkerOptions, 'cells'>> & {
  readonly proxyHeader?: EdgeRoleOptions['entrance']['proxyHeader']
  /** The frontend's address and port, for headers; the loop's own if left out. */
  readonly frontendAddress?: string
  readonly frontendPort?: number
  readonly logSampleRate?: number
  /** Where the loop listens; default 127.0.0.1. */
  readonly listen?: string
  readonly plan?: TestPlanOptions
}

/** An edge in front of real backends, all of them up as far as it knows. */
export class TestEdge {
  readonly apps: readonly TestApp[]
  readonly cells: BackendCells
  readonly entrance: EdgeEntrance
  readonly service: EdgeService
  readonly loop: TestLoop
  /** What was logged with the message "connection". */
  readonly records: LogFields[] = []
  readonly #table = new BackendTable(1)
  readonly #services = new Services<EdgeService>()
  readonly #makeService: (plan: Plan) => EdgeService
  readonly #planned: TestPlan

  constructor(
    t: TestContext,
    groups: readonly TestGroup[] | number,
    options: TestEdgeOptions = {},
    limits: Partial<TestLimits> = {},
  ) {
    const described = typeof groups === 'number' ? [{ count: groups }] : groups
    const total = described.reduce((sum, { count }) => sum + count, 0)
    this.apps = Array.from({ length: total }, () => new TestApp())
    this.cells = this.#table.cells
    this.#planned = new TestPlan(
      described,
      (id) => {
        const { address, port } = this.apps[id].endpoint
        return { address: formatIpAddress(address), port }
      },
      options.plan,
    )
    for (const [id, groupId] of this.#planned.groupOf.entries()) {
      this.#table.show(this.#table.takeBackend(`${id}`, groupId), Availability.up)
    }
    this.#planned.spread(this.cells)
    const { proxyHeader, logSampleRate, listen, frontendAddress, frontendPort, plan: _, ...worker } = options
    const { headerTimeoutMs, ...timeouts } = { ...WIDE_LIMITS, ...limits }
    const role = new EdgeRole(
      {
        cells: this.cells,
        headerTimeoutMs,
        timeouts,
        retriesMax: 3,
        sourceAddresses: [],
        acceptProxyFrom: null,
        headerLengthMax: 4_096,
        clientLimit: NO_CLIENT_LIMIT,
        flowLimit: NO_CLIENT_LIMIT,
        liveness: NO_LIVENESS,
        verbosity: 0,
        ...worker,
      },
      {
        workerIndex: 0,
        log: (_, message, fields = {}) => {
          if (message === 'connection') this.records.push(fields)
        },
        counters: new Counters(),
        openTotal: new Int32Array(1),
        flowTotal: new Int32Array(1),
      },
    )
    this.#makeService = (plan) =>
      role.makeService({
        name: 'my-service',
        idleTimeoutMs: timeouts.idleTimeoutMs,
        flows: undefined,
        tls: undefined,
        logSampleRate: logSampleRate ?? 0,
        plan,
      })
    this.service = this.#makeService(this.#planned.plan)
    this.#services.set('my-service', this.service)
    this.entrance = role.makeEntrance(
      {
        id: 0,
        name: 'my-rule',
        address: frontendAddress ?? '0.0.0.0',
        port: frontendPort ?? 80,
        proxyHeader: proxyHeader ?? { kind: 'NONE' },
        tls: null,
        service: 'my-service',
      },
      this.#services,
    )
    this.loop = new TestLoop(this.entrance, limits, listen === undefined ? {} : { listen: endpointOf(listen) })
    t.after(() => {
      this.loop.close()
      for (const app of this.apps) app.close()
    })
  }

  /** Sets what the workers read of each backend, by id. */
  show(...availabilities: readonly Availability[]): void {
    for (const [id, availability] of availabilities.entries()) this.#table.show(id, availability)
    this.#planned.spread(this.cells)
  }

  /** As a reload does: from now on the service has only the backends of this group. */
  leaveGroup(index: number): void {
    this.#services.set('my-service', this.#makeService(this.#planned.only(index)))
  }

  /** Connects `count` clients that stay; returns how many of them each app got. */
  spread(count: number): number[] {
    const before = this.loop.counters.read(METRICS.accepted.slot)
    for (let index = 0; index < count; index++) this.loop.connect()
    this.loop.until('all accepted', () => this.loop.counters.read(METRICS.accepted.slot) >= before + count)
    this.loop.settle()
    return this.apps.map((app) => {
      for (let accepted = 0; ; accepted++) {
        const fd = acceptFrom(app.fd)
        if (fd < 0) return accepted
        this.#kept.push(fd)
      }
    })
  }

  readonly #kept: number[] = []

  /** Closes the apps' ends of what {@link spread} has connected. */
  closeSpread(): void {
    for (const fd of this.#kept.splice(0)) close(fd)
    this.loop.settle()
  }

  backendCounters(id: number): Record<string, number> {
    return Object.fromEntries(
      Object.entries(BackendCounter).map(([name, counter]) => [name, this.#table.readBackend(id, counter)]),
    )
  }

  frontendCounters(): Record<string, number> {
    return Object.fromEntries(
      Object.entries(FrontendCounter).map(([name, counter]) => [name, this.#table.readFrontend(0, counter)]),
    )
  }

  /** Connections open now: of each backend, and of the frontend. */
  open(): { readonly backends: readonly number[]; readonly frontend: number } {
    assert.equal(
      this.cells.groupOpen.reduce((sum, value) => sum + value, 0),
      this.cells.open.reduce((sum, value) => sum + value, 0),
    )
    return {
      backends: this.apps.map((_, id) => Atomics.load(this.cells.open, id)),
      frontend: Atomics.load(this.cells.frontendOpen, 0),
    }
  }
}
