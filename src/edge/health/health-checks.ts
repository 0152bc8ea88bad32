import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import type { HealthCheck } from '../../snapshot/snapshot.ts'
import type { Log } from '../../telemetry/log.ts'
import { LoopLag } from '../conversation/loop-lag.ts'
import { beat, type Clock, Gate, REAL_CLOCK } from '../conversation/pace.ts'
import type { ProbeResult } from '../conversation/probe-result.ts'
import { type HealthState, transitionFields } from './health-log.ts'
import { isCostly, type ProbeTarget, runProbe } from './probe.ts'
import { afterProbe, NO_VERDICT, type Verdict } from './verdict.ts'

/** One backend that is probed. */
export type HealthTarget = ProbeTarget & {
  /** Unique among the targets, and the same in every update for what is the same backend. */
  readonly key: string
}

/** What is known of one target. */
export type HealthStatus = {
  readonly state: HealthState
  /** When the last probe ended, by the clock on the wall since 1970; undefined before. */
  readonly lastProbeMs: number | undefined
  /** Why the last probe failed, or said nothing; undefined when it succeeded. */
  readonly lastError: string | undefined
  /** Probes that said something about the backend. */
  readonly probes: number
  readonly failures: number
  /** Changes between HEALTHY and UNHEALTHY. */
  readonly transitions: number
  /** How long the last probe took; undefined before. */
  readonly latencyMs: number | undefined
}

/**
 * Probes that may begin at a time, and how many of them with TLS or HTTP/2: about one turn of the event loop of 20 ms.
 *
 * Measured, processor time of this process for one of 1,000 first probes: TCP 0.4 ms, HTTP 0.6, gRPC 1.0, SSL 1.5, HTTP/2 2.5.
 * Backends that do not answer hold up nobody: 1,000 of them have been asked after 0.8 s.
 */
const BEGINNING_MAX = 32
const COSTLY_BEGINNING_MAX = 8
/** How long a probe counts as beginning. */
const BEGINNING_MS_MAX = 25
/** How soon a probe that said nothing is repeated while nothing is known of its backend. */
const RETRY_MS = 500
/** How often a fault of this host or process is logged. */
const FAULT_LOG_MS = 60_000

/** What tests replace. */
export type HealthSurroundings = {
  readonly clock: Clock
  readonly probe: (target: ProbeTarget, signal: AbortSignal) => Promise<ProbeResult>
}

/**
 * Probes every target for ever, each on its own beat, and tells when its health changes.
 *
 * A target is probed at once, and the first result decides; later changes need the thresholds of the check. From then
 * on the probes of all targets are spread over their interval (ARCHITECTURE.md, "Health").
 */
export class HealthChecks {
  readonly #log: Log
  readonly #onChange: (key: string, state: HealthState) => void
  readonly #surroundings: HealthSurroundings
  readonly #gate = new Gate(BEGINNING_MAX, BEGINNING_MS_MAX)
  readonly #costlyGate = new Gate(COSTLY_BEGINNING_MAX, BEGINNING_MS_MAX)
  #watched = new Map<string, Watched>()
  #isStopped = false
  #faultLoggedMs = Number.NEGATIVE_INFINITY

  constructor(
    options: { readonly log: Log; readonly onChange: (key: string, state: HealthState) => void },
    surroundings: HealthSurroundings = realSurroundings(),
  ) {
    this.#log = options.log
    this.#onChange = options.onChange
    this.#surroundings = surroundings
  }

