import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeDirectory } from '../linux/make-directory.ts'
import { replaceFile } from '../linux/replace-file.ts'
import { messageOf } from '../text/error-message.ts'
import type { Unit } from './agent-units.ts'
import { HostError } from './tools.ts'

/** Where an administrator's units lie (systemd.unit(5)). */
const UNIT_DIRECTORY = 'etc/systemd/system'
/** First line of every file: whose it is, and what it was, so that an edited one is not thrown away. */
const MARKER = '# Written by "truepeer agent install"; "truepeer agent uninstall" removes it. Digest: '

/** What became of a file. */
export type UnitChange = { readonly path: string; readonly change: 'written' | 'unchanged' | 'removed' | 'absent' }

/** A unit as it is written: with its marker. */
export function markedText(text: string): string {
  return `${MARKER}${digest(text)}\n${text}`
}

type Owner = 'absent' | 'ours' | 'edited' | 'foreign'

function ownerOf(text: string | undefined): Owner {
  if (text === undefined) return 'absent'
  if (!text.startsWith(MARKER)) return 'foreign'
  const end = text.indexOf('\n')
  return markedText(text.slice(end + 1)) === text ? 'ours' : 'edited'
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

/**
 * Writes the units below `root`, all or none.
 *
 * @throws HostError when a file of that name is somebody else's, or was edited, and not `isForced`
 */
export function writeUnits(root: string, units: readonly Unit[], isForced: boolean): UnitChange[] {
  const directory = join(root, UNIT_DIRECTORY)
  const files = units.map(({ fileName, text }) => {
    const path = join(directory, fileName)
    const before = readText(path)
    return { path, before, after: markedText(text) }
  })
  if (!isForced) refuseOthers(files, 'overwrite')
  const changed = files.filter(({ before, after }) => before !== after)
  try {
    makeDirectory(directory, 0o755)
    for (const { path, after } of changed) replaceFile(path, after, 0o644)
  } catch (error) {
    for (const { path, before } of changed) {
      if (before !== undefined) writeFileSync(path, before)
      else rmSync(path, { force: true })
    }
    throw new HostError(`The units cannot be written (${messageOf(error)}); run this as root`)
  }
  return files.map((file) => ({ path: file.path, change: changed.includes(file) ? 'written' : 'unchanged' }))
}

/**
 * Removes the units below `root` and the links by which they were enabled; what is not there is no error.
 *
 * @throws HostError when a file of that name is somebody else's, or was edited, and not `isForced`; nothing is removed
 */
export function removeUnits(root: string, fileNames: readonly string[], isForced: boolean): UnitChange[] {
  const directory = join(root, UNIT_DIRECTORY)
  const files = fileNames.map((fileName) => {
    const path = join(directory, fileName)
    return { path, before: readText(path) }
  })
  if (!isForced) refuseOthers(files, 'remove')
  const links = linksTo(directory, fileNames)
  try {
    for (const path of links) rmSync(path)
    for (const { path } of files) rmSync(path, { force: true })
  } catch (error) {
    throw new HostError(`The units cannot be removed (${messageOf(error)}); run this as root`)
  }
  return [
    ...links.map((path) => ({ path, change: 'removed' as const })),
    ...files.map(({ path, before }) => ({
      path,
      change: before === undefined ? ('absent' as const) : ('removed' as const),
    })),
  ]
}

/** What `systemctl enable` makes: links in the folders TARGET.wants and TARGET.requires. */
function linksTo(directory: string, fileNames: readonly string[]): string[] {
  const folders = namesIn(directory).filter((name) => /\.(wants|requires)$/.test(name))
  return folders.flatMap((folder) =>
    namesIn(join(directory, folder))
      .filter((name) => fileNames.includes(name))
      .map((name) => join(directory, folder, name))
      .filter((path) => isLink(path)),
  )
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function isLink(path: string): boolean {
  try {
    return readlinkSync(path) !== ''
  } catch {
    return false
  }
}

function refuseOthers(
  files: readonly { readonly path: string; readonly before: string | undefined }[],
  verb: string,
): void {
  const problems = files.flatMap(({ path, before }) => {
    const owner = ownerOf(before)
    if (owner === 'foreign') return [`"${path}" was not written by "truepeer agent install"`]
    if (owner === 'edited') return [`"${path}" was edited since (edits survive in a drop-in: "systemctl edit")`]
    return []
  })
  if (problems.length > 0) throw new HostError(`${problems.join('; ')}; --force would ${verb} it anyway`)
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new HostError(`"${path}" cannot be read (${messageOf(error)}); run this as root`)
  }
}
