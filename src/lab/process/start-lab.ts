import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Duplex } from 'node:stream'
import { startDetached } from '../../linux/detached.ts'
import { type LabDirectory, removeLabDirectory } from './lab-directory.ts'
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
  const logFd = openSync(join(directory.path, 'log'), 'a+', 0o600)
  const words = labCommand(directory, isRoot, [...command, JSON.stringify(order)])
  const { channel, killAll } = startDetached('sh', words, logFd)
  try {
    const news = await firstLine(channel)
    if (news !== undefined) {
      const told = JSON.parse(news) as LabNews
      if ('ready' in told) return told.ready
      throw new Error(told.failed)
    }
    // The file may have no name any more, but is still open here.
    const lines = readFileSync(`/proc/self/fd/${logFd}`, 'utf8').trimEnd().split('\n').slice(-LOG_LINES)
    if (lines.join('') === '')
      throw new Error(`The lab ended while it was starting, and its log is empty; is "${directory.base}" full?`)
    throw new Error(['The lab ended while it was starting; the end of its log:', ...lines].join('\n'))
  } catch (error) {
    killAll()
    removeLabDirectory(directory)
    throw error
  } finally {
    channel.destroy()
    closeSync(logFd)
  }
}

/** The first line that comes in time; undefined: there is none. */
function firstLine(channel: Duplex): Promise<string | undefined> {
  return new Promise((resolve) => {
    const settle = (line?: string): void => {
      clearTimeout(timer)
      resolve(line)
    }
    const timer = setTimeout(settle, START_MS_MAX)
    createInterface({ input: channel.on('error', () => {}) })
      .once('line', settle)
      .once('close', settle)
  })
}
