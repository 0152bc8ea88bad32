import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { type ConfigurationId, FEED_FORMAT } from '../snapshot/feed.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'

/** A configuration with what it is called. */
export type IdentifiedSnapshot = ConfigurationId & { readonly snapshot: Snapshot }

/**
 * Reads the configuration that an edge served last; undefined: there is none.
 *
 * @throws Error when there is a file and it cannot be used
 */
export function readLastGood(path: string): IdentifiedSnapshot | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const value = JSON.parse(text) as Partial<IdentifiedSnapshot & { readonly format: number }> | null
  const { format, generation, version, snapshot } = value ?? {}
  if (format !== FEED_FORMAT) throw new Error(`"${path}" has the format ${format}, not ${FEED_FORMAT}`)
  if (typeof generation !== 'string' || typeof version !== 'number' || !isSnapshot(snapshot)) {
    throw new Error(`"${path}" is not complete`)
  }
  return { generation, version, snapshot }
}

/** Says whether a value from outside has the parts of a snapshot; what is in them comes from a controller of ours. */
export function isSnapshot(value: unknown): value is Snapshot {
  const { frontends, services, healthChecks } = (value ?? {}) as Partial<Snapshot>
  return Array.isArray(frontends) && Array.isArray(services) && Array.isArray(healthChecks)
}

/** Puts a configuration in the place of the one before, for this user only; a crash leaves one of both. */
export function writeLastGood(path: string, { generation, version, snapshot }: IdentifiedSnapshot): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const partial = `${path}.partial`
  const fd = openSync(partial, 'w', 0o600)
  try {
    writeSync(fd, JSON.stringify({ format: FEED_FORMAT, generation, version, snapshot }))
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(partial, path)
}
