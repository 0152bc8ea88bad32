// The guide as what can be done: docs/guide/README.md is read by the demo and by the test that type its commands.

/** A block of the guide. `host`: where it is typed, or whose program has printed it. */
export type GuideStep =
  /** Commands that end. */
  | {
      readonly kind: 'commands'
      readonly host: string
      readonly text: string
      /** What they print; undefined where the guide does not say. */
      readonly shown?: readonly string[]
      /** Programs without which they are left out. */
      readonly needs?: readonly string[]
    }
  /** Commands of which the last goes on until a row is done. */
  | { readonly kind: 'program'; readonly host: string; readonly text: string; readonly untilRow: number }
  /** What the latest program of a host, or the latest whose commands have this word, has printed by then. */
  | { readonly kind: 'printed'; readonly host: string; readonly program?: string; readonly lines: readonly string[] }

/** A row of the guide: a heading with a number, and the blocks below it. */
export type GuideRow = {
  readonly number: number
  readonly title: string
  /** Programs without which it is left out. */
  readonly needs: readonly string[]
  /** What the line is like by which the row is seen; the last one that is shown, where the guide does not say. */
  readonly seen?: string
  readonly steps: readonly GuideStep[]
}

type RowInMaking = {
  number: number
  title: string
  needs: string[]
  seen?: string
  steps: GuideStep[]
}

/** Where commands are typed, unless their first line says otherwise. */
const HOST_DEFAULT = 'client'
const SEEN = /^<!-- seen (.+) -->$/
const NEEDS = /^<!-- (row )?needs (.+) -->$/
const HEADING = /^### (\d+)\. (.+)$/
const FENCE = /^```(\w*)(?: (\S+))?(?: (\S+))?$/
const WHERE = /^# on ([a-z][a-z0-9-]*)(?:, until row (\d+) is done)?$/

/**
 * Reads a page of the guide. Blocks without a language are for readers only.
 *
 * @throws Error that names what is not as it should be
 */
export function readGuide(page: string): readonly GuideRow[] {
  const lines = page.split('\n')
  const rows: RowInMaking[] = []
  let needsOfBlock: readonly string[] | undefined
  for (let at = 0; at < lines.length; at++) {
    const heading = HEADING.exec(lines[at])
    if (heading !== null) {
      rows.push({ number: Number(heading[1]), title: heading[2], needs: [], steps: [] })
    }
    const row = rows.at(-1)
    if (row === undefined) continue
    const [, seen] = SEEN.exec(lines[at]) ?? []
    if (seen !== undefined) row.seen = seen
    const [, isOfRow, programs] = NEEDS.exec(lines[at]) ?? []
    if (isOfRow !== undefined) row.needs.push(...programs.split(' '))
    else if (programs !== undefined) needsOfBlock = programs.split(' ')
    const fence = FENCE.exec(lines[at])
    if (fence === null) continue
    const end = lines.indexOf('```', at + 1)
    if (end < 0) throw new Error(`The block that begins in line ${at + 1} has no end`)
    const [, language, host, program] = fence
    addBlock(row.steps, { language, host, program, lines: lines.slice(at + 1, end), at: at + 1 })
    const added = row.steps.at(-1)
    if (needsOfBlock !== undefined && added?.kind === 'commands')
      row.steps.splice(-1, 1, { ...added, needs: needsOfBlock })
    needsOfBlock = undefined
    at = end
  }
  return rows
}

/** A block as it is in the page, and the number of its first line. */
type Block = {
  readonly language: string
  readonly host: string | undefined
  readonly program: string | undefined
  readonly lines: readonly string[]
  readonly at: number
}

function addBlock(steps: GuideStep[], { language, host, program, lines, at }: Block): void {
  if (language === 'sh') steps.push(commands(lines))
  else if (language === 'text' && host !== undefined)
    steps.push({ kind: 'printed', host, ...(program && { program }), lines })
  else if (language === 'text') {
    const last = steps.at(-1)
    if (last?.kind !== 'commands' || last.shown !== undefined) {
      throw new Error(`Line ${at}: what is printed comes after the commands that print it, or names a host`)
    }
    steps[steps.length - 1] = { ...last, shown: lines }
  } else if (language !== '') throw new Error(`Line ${at}: a block is "sh", "text", or for readers only`)
}

function commands(lines: readonly string[]): GuideStep {
  const where = WHERE.exec(lines[0] ?? '')
  if (where === null) return { kind: 'commands', host: HOST_DEFAULT, text: lines.join('\n') }
  const text = lines.slice(1).join('\n')
  const [, host, untilRow] = where
  if (untilRow === undefined) return { kind: 'commands', host, text }
  return { kind: 'program', host, text, untilRow: Number(untilRow) }
}
