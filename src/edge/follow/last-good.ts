import { dirname } from 'node:path'
import { formatProblem } from '../../compute/problem.ts'
import {
  type EdgeCount,
  FEED_FORMAT,
  FEED_LINE_BYTES_MAX,
  type HeldConfiguration,
  isConfigurationId,
  isEdgeCount,
  shownFormat,
} from '../../feed/feed.ts'
import { makeDirectory } from '../../linux/make-directory.ts'
import { replaceFile } from '../../linux/replace-file.ts'
import { readPrivateTextFile } from '../../linux/text-file.ts'
import { readSnapshot } from '../../snapshot/is-snapshot.ts'
import { isWord } from '../../snapshot/shape.ts'
import type { Snapshot } from '../../snapshot/snapshot.ts'
import { messageOf } from '../../text/error-message.ts'
import { tlsProblems } from '../frontends/frontend-tls.ts'

/** A configuration with what it is called. */
export type IdentifiedSnapshot = HeldConfiguration & {
  readonly snapshot: Snapshot
  /** Those that share its limits, as the controller has said last; undefined: it has not. */
  readonly edges?: EdgeCount | undefined
}

/**
 * Reads the configuration that an edge served last; undefined: there is none.
 *
 * @throws Error when there is a file and it cannot be used
 */
export function readLastGood(path: string): IdentifiedSnapshot | undefined {
  let text: string
  try {
    text = readPrivateTextFile(path, { bytesMax: FEED_LINE_BYTES_MAX })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new Error(`"${path}" cannot be read: ${messageOf(error)}`)
  }
  const value = parse(text) as Partial<IdentifiedSnapshot & { readonly format: number }> | null
  const { format, generation, version, digest, snapshot: kept, edges } = value ?? {}
  if (format !== FEED_FORMAT) throw new Error(`"${path}" has ${shownFormat(format)}, not ${FEED_FORMAT}; remove it`)
  const snapshot = readSnapshot(kept)
  if (!isConfigurationId({ generation, version }) || snapshot === undefined) throw damaged(path)
  // OpenSSL may be another one than the one that took these certificates.
  const problems = tlsProblems(snapshot).map(formatProblem)
  if (problems.length > 0) throw new Error(`"${path}" cannot be served: ${problems.join('; ')}`)
  const held = { generation: generation as string, version: version as number, snapshot }
  const shared = isEdgeCount(edges) ? { ...held, edges } : held
  return isWord(digest) ? { ...shared, digest } : shared

  function parse(json: string): unknown {
    try {
      return JSON.parse(json)
    } catch {
      // Its message repeats a part of the text, which may be that of a key.
      throw damaged(path)
    }
  }
}

function damaged(path: string): Error {
  return new Error(`"${path}" is damaged; remove it`)
}

/** Puts a configuration in the place of the one before, for this user only; a crash leaves one of both. */
export function writeLastGood(
  path: string,
  { generation, version, digest, snapshot, edges }: IdentifiedSnapshot,
): void {
  makeDirectory(dirname(path), 0o700)
  replaceFile(path, JSON.stringify({ format: FEED_FORMAT, generation, version, digest, edges, snapshot }))
}
