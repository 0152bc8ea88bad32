import { chmodSync, copyFileSync, existsSync, linkSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import Libsql, { type Database } from 'libsql'
import { replaceFileBy } from '../../linux/replace-file.ts'
import {
  checkDatabase,
  closeDatabase,
  databasePath,
  lockDirectory,
  openDatabase,
  requireDatabase,
  storeError,
} from './data-directory.ts'
import { migrate, schemaVersion } from './sqlite-schema.ts'
import { StoreError } from './store.ts'

const RENEW_GENERATION = "UPDATE meta SET value = lower(hex(randomblob(16))) WHERE name = 'generation'"
const NAME_A_BACKUP = 'give a file that "truepeer controller backup" wrote'

/**
 * Writes all that a controller has stored into one new file, for its owner only, at one moment of it; the controller may
 * run meanwhile.
 *
 * @throws StoreError when the file is there already, or one of both cannot be used
 */
export function backUp(directory: string, file: string): void {
  if (existsSync(file)) throw new StoreError(`"${file}" exists already; give the name of a new file`)
  if (!existsSync(dirname(file))) {
    throw new StoreError(`the directory "${dirname(file)}" does not exist; create it, or give a file in another one`)
  }
  requireDatabase(directory)
  const database = openDatabase(directory, false)
  try {
    // SQLite takes an empty file as it is.
    replaceFileBy(file, (partial) => void database.prepare('VACUUM INTO ?').run(partial))
  } catch (error) {
    throw storeError(error, file)
  } finally {
    database.close()
  }
}

/**
 * Puts a backup in the place of what a directory holds; its controller must not run. Edges notice that this is another
 * configuration, whatever its version.
 *
 * @param overwrites whether there may be a database; it is kept beside as `controller.db.replaced`
 * @throws StoreError when the backup is damaged, and nothing was changed then
 */
export function restore(directory: string, file: string, overwrites: boolean): void {
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat === undefined) throw new StoreError(`"${file}" does not exist; ${NAME_A_BACKUP}`)
  // A device may never end, and a pipe never begin.
  if (!stat.isFile()) throw new StoreError(`"${file}" is not a file; ${NAME_A_BACKUP}`)
  const lock = lockDirectory(directory)
  const path = databasePath(directory)
  try {
    if (existsSync(path) && !overwrites) {
      throw new StoreError(`"${path}" exists already; give --overwrite to replace it, or another directory`)
    }
    replaceFileBy(path, (restoring) => {
      copyFileSync(file, restoring)
      // The copy has the mode of the backup, which may have come a long way.
      chmodSync(restoring, 0o600)
      prepare(restoring, file)
      if (existsSync(path)) setAside(directory, path)
    })
  } catch (error) {
    throw storeError(error, path)
  } finally {
    lock.release()
  }
}

/** Checks a copy of a backup and makes another generation of it. */
function prepare(path: string, source: string): void {
  const database = new Libsql(path)
  try {
    // Everything in this one file: it is about to be renamed.
    database.pragma('journal_mode = DELETE')
    checkDatabase(database, source, NAME_A_BACKUP)
    if (schemaVersion(database) === 0)
      throw new StoreError(`"${source}" is not a backup of a controller; ${NAME_A_BACKUP}`)
    migrate(database)
    database.exec(RENEW_GENERATION)
  } catch (error) {
    throw storeError(error, source, NAME_A_BACKUP)
  } finally {
    database.close()
  }
}

/** Keeps the database that is there under another name, with nothing left of it that SQLite would take for the new one's. */
function setAside(directory: string, path: string): void {
  const log = `${path}-wal`
  const replaced = `${path}.replaced`
  rmSync(replaced, { force: true })
  rmSync(`${replaced}-wal`, { force: true })
  let database: Database | undefined
  try {
    database = openDatabase(directory, true)
  } catch {
    // Damaged, which may be why it is replaced: its log is kept with it.
    if (existsSync(log)) linkSync(log, `${replaced}-wal`)
  }
  if (database !== undefined) closeDatabase(database)
  linkSync(path, replaced)
  rmSync(log, { force: true })
  rmSync(`${path}-shm`, { force: true })
}
