// For tests: the plan of a service whose groups are described in a word or two.
import { makeSpreadCells, writeSpread } from '../balancing/choose-group.ts'
import { buildLocalityTable } from '../balancing/locality.ts'
import type { LocalityPolicy } from '../balancing/policy.ts'
import { type SpreadMemory, spread } from '../balancing/spread.ts'
import type { ServiceView } from '../balancing/view.ts'
import type { BackendService, Spreading } from '../snapshot/snapshot.ts'
import { DEFAULT_SPREADING } from '../snapshot/spreading.ts'
import { testGroup } from '../snapshot/test-snapshot.ts'
import { RegionCode } from '../telemetry/region-reasons.ts'
import { awayReason } from './backends/away-reason.ts'
import { serviceView } from './backends/service-view.ts'
import { Availability } from './balance/availability.ts'
import type { BackendCells } from './balance/backend-table.ts'
import { type Plan, planGroup } from './balance/plan.ts'
import { makeServiceCells, ServiceCell } from './balance/service-cells.ts'

/** A group of a test; everything but the number of backends has a default. */
export type TestGroup = {
  readonly name?: string
  readonly region?: string
  readonly maxConnections?: number
  readonly capacityScaler?: number
  readonly isPreferred?: boolean
  readonly count: number
}

/** What a test wants otherwise. */
export type TestPlanOptions = {
  readonly localRegion?: string | undefined
  readonly locality?: LocalityPolicy
  readonly spreading?: Partial<Spreading>
  /** Of the service, on this edge. */
  readonly maxConnections?: number
}

const ROUND_ROBIN: LocalityPolicy = { name: 'ROUND_ROBIN', affinity: 'NONE', minimumRingSize: 1 }

/** Groups whose backends are at `addressOf(id)`; ids of groups and of backends count from 0 on. */
export class TestPlan {
  readonly plan: Plan
  /** By the id of a backend. */
  readonly groupOf: readonly number[]
  readonly #service: Pick<BackendService, 'groups' | 'spreading'>
  readonly #options: TestPlanOptions
  readonly #memory: SpreadMemory = new Map()

  constructor(
    groups: readonly TestGroup[],
    addressOf: (id: number) => { readonly address: string; readonly port: number },
    options: TestPlanOptions = {},
  ) {
    this.#options = options
    const { locality = ROUND_ROBIN } = options
    this.groupOf = groups.flatMap(({ count }, group) => Array.from({ length: count }, () => group))
    const described = groups.map(({ name, region = 'here', maxConnections, capacityScaler = 1, isPreferred }, index) =>
      testGroup({
        name: name ?? `group-${index}`,
        region,
        zone: `${region}-a`,
        isPreferred: isPreferred ?? false,
        balancing: { mode: 'CONNECTION', maxUtilization: undefined, maxConnections, capacityScaler },
        backends: this.#idsOf(index).map((id) => ({ name: `backend-${id}`, ...addressOf(id) })),
      }),
    )
    this.#service = { groups: described, spreading: { ...DEFAULT_SPREADING, ...options.spreading } }
    const { levels } = spread(this.#view(undefined), new Map(), 0)
    this.plan = {
      levels: levels.map(({ groups: places, domain }) => ({ groups: places, domain })),
      groups: described.map((group, id) =>
        planGroup({
          group,
          id,
          backendIds: this.#idsOf(id),
          isNearest: this.#isNear(group),
          table: buildLocalityTable(
            locality,
            group.backends.map(({ name }) => name),
          ),
        }),
      ),
      locality,
      spread: makeSpreadCells(levels.length, groups.length),
      service: makeServiceCells(),
    }
    if (options.maxConnections !== undefined) this.plan.service[ServiceCell.openMax] = options.maxConnections
  }

  /** Spreads by what the cells say now, as the main thread does after every change. */
  spread(cells: BackendCells): void {
    const view = this.#view(cells)
    const now = spread(view, this.#memory, 0)
    writeSpread(now, this.plan.spread)
    const isNearest = this.plan.groups.map((group) => group.isNearest)
    const reason = awayReason(view, now, isNearest, this.plan.locality.affinity)
    Atomics.store(this.plan.service, ServiceCell.awayReason, RegionCode[reason])
  }

  /** The plan of the same service with this group alone, which has room for everybody. */
  only(index: number): Plan {
    const cells = makeSpreadCells(1, 1)
    const levels = [{ groups: [0], domain: 0 }]
    const groups = [{ weight: 1, limit: Number.POSITIVE_INFINITY, state: 'serving' } as const]
    writeSpread({ levels: levels.map((level) => ({ ...level, share: 1 })), groups }, cells)
    return { ...this.plan, levels, groups: [this.plan.groups[index]], spread: cells }
  }

  #idsOf(group: number): number[] {
    return [...this.groupOf.keys()].filter((id) => this.groupOf[id] === group)
  }

  #isNear({ region }: { readonly region: string }): boolean {
    const { localRegion } = this.#options
    return localRegion === undefined || localRegion === region
  }

  /** Regions that are not the edge's own are equally far. */
  #view(cells: BackendCells | undefined): ServiceView {
    const { localRegion } = this.#options
    const { groups } = this.#service
    const regions = [...new Set(groups.map(({ region }) => region))]
    const regionOrder = regions.map((region) => {
      return { region, rank: this.#isNear({ region }) ? 0 : 1, kilometres: undefined }
    })
    const surroundings = { region: localRegion, zone: undefined, regionOrder, edges: { count: 1, index: 0 } }
    return serviceView(this.#service, surroundings, (id) => {
      const isUp = (backend: number): boolean => cells?.availability[backend] === Availability.up
      return {
        members: groups[id].backends.length,
        healthy: this.#idsOf(id).filter(isUp).length,
        drained: 0,
        utilization: undefined,
        connections: cells?.groupOpen[id] ?? 0,
        others: undefined,
      }
    })
  }
}
