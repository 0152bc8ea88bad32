/** What one check found. `remedy` is empty when there is nothing to do. */
export type Finding = {
  readonly name: string
  readonly status: 'ok' | 'warn' | 'fail'
  readonly detail: string
  readonly remedy: string
}

/** A check that found nothing wrong. */
export function ok(name: string, detail: string): Finding {
  return { name, status: 'ok', detail, remedy: '' }
}

/** Works, but not always, or not for long. */
export function warn(name: string, detail: string, remedy: string): Finding {
  return { name, status: 'warn', detail, remedy }
}

/** Does not work. */
export function fail(name: string, detail: string, remedy: string): Finding {
  return { name, status: 'fail', detail, remedy }
}

/** Reports whether nothing fails; warnings do not count. */
export function isAllRight(findings: readonly Finding[]): boolean {
  return findings.every(({ status }) => status !== 'fail')
}

/** Findings as a table for people: a line each, remedies below. Ends with a newline. */
export function formatFindings(findings: readonly Finding[]): string {
  const width = Math.max(0, ...findings.map(({ name }) => name.length))
  const lines = findings.flatMap(({ name, status, detail, remedy }) => {
    const indent = ' '.repeat(width + 8)
    return [`${status.padEnd(6)}${name.padEnd(width)}  ${detail}`, ...(remedy === '' ? [] : [`${indent}-> ${remedy}`])]
  })
  return lines.map((line) => `${line}\n`).join('')
}

/** Findings for programs: one line of JSON, with `ok` as in {@link isAllRight}. */
export function findingsToJson(findings: readonly Finding[]): string {
  return `${JSON.stringify({ ok: isAllRight(findings), findings })}\n`
}