  /**
   * Probes these targets from now on, and no others.
   *
   * A target that stays keeps its state and its beat. One whose check has changed keeps its state until the first
   * result of the new check, which decides. One with another address or port is another backend, and unknown.
   *
   * @returns resolves when each new target has a first result or is no longer probed
   */
  async update(targets: readonly HealthTarget[]): Promise<void> {
    if (this.#isStopped) return
    const before = this.#watched
    this.#watched = new Map()
    const begun: Watched[] = []
    for (const target of targets) {
      assert(!this.#watched.has(target.key), 'Two health targets have the same key')
      const known = before.get(target.key)
      if (known !== undefined && isSameProbing(known.target, target)) {
        known.target = target
        this.#watched.set(target.key, known)
        before.delete(target.key)
      } else {
        const watched = new Watched(target)
        if (known !== undefined && isSameBackend(known.target, target)) watched.inherit(known)
        this.#watched.set(target.key, watched)
        begun.push(watched)
      }
    }
    for (const gone of before.values()) gone.stop.abort()
    for (const watched of begun) {
      void this.#watch(watched)
      const stateBefore = before.get(watched.target.key)?.status.state
      if (stateBefore !== undefined && stateBefore !== watched.status.state) this.#tell(watched)
    }
    await Promise.all(begun.map(({ first }) => first))
  }

  /** What is known of a target; undefined for one that is not probed. */
  state(key: string): HealthStatus | undefined {
    return this.#watched.get(key)?.status
  }

  /** Ends all probes; nothing is told from now on. */
  stop(): void {
    this.#isStopped = true
    for (const { stop } of this.#watched.values()) stop.abort()
  }

  async #watch(watched: Watched): Promise<void> {
    const { clock, probe } = this.#surroundings
    const { signal } = watched.stop
    const gate = isCostly(watched.target.check.probe) ? this.#costlyGate : this.#gate
    let dueMs = clock.nowMs()
    for (const factor of beat(watched.target.key)) {
      const leave = await gate.enter()
      const startedMs = clock.nowMs()
      if (!signal.aborted) this.#judge(watched, await probe(watched.target, signal), clock.nowMs() - startedMs)
      leave()
      if (signal.aborted) break
      const nowMs = clock.nowMs()
      const { checkIntervalMs } = watched.target.check
      dueMs = Math.max(nowMs, dueMs + factor * checkIntervalMs)
      if (watched.verdict.isHealthy === undefined) dueMs = nowMs + Math.min(RETRY_MS, checkIntervalMs)
      await clock.sleep(dueMs - nowMs, signal)
    }
    watched.hasFirst()
  }

  #judge(watched: Watched, result: ProbeResult, latencyMs: number): void {
    if (watched.stop.signal.aborted) return
    if (result.kind === 'discarded') return this.#discard(watched, result.error)
    const { target, status, detailed } = watched
    watched.take(result, latencyMs)
    watched.hasFirst()
    if (watched.status.state === status.state) return
    const fields = transitionFields({
      target,
      result,
      before: { state: status.state, detailed },
      after: { state: watched.status.state, detailed: watched.detailed },
      latencyMs,
      endedMs: watched.status.lastProbeMs ?? 0,
    })
    this.#log(watched.status.state === 'HEALTHY' ? 'info' : 'warn', 'backend health', fields)
    this.#tell(watched)
  }

  /** Our own fault is not held against the backend, but the operator has to know. */
  #discard(watched: Watched, error: string): void {
    watched.status = { ...watched.status, lastError: error }
    const nowMs = this.#surroundings.clock.nowMs()
    if (nowMs - this.#faultLoggedMs < FAULT_LOG_MS) return
    this.#faultLoggedMs = nowMs
    this.#log('warn', 'Results of health checks are discarded because this process is too busy', { error })
  }

  #tell({ target, status }: Watched): void {
    this.#onChange(target.key, status.state)
  }
}

/** One target while it is probed. */
class Watched {
  target: HealthTarget
  readonly stop = new AbortController()
  /** Resolves with the first result, or when there will be none. */
  readonly first: Promise<void>
  readonly hasFirst: () => void
  verdict: Verdict = NO_VERDICT
  detailed: HealthState | 'TIMEOUT' = 'UNKNOWN'
  status: HealthStatus = {
    state: 'UNKNOWN',
    lastProbeMs: undefined,
    lastError: undefined,
    probes: 0,
    failures: 0,
    transitions: 0,
    latencyMs: undefined,
  }

  constructor(target: HealthTarget) {
    this.target = target
    let resolveFirst = (): void => {}
    this.first = new Promise((resolve) => {
      resolveFirst = resolve
    })
    this.hasFirst = () => resolveFirst()
  }

  /** Shows what was known of the same backend under another check, until this one has said something. */
  inherit({ status, detailed }: Watched): void {
    this.status = status
    this.detailed = detailed
  }

  take(result: Exclude<ProbeResult, { kind: 'discarded' }>, latencyMs: number): void {
    const hasSucceeded = result.kind === 'success'
    this.verdict = afterProbe(this.verdict, hasSucceeded, this.target.check)
    const state = this.verdict.isHealthy === true ? 'HEALTHY' : 'UNHEALTHY'
    const { probes, failures, transitions, state: before } = this.status
    if (state !== before) this.detailed = result.kind === 'failure' && result.isTimeout ? 'TIMEOUT' : state
    this.status = {
      state,
      lastProbeMs: Date.now(),
      lastError: hasSucceeded ? undefined : result.error,
      probes: probes + 1,
      failures: hasSucceeded ? failures : failures + 1,
      transitions: before !== 'UNKNOWN' && before !== state ? transitions + 1 : transitions,
      latencyMs,
    }
  }
}

function isSameBackend(a: HealthTarget, b: HealthTarget): boolean {
  return a.address === b.address && a.port === b.port
}

/** Reports whether the same is asked of the same backend; what a check is called or logs makes no difference. */
function isSameProbing(a: HealthTarget, b: HealthTarget): boolean {
  return (
    a === b ||
    (isSameBackend(a, b) && a.serverName === b.serverName && isDeepStrictEqual(probingOf(a.check), probingOf(b.check)))
  )
}

function probingOf(check: HealthCheck): HealthCheck {
  return { ...check, name: '', logsTransitions: false }
}

function realSurroundings(): HealthSurroundings {
  const lag = new LoopLag()
  return { clock: REAL_CLOCK, probe: (target, signal) => runProbe(target, signal, lag) }
}
