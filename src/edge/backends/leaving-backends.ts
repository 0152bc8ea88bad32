import type { LeavingBackend } from '../../telemetry/edge-status.ts'

/** A backend that gets no new connections any more. */
export type Leaver = {
  /** Names the backend together with its address and port. */
  readonly idKey: string
  readonly id: number
  /** `service/group/backend`. */
  readonly key: string
  readonly address: string
  readonly port: number
  /** How long its connections may go on. */
  readonly drainingTimeoutMs: number
}

/** What {@link LeavingBackends} does to the world. */
export type DrainActions = {
  /** Ends the connections to these backends. */
  readonly end: (ids: readonly number[]) => void
  /** Nothing is left to be done about the backend. */
  readonly release: (idKey: string) => void
  readonly open: (id: number) => number
}

type Drain = { readonly leaver: Leaver; readonly endsAt: string; readonly timer: NodeJS.Timeout }

/** The backends that have left their service: each one's connections go on for its draining time, and are then ended. */
export class LeavingBackends {
  readonly #actions: DrainActions
  readonly #drains = new Map<string, Drain>()

  constructor(actions: DrainActions) {
    this.#actions = actions
  }

  start(leavers: readonly Leaver[]): void {
    const now = leavers.filter(({ drainingTimeoutMs }) => drainingTimeoutMs === 0)
    this.#finish(now)
    for (const leaver of leavers) {
      if (leaver.drainingTimeoutMs === 0) continue
      const endsAt = new Date(Date.now() + leaver.drainingTimeoutMs).toISOString()
      const timer = setTimeout(() => {
        this.#drains.delete(leaver.idKey)
        this.#finish([leaver])
      }, leaver.drainingTimeoutMs).unref()
      this.#drains.set(leaver.idKey, { leaver, endsAt, timer })
    }
  }

  /** Those backends that are in their service again keep their connections. */
  cancel(isBack: (idKey: string) => boolean): void {
    for (const [idKey, { timer }] of this.#drains) {
      if (!isBack(idKey)) continue
      clearTimeout(timer)
      this.#drains.delete(idKey)
    }
  }

  /** The ids of the backends whose connections will be ended. */
  ids(): number[] {
    return [...this.#drains.values()].map(({ leaver }) => leaver.id)
  }

  list(): LeavingBackend[] {
    return [...this.#drains.values()].map(({ leaver: { key, address, port, id }, endsAt }) => ({
      key,
      address,
      port,
      open: this.#actions.open(id),
      endsAt,
    }))
  }

  stop(): void {
    for (const { timer } of this.#drains.values()) clearTimeout(timer)
    this.#drains.clear()
  }

  #finish(leavers: readonly Leaver[]): void {
    if (leavers.length === 0) return
    this.#actions.end(leavers.map(({ id }) => id))
    for (const { idKey } of leavers) this.#actions.release(idKey)
  }
}
