import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { startDetached } from '../../linux/detached.ts'
import type { LabDirectory } from './lab-directory.ts'
import type { LabNews, LabOrder, LabStatus } from './lab-status.ts'
import { labCommand } from './namespaces.ts'

const START_MS_MAX = 60_000
const LOG_LINES = 20

/** What starting a lab takes, beside its directory, which the caller has made. */
export type StartLabOptions = {
  readonly directory: LabDirectory
  readonly isRoot: boolean
  /** The command of the lab process; the order is added to it. */
  readonly command: readonly string[]
  readonly order: LabOrder
}

/**
 * Starts a lab and waits until it runs; it goes on when this process ends. As long as it is not running, it ends with
 * this process.
 *
 * @throws Error that says why it cannot run; nothing is left of it then
 */
export async function startLab({ directory, isRoot, command, order }: StartLabOptions): Promise<LabStatus> {
  const log = join(directory.path, 'log')
  const logFd = openSync(log, 'a+', 0o600)
  try {
    const words = labCommand(directory, isRoot, [...command, JSON.stringify(order)])
    const { channel } = startDetached('sh', words, logFd)
    const timer = setTimeout(() => channel.destroy(), START_MS_MAX)
    const [news] = await linesOf(channel, 1)
    clearTimeout(timer)
    channel.destroy()
    if (news !== undefined) {
      const told = JSON.parse(news) as LabNews
      if ('ready' in told) return told.ready
      throw new Error(told.failed)
    }
    // The file has no name any more, but is still open here.
    const lines = readFileSync(`/proc/self/fd/${logFd}`, 'utf8').trimEnd().split('\n').slice(-LOG_LINES)
    throw new Error(['The lab ended while it was starting; the end of its log:', ...lines].join('\n'))
  } finally {
    closeSync(logFd)
  }
}

/** The first lines of a stream, fewer where it ends before. */
async function linesOf(stream: NodeJS.ReadableStream, count: number): Promise<readonly string[]> {
  const lines: string[] = []
  stream.on('error', () => {})
  for await (const line of createInterface({ input: stream })) {
    lines.push(line)
    if (lines.length === count) break
  }
  return lines
}
