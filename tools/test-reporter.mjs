/**
 * Reporter of `node --test`: one line for each test file, every failure with its error, the skipped tests with their
 * reasons, how long it took, and as the last line "N passed, N failed" with ", N skipped" when there are any. On a
 * terminal the last line names the files that are running.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { countsText, sourcePath, TestFileReport } from './test-file-report.mjs'

/** @typedef {{ type: string, data: import('./test-file-report.mjs').Outcome & { message: string } }} TestEvent */

const isTerminal = process.stdout.isTTY === true
/** Takes away what {@link runningText} wrote. */
const ERASED = isTerminal ? '\r\x1b[K' : ''

/** Longest silence before the run is given up: a little more than one file may take. */
const silenceLimitMs =
  10_000 + Number(process.execArgv.find((flag) => flag.startsWith('--test-timeout='))?.split('=')[1])

/**
 * @param {AsyncIterable<TestEvent>} events
 * @returns {AsyncGenerator<string, void>}
 */
// biome-ignore lint/style/noDefaultExport: node takes a reporter from the default export of its module.
export default async function* reportTests(events) {
  /** @type {Map<string, TestFileReport>} */
  const reports = new Map()
  const startedMs = performance.now()
  /** Paths of files that are running now. @type {Set<string>} */
  const running = new Set()
  const iterator = events[Symbol.asyncIterator]()
  let current = new TestFileReport('')
  let next = await withinSilenceLimit(iterator.next())
  for (; next !== undefined && !next.done; next = await withinSilenceLimit(iterator.next())) {
    const { type, data } = next.value
    if (data.file === undefined) continue
    const path = sourcePath(data.file)
    const report = reports.get(path) ?? new TestFileReport(path)
    reports.set(path, report)
    if (data.name === data.file && (type === 'test:dequeue' || type === 'test:complete')) {
      if (type === 'test:dequeue') running.add(path)
      else running.delete(path)
      yield runningText(running)
    }
    if (type === 'test:stdout' || type === 'test:stderr') report.output += data.message
    if (type === 'test:diagnostic') report.notes.push(data.message)
    if (type !== 'test:pass' && type !== 'test:fail') continue
    // Outcomes arrive file by file, in the order of the files.
    if (current !== report && current.path !== '') yield ERASED + current.describe() + runningText(running)
    current = report
    report.add(data)
  }
  if (next === undefined) {
    current.failures.push(
      `nothing was heard for ${silenceLimitMs} ms: a timer, socket or worker of this file or the next lives on`,
    )
    reports.set(current.path, current)
  }
  yield ERASED + current.describe() + totalsText([...reports.values()], performance.now() - startedMs)
  if (next !== undefined) return
  // node 24 waits for ever for a file whose tests are done while something of it lives on. Let the totals out first.
  await wait(1_000)
  process.exit(1)
}

/**
 * What `promise` gives, or undefined when that takes too long.
 *
 * @template T
 * @param {Promise<T>} promise
 * @returns {Promise<T | undefined>}
 */
async function withinSilenceLimit(promise) {
  const timer = new AbortController()
  const silence = wait(silenceLimitMs, undefined, { signal: timer.signal }).catch(() => undefined)
  const result = await Promise.race([promise, silence])
  timer.abort()
  return result
}

/**
 * The line that is written over by the next one; empty where there is no terminal.
 *
 * @param {ReadonlySet<string>} running
 */
function runningText(running) {
  return isTerminal && running.size > 0 ? `${ERASED}running ${[...running].join(', ')}` : ''
}

/**
 * @param {TestFileReport[]} reports
 * @param {number} durationMs
 */
function totalsText(reports, durationMs) {
  const skipped = reports.flatMap((report) => report.skipped.map((text) => `  ${report.path}: ${text}`))
  const passedCount = reports.reduce((count, report) => count + report.passedCount, 0)
  const failedCount = reports.reduce((count, report) => count + report.failures.length, 0)
  const lines = skipped.length > 0 ? ['', 'skipped:', ...skipped] : []
  const failedPaths = reports.filter((report) => report.failures.length > 0).map((report) => `  ${report.path}`)
  if (failedPaths.length > 0) lines.push('', 'failed, see above:', ...failedPaths)
  if (passedCount + failedCount === 0) {
    lines.push('', 'no test ran')
    process.exitCode = 1
  }
  const seconds = Math.round(durationMs / 1_000)
  lines.push('', `time: ${Math.floor(seconds / 60)} min ${seconds % 60} s`)
  return `${lines.join('\n')}\n${countsText(passedCount, failedCount, skipped.length)}\n`
}
