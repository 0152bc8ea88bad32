import { readFileSync, readlinkSync, rmdirSync, rmSync } from 'node:fs'
import { makeDirectory } from '../linux/make-directory.ts'
import { replaceFile } from '../linux/replace-file.ts'
import { messageOf } from '../text/error-message.ts'
import type { Firewall } from './firewall.ts'
import { HostError } from './tools.ts'

/**
 * What `remove` and `status` cannot ask the kernel for.
 *
 * It lies under /run, because it has to end when the settings do that it is about: with the next boot. A network
 * namespace has its own settings, hence its own file; the kernel gives the number of a namespace that has ended to a
 * new one, so whoever ends namespaces should run `remove` before.
 */
export type SetupState = {
  /** net.ipv4.tcp_migrate_req as it was before; undefined: it was not changed. */
  readonly earlierTcpMigrateReq?: string | undefined
  /** The nftables table as it was last loaded. */
  readonly firewall?: Firewall | undefined
}

const DIRECTORY = '/run/truepeer'

function path(): string {
  const namespace = readlinkSync('/proc/self/ns/net').replace(/[^0-9]/g, '')
  return `${DIRECTORY}/host-setup-${namespace}.json`
}

/** The state of the last {@link writeSetupState}; empty where there was none. @throws HostError */
export function readSetupState(): SetupState {
  try {
    return JSON.parse(readFileSync(path(), 'utf8')) as SetupState
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {}
    throw new HostError(`"${path()}" cannot be read (${reasonOf(error)}); run this as root, or remove the file`)
  }
}

/** Replaces the state as a whole; an empty one leaves no file. @throws HostError */
export function writeSetupState(state: SetupState): void {
  try {
    if (state.earlierTcpMigrateReq === undefined && state.firewall === undefined) return removeFile()
    makeDirectory(DIRECTORY, 0o755)
    replaceFile(path(), `${JSON.stringify(state)}\n`, 0o644)
  } catch (error) {
    throw new HostError(`"${path()}" cannot be written (${reasonOf(error)}); run this as root`)
  }
}

function removeFile(): void {
  rmSync(path(), { force: true })
  try {
    rmdirSync(DIRECTORY)
  } catch {
    // Others still have files there, or nobody ever had.
  }
}

function reasonOf(error: unknown): string {
  return messageOf(error)
}
