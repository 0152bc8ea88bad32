import { setTimeout as sleep } from 'node:timers/promises'
import { ProgramError } from '../../linux/run.ts'
import type { GuideRow, GuideStep } from './guide-page.ts'
import { type EnterHost, HostProgram, typeOnHost } from './lab-hosts.ts'
import { compareShown } from './shown-lines.ts'

/** What became of a row. */
export type RowResult = { readonly row: GuideRow } & (
  | { readonly kind: 'seen'; readonly line: string }
  | { readonly kind: 'skipped'; readonly without: string }
  | { readonly kind: 'failed'; readonly problem: string }
)

/** Who tells what happens. */
export type Narrator = {
  row(row: GuideRow): void
  command(host: string, text: string): void
  /** `shown`: the lines among them that the guide shows. */
  output(host: string, lines: readonly string[], shown: readonly string[]): void
}

/** How long a program may take until it has printed what the guide shows. */
const PRINTED_MS_MAX = 60_000
const POLL_MS = 50
/** All hosts have the programs of this machine. */
const ANY_HOST = 'client'
/** On a host, for machines without gcloud. */
const REST_STAND_IN = 'gcloud() { node /opt/truepeer/dist/src/bin/guide-rest.js "$@"; }'
const OF_GCLOUD = /(^|\s)gcloud /
const REFUSAL = /^ERROR:/

class NotSeenError extends Error {}

/** Types the guide on the hosts of a lab, row by row, and compares what is printed with what the guide shows. */
export class GuideRun {
  readonly #enter: EnterHost
  readonly #narrator: Narrator
  /** Instead of gcloud, the calls of the API are made. */
  #isRest = false
  readonly #running: {
    readonly started: HostProgram
    readonly text: string
    readonly untilRow: number
    seen: number
  }[] = []

  constructor(enter: EnterHost, narrator: Narrator) {
    this.#enter = enter
    this.#narrator = narrator
  }

  /** Goes on until the end, or until a row fails: those after it build on it. */
  async run(rows: readonly GuideRow[]): Promise<readonly RowResult[]> {
    const results: RowResult[] = []
    this.#isRest = !(await this.#has('gcloud'))
    for (const row of rows) {
      const result = await this.#row(row)
      results.push(result)
      if (result.kind === 'failed') break
    }
    return results
  }

  /** Ends what still runs. */
  async close(): Promise<void> {
    await this.#stopUntil(Number.POSITIVE_INFINITY)
  }

  async #row(row: GuideRow): Promise<RowResult> {
    this.#narrator.row(row)
    for (const program of row.needs) {
      if (!(await this.#has(program))) return { row, kind: 'skipped', without: program }
    }
    const found: string[] = []
    try {
      for (const step of row.steps) found.push(...(await this.#step(step)))
    } catch (error) {
      if (!(error instanceof NotSeenError)) throw error
      return { row, kind: 'failed', problem: error.message }
    }
    await this.#stopUntil(row.number)
    const { seen = '…' } = row
    const line = found.findLast((text) => compareShown([seen], [text]).missing === undefined)
    if (line === undefined) return { row, kind: 'failed', problem: `nothing was like "${seen}"` }
    return { row, kind: 'seen', line }
  }

  /** @returns the lines that the guide shows, as they were printed */
  async #step(step: GuideStep): Promise<readonly string[]> {
    switch (step.kind) {
      case 'commands':
        return await this.#commands(step)
      case 'program': {
        this.#narrator.command(step.host, step.text)
        const started = await HostProgram.start(this.#enter, step.host, step.text)
        this.#running.push({ started, text: step.text, untilRow: step.untilRow, seen: 0 })
        return []
      }
      case 'printed':
        return await this.#printed(step)
    }
  }

  async #commands(step: GuideStep & { kind: 'commands' }): Promise<readonly string[]> {
    const { host, text, shown, needs = [] } = step
    for (const program of needs) if (!(await this.#has(program))) return []
    this.#narrator.command(host, text)
    const isRest = this.#isRest && OF_GCLOUD.test(text)
    const typed = await typeOnHost(this.#enter, host, isRest ? `${REST_STAND_IN}\n${text}` : text).catch(
      (error: unknown) => {
        // It has not ended in time; the message has its output.
        throw error instanceof ProgramError ? new NotSeenError(error.message) : error
      },
    )
    const { found, missing } = compareShown(shown ?? [], typed.lines)
    this.#narrator.output(host, typed.lines, found)
    // A refusal that the guide shows is what it wants. What the API itself answers looks different from gcloud's tables.
    const isJudgedByStatus = shown === undefined || isRest
    const isGood = (typed.exitCode === 0) !== (isRest && shown?.some((line) => REFUSAL.test(line)) === true)
    if (isJudgedByStatus && !isGood) throw new NotSeenError(`it ended with status ${typed.exitCode}`)
    if (isRest) return found.length > 0 ? found : typed.lines.slice(-1)
    if (missing !== undefined) throw new NotSeenError(`it did not print "${missing}"`)
    return found
  }

  async #has(program: string): Promise<boolean> {
    return (await typeOnHost(this.#enter, ANY_HOST, `command -v ${program}`)).exitCode === 0
  }

  async #printed({ host, program = '', lines: shown }: GuideStep & { kind: 'printed' }): Promise<readonly string[]> {
    const running = this.#running.findLast(({ started, text }) => started.host === host && text.includes(program))
    if (running === undefined) throw new NotSeenError(`no such program runs on ${host}`)
    const { started } = running
    for (const deadlineMs = performance.now() + PRINTED_MS_MAX; ; await sleep(POLL_MS)) {
      const { lines } = started
      const { found, missing, end } = compareShown(shown, lines, running.seen)
      const isLate = performance.now() > deadlineMs || !started.program.isRunning
      if (missing !== undefined && !isLate) continue
      this.#narrator.output(host, lines.slice(running.seen), found)
      if (missing !== undefined) throw new NotSeenError(`the program on ${host} did not print "${missing}"`)
      running.seen = end
      return found
    }
  }

  async #stopUntil(row: number): Promise<void> {
    const over = this.#running.filter(({ untilRow }) => untilRow <= row)
    for (const running of over) {
      await running.started.stop()
      this.#running.splice(this.#running.indexOf(running), 1)
    }
  }
}
