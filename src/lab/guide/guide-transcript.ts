import type { GuideRow } from './guide-page.ts'
import type { Narrator, RowResult } from './guide-run.ts'

/** Of an output that is longer, only what the guide shows is printed, and how much more there is. */
const LINES_MAX = 8
const NUMBER_WIDTH = 3
const TITLE_WIDTH = 48

/** Writes what is typed where, what comes of it, and in the end a table of all rows. */
export class GuideTranscript implements Narrator {
  readonly #write: (text: string) => void
  readonly #isColoured: boolean
  readonly #width: number

  constructor(write: (text: string) => void, isColoured: boolean, width: number) {
    this.#write = write
    this.#isColoured = isColoured
    this.#width = width
  }

  /** A line in the demo's own words. */
  say(text: string): void {
    this.#write(`${text}\n`)
  }

  row({ number, title }: GuideRow): void {
    this.say('')
    this.say(this.#styled(`${number}. ${title}`, 1))
  }

  command(host: string, text: string): void {
    const [first, ...rest] = text.split('\n')
    this.say(`${this.#styled(`${host}$`, 36)} ${first}`)
    for (const line of rest) this.say(`${this.#styled('>'.padStart(host.length + 1), 36)} ${line}`)
  }

  output(host: string, lines: readonly string[], shown: readonly string[]): void {
    const written = lines.map((line) => line.trimEnd()).filter((line) => line !== '')
    const chosen = written.length <= LINES_MAX || shown.length === 0 ? written.slice(0, LINES_MAX) : shown
    for (const line of chosen) this.say(`${this.#styled(`${host} |`, 2)} ${line}`)
    const more = written.length - chosen.length
    if (more > 0) this.say(this.#styled(`${host} | … and ${more} more lines`, 2))
  }

  /** One line for each row; what is not as it should be is said in words as well as in colour. */
  results(rows: readonly GuideRow[], results: readonly RowResult[]): void {
    this.say('')
    this.say(this.#styled(`${'row'.padEnd(NUMBER_WIDTH)} ${'step of the guide'.padEnd(TITLE_WIDTH)} what was seen`, 1))
    for (const row of rows) {
      const number = `${row.number}`.padStart(NUMBER_WIDTH)
      this.say(`${number} ${cut(row.title, TITLE_WIDTH).padEnd(TITLE_WIDTH)} ${this.#verdict(results, row)}`)
    }
  }

  #verdict(results: readonly RowResult[], row: GuideRow): string {
    const result = results.find(({ row: { number } }) => number === row.number)
    if (result === undefined) return this.#styled('not tried', 33)
    switch (result.kind) {
      case 'seen':
        return `${this.#styled('seen', 32)}  ${cut(result.line.replaceAll(/\s+/g, ' '), this.#width - NUMBER_WIDTH - TITLE_WIDTH - 8)}`
      case 'skipped':
        return `${this.#styled('skipped', 33)}  "${result.without}" is not installed`
      case 'failed':
        return `${this.#styled('FAILED', 1, 31)}  ${result.problem}`
    }
  }

  #styled(text: string, ...codes: readonly number[]): string {
    return this.#isColoured ? `\x1b[${codes.join(';')}m${text}\x1b[0m` : text
  }
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`
}
