import { withoutControls } from '../text/plain-text.ts'

/**
 * How a record is written: as a line of JSON; the same with its priority in front, for the journal (sd-daemon(3)); or as
 * a line for people.
 */
export type LogForm = 'json' | 'journal' | 'terminal'

const PRIORITIES: Readonly<Record<string, number>> = { fatal: 2, error: 3, warn: 4, info: 6, debug: 7 }

/** Gives a line of JSON, which begins with its level, another form. */
export function inForm(form: LogForm, line: string): string {
  switch (form) {
    case 'json':
      return line
    case 'journal':
      return `<${PRIORITIES[/^\{"level":"(\w+)"/.exec(line)?.[1] ?? ''] ?? 6}>${line}`
    case 'terminal':
      return terminalLine(line)
  }
}

function terminalLine(line: string): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Readonly<Record<string, unknown>>
  const words = Object.entries(fields).map(([name, value]) => `${name}=${valueText(value)}`)
  // Local time: whoever looks at a terminal is there.
  const clock = new Date(String(time)).toTimeString().slice(0, 8)
  const text = [clock, String(level).toUpperCase().padEnd(5), String(msg), ...words].join(' ')
  // What a peer has said cannot move the cursor.
  return `${withoutControls(text)}\n`
}

function valueText(value: unknown): string {
  if (typeof value === 'string' && /^[!#-<>-~]+$/.test(value)) return value
  return JSON.stringify(value)
}
