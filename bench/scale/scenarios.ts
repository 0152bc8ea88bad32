import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { median } from '../statistics.ts'
import { visitAll } from './clients.ts'
import {
  backendName,
  fileText,
  GROUPS_PATH,
  groupEndpoints,
  groupName,
  IDLE_SECONDS,
  SERVICES_PATH,
  serviceName,
} from './configuration.ts'
import type { Figure, Record } from './figures.ts'
import { knownFlags } from './known-flags.ts'
import type { MeasuredController } from './measured-controller.ts'
import { MeasuredEdge } from './measured-edge.ts'
import type { ScaleOptions } from './options.ts'
import type { HeapReport } from './preload-protocol.ts'

const BYTES_PER_MB = 1_000_000
const US_PER_MS = 1_000
const MS_PER_S = 1_000
/** So many visits of every frontend, and each of its choosers in each worker has looked, but for one in a hundred. */
const VISITS_TO_SETTLE = 8
/** For threads to sleep, and the kernel to have counted what they used. */
const PAUSE_MS = 30

/** What one edge is measured by. */
type Scene = { readonly options: ScaleOptions; readonly record: Record; readonly folder: string }

/** Measures all that an edge with a file has to show. @returns the CPU of its main thread while it is quiet, in ms/s */
export async function measureWithFile(checkout: string, scene: Scene): Promise<number> {
  const { options, record, folder } = scene
  const { scale } = options
  const path = join(folder, 'edge.json')
  let idleSeconds = IDLE_SECONDS
  const write = (lacksLastBackend: boolean): void => {
    writeFileSync(path, fileText(scale, { idleSeconds, lacksLastBackend }))
  }
  write(false)
  const edge = await MeasuredEdge.start(checkout, folder, ['--config', path, ...edgeArgs(options)], scale.backends)
  try {
    const { bytes, sharedBytes, startBytes } = await edge.stopCounting()
    record('startBytes', (bytes + startBytes) / BYTES_PER_MB)
    record('startShared', sharedBytes / BYTES_PER_MB)
    recordHeaps(await edge.heaps(scale.workers), record)
    record('resident', edge.residentBytes() / BYTES_PER_MB)
    const quiet = await quietRate(edge, options)
    record('quietFile', quiet)
    const changes = new Changes(edge, quiet, record)
    const reload = (lacksLastBackend: boolean): (() => void) => {
      write(lacksLastBackend)
      return () => edge.reload()
    }
    const nextField = (): (() => void) => {
      idleSeconds += 1
      return reload(false)
    }
    await changes.count(nextField(), { bytes: 'serviceBytes', shared: 'serviceShared' })
    await changes.count(reload(true), { bytes: 'leaveBytes' })
    await changes.count(reload(false), { bytes: 'joinBytes' })
    for (let change = 0; change < options.changes; change++) {
      await changes.time(reload(false), { main: 'sameMain', workers: 'sameWorkers', applied: 'sameApplied' })
      const ofService = { main: 'serviceMain', workers: 'serviceWorkers', all: 'serviceAll' } as const
      await changes.time(nextField(), { ...ofService, applied: 'serviceApplied' })
      await changes.time(reload(true), { main: 'leaveMain', workers: 'leaveWorkers' })
      await changes.time(reload(false), { main: 'joinMain', workers: 'joinWorkers' })
    }
    await measureChoices(edge, scene)
    return quiet
  } finally {
    await edge.stop()
  }
}

/** Measures an edge that follows a controller. @param quietFile what {@link measureWithFile} has returned */
export async function measureWithController(
  checkout: string,
  controller: MeasuredController,
  scene: Scene,
  { quietFile, firstIdleSeconds }: { readonly quietFile: number; readonly firstIdleSeconds: number },
): Promise<void> {
  const { options, record, folder } = scene
  const { scale } = options
  const where = ['--controller', `unix:${controller.socketPath}`, '--name', 'edge-1', '--state', join(folder, 'state')]
  const flags = await knownFlags(checkout, 'edge', ['--allow-local-backends'])
  const edge = await MeasuredEdge.start(checkout, folder, [...where, ...flags, ...edgeArgs(options)], scale.backends)
  try {
    await edge.stopCounting()
    await edge.heaps(scale.workers)
    const quiet = await quietRate(edge, options)
    record('quietController', quiet)
    record('quietDifference', quiet - quietFile)
    const changes = new Changes(edge, quiet, record)
    let timeoutSec = firstIdleSeconds
    const patch = (): Promise<void> => {
      timeoutSec += 1
      return controller.change('PATCH', `${SERVICES_PATH}/${serviceName(0)}`, { timeoutSec })
    }
    const last = groupEndpoints(scale).at(-1)?.slice(-1)
    const group = `${GROUPS_PATH}/${groupName(scale.groups - 1)}`
    const members = (action: 'attach' | 'detach') => () =>
      controller.change('POST', `${group}/${action}NetworkEndpoints`, { networkEndpoints: last })
    await changes.count(patch, { bytes: 'controllerServiceBytes' })
    for (let change = 0; change < options.changes; change++) {
      const ofService = { main: 'controllerServiceMain', workers: 'controllerServiceWorkers' } as const
      await changes.time(patch, { ...ofService, applied: 'controllerServiceApplied' })
      await changes.time(members('detach'), { main: 'controllerLeaveMain' })
      await changes.time(members('attach'), { main: 'controllerJoinMain' })
    }
  } finally {
    await edge.stop()
  }
}

