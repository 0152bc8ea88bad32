import { isDeepStrictEqual } from 'node:util'
import { type LoadReport, loadQuestion, parseLoadReport } from '../../proxy-protocol/load-report.ts'
import type { Log } from '../../telemetry/log.ts'
import { converseWithin } from '../conversation/deadline.ts'
import type { Line, LineTarget } from '../conversation/line.ts'
import { LoopLag } from '../conversation/loop-lag.ts'
import { beat, type Clock, Gate, REAL_CLOCK } from '../conversation/pace.ts'
import { askByDatagram } from './ask-by-datagram.ts'
import { backendText } from './health-log.ts'
import type { LoadAnswer } from './load-answer.ts'

const NO_LOAD =
  'it does not answer the load question; is it an agent, and does its list of trusted edges have the address of this edge?'

/** A backend that may be an agent, with its serving port. */
export type LoadTarget = LineTarget & {
  /** Over which the question goes. */
  readonly protocol: 'TCP' | 'UDP'
  /** Unique among the targets. */
  readonly key: string
  /** A target of its group is a load; otherwise only its connections are of interest, and it need not be an agent. */
  readonly needsLoad: boolean
}

const NO_CONNECTIONS =
  'it does not answer the load question, so each edge uses its part of a target of connections; agents answer it'

const QUESTION = loadQuestion()
/** An answer is one short line. */
const ANSWER_BYTES_MAX = 4_096
const INTERVAL_MS = 5_000
const TIMEOUT_MS = 5_000
/** An app that is no agent takes the question for garbage: it is not asked more often than this. */
const INTERVAL_MS_MAX = 300_000
/** As for probes: who is asked at a time, and how long that counts. */
const BEGINNING_MAX = 32
const BEGINNING_MS_MAX = 25

/** What tests replace. */
export type LoadSurroundings = {
  readonly clock: Clock
  readonly ask: (target: LoadTarget, signal: AbortSignal) => Promise<LoadAnswer>
}

/**
 * Asks agents for the load of their hosts, over the port that serves (decision 0009).
 *
 * Each is asked every five seconds. After no proper answer its load is unknown, and the next question comes after twice
 * the time, up to five minutes; after a proper one it comes after five seconds again.
 */
export class LoadPolls {
  readonly #log: Log
  readonly #onChange: (key: string, load: LoadReport | undefined) => void
  readonly #surroundings: LoadSurroundings
  readonly #gate = new Gate(BEGINNING_MAX, BEGINNING_MS_MAX)
  #polled = new Map<string, Polled>()
  #hasToldOfPlain = false
  #isStopped = false

  /** @param options `onChange` is called with every answer, and once with undefined when no proper one comes any more */
  constructor(
    options: { readonly log: Log; readonly onChange: (key: string, load: LoadReport | undefined) => void },
    surroundings: LoadSurroundings = realSurroundings(),
  ) {
    this.#log = options.log
    this.#onChange = options.onChange
    this.#surroundings = surroundings
  }

