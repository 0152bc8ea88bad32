import type { Protocol } from '../address/endpoint.ts'

/** What one check found. `remedy` is empty when there is nothing to do. */
export type Finding = {
  readonly name: string
  /** The port of the agent that it is about, as ADDR:PORT; undefined: the whole process, or the host. */
  readonly listener: string | undefined
  readonly status: 'ok' | 'warn' | 'fail'
  readonly detail: string
  readonly remedy: string
}

/** The name of a check that is made of a port, or of an app, for each protocol. */
export function nameFor(protocol: Protocol, name: string): string {
  return protocol === 'tcp' ? name : `udp-${name}`
}

/** A check that found nothing wrong. */
export function ok(name: string, detail: string): Finding {
  return { name, listener: undefined, status: 'ok', detail, remedy: '' }
}

/** Works, but not always, or not for long. */
export function warn(name: string, detail: string, remedy: string): Finding {
  return { name, listener: undefined, status: 'warn', detail, remedy }
}

/** Does not work. */
export function fail(name: string, detail: string, remedy: string): Finding {
  return { name, listener: undefined, status: 'fail', detail, remedy }
}

/** Reports whether nothing fails; warnings do not count. */
export function isAllRight(findings: readonly Finding[]): boolean {
  return findings.every(({ status }) => status !== 'fail')
}

/** Findings as a table for people: a line each, remedies below; a port is named where there are several. Ends with a newline. */
export function formatFindings(findings: readonly Finding[]): string {
  const listeners = new Set(findings.flatMap(({ listener }) => listener ?? []))
  const labels = findings.map(({ name, listener }) =>
    listener === undefined || listeners.size === 1 ? name : `${listener} ${name}`,
  )
  const width = Math.max(0, ...labels.map((label) => label.length))
  const lines = findings.flatMap(({ status, detail, remedy }, index) => {
    const indent = ' '.repeat(width + 8)
    const line = `${status.padEnd(6)}${labels[index].padEnd(width)}  ${detail}`
    return [line, ...(remedy === '' ? [] : [`${indent}-> ${remedy}`])]
  })
  return lines.map((line) => `${line}\n`).join('')
}

/** Findings for programs: one line of JSON, with `ok` as in {@link isAllRight}. */
export function findingsToJson(findings: readonly Finding[]): string {
  return `${JSON.stringify({ ok: isAllRight(findings), findings })}\n`
}