function edgeArgs({ scale }: ScaleOptions): readonly string[] {
  return ['--workers', `${scale.workers}`, '--drain-timeout', '1s']
}

async function quietRate(edge: MeasuredEdge, { quietSeconds }: ScaleOptions): Promise<number> {
  const { mainMs, durationMs } = await edge.using(() => sleep(quietSeconds * MS_PER_S))
  return (mainMs / durationMs) * MS_PER_S
}

function recordHeaps(reports: readonly HeapReport[], record: Record): void {
  const heaps = (isMain: boolean): readonly number[] =>
    reports.filter((report) => report.isMain === isMain).map(({ heapBytes }) => heapBytes / BYTES_PER_MB)
  record('heapWorker', median(heaps(false)))
  record('heapMain', median(heaps(true)))
}

/** Changes of an edge, without what it uses all the time. */
class Changes {
  readonly #edge: MeasuredEdge
  readonly #quiet: number
  readonly #record: Record

  /** @param quiet CPU of the main thread with nothing to do, in ms/s */
  constructor(edge: MeasuredEdge, quiet: number, record: Record) {
    this.#edge = edge
    this.#quiet = quiet
    this.#record = record
  }

  async count(request: () => unknown, figures: { readonly bytes: Figure; readonly shared?: Figure }): Promise<void> {
    await this.#edge.startCounting()
    await this.#edge.change(request)
    const { bytes, sharedBytes } = await this.#edge.stopCounting()
    this.#record(figures.bytes, bytes / BYTES_PER_MB)
    if (figures.shared !== undefined) this.#record(figures.shared, sharedBytes / BYTES_PER_MB)
  }

  async time(
    request: () => unknown,
    figures: { readonly main: Figure; readonly workers?: Figure; readonly all?: Figure; readonly applied?: Figure },
  ): Promise<void> {
    const { mainMs, workersMs, allMs, untilAppliedMs, durationMs } = await this.#edge.change(request)
    const quietMs = (this.#quiet * durationMs) / MS_PER_S
    this.#record(figures.main, mainMs - quietMs)
    if (figures.workers !== undefined) this.#record(figures.workers, workersMs)
    if (figures.all !== undefined) this.#record(figures.all, allMs - quietMs)
    if (figures.applied !== undefined) this.#record(figures.applied, untilAppliedMs)
  }
}

/**
 * What it costs workers that the health of one backend has changed: connections to each frontend right after it, less
 * those when every worker has seen it. Work that the change itself makes for workers counts, too.
 */
async function measureChoices(edge: MeasuredEdge, { options, record }: Scene): Promise<void> {
  const { scale, rounds } = options
  const endpoints = groupEndpoints(scale).flat()
  const visit = (): Promise<void> => visitAll(scale.frontends)
  const paused = async (run: () => Promise<unknown>): Promise<void> => {
    await run()
    await sleep(PAUSE_MS)
  }
  for (let count = 0; count < VISITS_TO_SETTLE; count++) await visit()
  for (let round = 0; round < rounds; round++) {
    const backend = backendName(endpoints[Math.floor((round * endpoints.length) / rounds)])
    for (const action of ['drain', 'enable'] as const) {
      let steerMs = 0
      const after = await edge.using(async () => {
        const steering = await edge.using(() => paused(() => edge.steer(backend, action)))
        steerMs = steering.mainMs
        await paused(visit)
      })
      for (let count = 0; count < VISITS_TO_SETTLE; count++) await visit()
      await sleep(PAUSE_MS)
      const before = await edge.using(() => paused(visit))
      record('visitAfter', (after.workersMs * US_PER_MS) / scale.frontends)
      record('visitBefore', (before.workersMs * US_PER_MS) / scale.frontends)
      record('visitDifference', ((after.workersMs - before.workersMs) * US_PER_MS) / scale.frontends)
      record('healthMain', steerMs)
    }
  }
}