  /** Asks these targets from now on, and no others; one that stays keeps its beat. */
  update(targets: readonly LoadTarget[]): void {
    if (this.#isStopped) return
    const before = this.#polled
    this.#polled = new Map()
    const begun: Polled[] = []
    for (const target of targets) {
      const known = before.get(target.key)
      if (known !== undefined && isDeepStrictEqual(known.target, target)) {
        this.#polled.set(target.key, known)
        before.delete(target.key)
      } else {
        const polled: Polled = { target, stop: new AbortController(), isKnown: undefined }
        this.#polled.set(target.key, polled)
        begun.push(polled)
      }
    }
    for (const gone of before.values()) gone.stop.abort()
    for (const polled of begun) {
      // Another backend has the key now: what its predecessor said no longer holds.
      if (before.get(polled.target.key)?.isKnown) this.#onChange(polled.target.key, undefined)
      void this.#poll(polled)
    }
  }

  /** Asks nobody any more. */
  stop(): void {
    this.#isStopped = true
    for (const { stop } of this.#polled.values()) stop.abort()
  }

  async #poll(polled: Polled): Promise<void> {
    const { clock, ask } = this.#surroundings
    const { signal } = polled.stop
    let intervalMs = INTERVAL_MS
    for (const factor of beat(polled.target.key)) {
      const leave = await this.#gate.enter()
      const startedMs = clock.nowMs()
      const answer: LoadAnswer = signal.aborted ? { kind: 'nothing' } : await ask(polled.target, signal)
      leave()
      if (signal.aborted) return
      this.#take(polled, answer)
      if (answer.kind === 'load') intervalMs = INTERVAL_MS
      else if (answer.kind === 'no-answer') intervalMs = Math.min(2 * intervalMs, INTERVAL_MS_MAX)
      // Only agents are spread over the interval: everybody else has to be left alone for all of it.
      const waitMs = intervalMs * (answer.kind === 'load' ? factor : Math.max(1, factor))
      await clock.sleep(Math.max(0, startedMs + waitMs - clock.nowMs()), signal)
    }
  }

  #take(polled: Polled, answer: LoadAnswer): void {
    if (answer.kind === 'nothing') return
    const isKnown = answer.kind === 'load'
    const wasKnown = polled.isKnown
    polled.isKnown = isKnown
    if (isKnown !== wasKnown) this.#tell(polled.target, isKnown, wasKnown)
    if (isKnown) this.#onChange(polled.target.key, answer.load)
    else if (wasKnown === true) this.#onChange(polled.target.key, undefined)
  }

  #tell(target: LoadTarget, isKnown: boolean, wasKnown: boolean | undefined): void {
    const backend = backendText(target)
    if (isKnown) return this.#log('info', 'backend load is known', { backend })
    // Who has answered before is an agent, and something has happened to it.
    if (target.needsLoad || wasKnown === true) {
      return this.#log('warn', 'backend load is unknown', { backend, problem: NO_LOAD })
    }
    // There may be thousands, and nothing is wrong with any of them.
    if (!this.#hasToldOfPlain)
      this.#log('info', 'a backend does not tell its connections', { backend, hint: NO_CONNECTIONS })
    this.#hasToldOfPlain = true
  }
}

type Polled = {
  readonly target: LoadTarget
  readonly stop: AbortController
  /** Whether the last question was answered; undefined before the first. */
  isKnown: boolean | undefined
}

/** Asks one agent for its load. Never rejects, and leaves nothing open longer than a second. */
export async function askForLoad(
  target: LineTarget,
  signal: AbortSignal,
  lag: Pick<LoopLag, 'watch'>,
  timeoutMs = TIMEOUT_MS,
): Promise<LoadAnswer> {
  const conversation = await converseWithin({ timeoutMs, signal, lag }, async (line): Promise<LoadAnswer> => {
    const refused = await line.connect(target)
    if (refused !== undefined) return { kind: refused.kind === 'discarded' ? 'nothing' : 'no-answer' }
    line.write(QUESTION)
    const load = parseLoadReport(await readAnswer(line))
    return load === undefined ? { kind: 'no-answer' } : { kind: 'load', load }
  })
  if (conversation.kind === 'finished') return conversation.result
  return { kind: conversation.kind === 'late' ? 'no-answer' : 'nothing' }
}

/** All that the backend says until it closes; empty when that is too much. */
function readAnswer(line: Line): Promise<string> {
  return new Promise((resolve) => {
    let answer = Buffer.alloc(0)
    line.onBroken(() => resolve(answer.toString()))
    line.read((bytes) => {
      answer = Buffer.concat([answer, bytes])
      if (answer.length > ANSWER_BYTES_MAX) resolve('')
    })
  })
}

function realSurroundings(): LoadSurroundings {
  const lag = new LoopLag()
  return {
    clock: REAL_CLOCK,
    ask: (target, signal) => {
      if (target.protocol === 'UDP') return askByDatagram(target, signal, lag, TIMEOUT_MS)
      return askForLoad(target, signal, lag)
    },
  }
}
