import { closeSync, existsSync, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Libsql, { type Database } from 'libsql'
import { makeDirectory } from '../../linux/make-directory.ts'
import { asError, messageOf } from '../../text/error-message.ts'
import { isForeign, migrate, SCHEMA_VERSION, schemaVersion } from './sqlite-schema.ts'
import { StoreError, StoreFullError } from './store.ts'

const DATABASE = 'controller.db'
const LOCK = 'controller.lock'
/** How long a command that writes at the same moment may hold us up. */
const BUSY_TIMEOUT_MS = 5_000
/** S_IRGRP and S_IROTH (inode(7)). */
const READABLE_BY_OTHERS = 0o044
const RESTORE = 'restore a backup with "truepeer controller restore"'
/** For {@link requireDatabase}: what to do where a store may be begun. */
export const CREATE_REMEDY = 'give the --data of the controller, or --create to begin a new one'

/** The file that holds everything. */
export function databasePath(directory: string): string {
  return join(directory, DATABASE)
}

/** Held for as long as a process is the controller of a directory; the kernel lets go of it when the process ends. */
export type DirectoryLock = { release(): void }

/**
 * Makes the directory where it is missing, for its owner only, and takes its lock.
 *
 * The lock is one of fcntl(2) on a file of its own, by way of SQLite, because node has none; so the database itself stays
 * readable for a backup.
 *
 * @throws StoreError when another process has it, or the directory cannot be written
 */
export function lockDirectory(directory: string): DirectoryLock {
  const path = join(directory, LOCK)
  try {
    makeDirectory(directory, 0o700)
    createPrivately(path)
  } catch (error) {
    throw new StoreError(`--data "${directory}" cannot be used: ${messageOf(error)}; give a directory of this user`)
  }
  let lock: Database | undefined
  try {
    lock = new Libsql(path, { timeout: 0 })
    // Without a journal on disk beside it.
    lock.pragma('journal_mode = MEMORY')
    lock.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    lock?.close()
    if (!isBusy(error)) throw storeError(error, path)
    throw new StoreError(
      `--data "${directory}" is in use by another controller; stop it, or give each a directory of its own`,
    )
  }
  const held = lock
  return {
    release() {
      // Closing alone lets go of the lock only when the garbage collector comes to it.
      held.exec('ROLLBACK')
      held.close()
    },
  }
}

/**
 * Opens the database of a directory. Whoever has the directory's lock brings its schema up to date; anybody else only
 * takes one that is, or makes the database where there is none.
 *
 * @throws StoreError when it is damaged, or of another version of this program
 */
export function openDatabase(directory: string, hasLock: boolean): Database {
  const path = databasePath(directory)
  let database: Database | undefined
  try {
    makeDirectory(directory, 0o700)
    createPrivately(path)
    checkMode(path)
    // Files that SQLite makes beside it get the mode of this one.
    database = new Libsql(path, { timeout: BUSY_TIMEOUT_MS })
    // Before anything is written into it.
    checkDatabase(database, path)
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = FULL')
    const version = schemaVersion(database)
    if (!hasLock && version !== 0 && version !== SCHEMA_VERSION) {
      throw new StoreError(`"${path}" was written by an older truepeer; start the controller of this version first`)
    }
    migrate(database)
    return database
  } catch (error) {
    database?.close()
    throw storeError(error, path)
  }
}

/** Leaves everything in the file itself, and closes it. */
export function closeDatabase(database: Database): void {
  try {
    database.pragma('wal_checkpoint(TRUNCATE)')
  } catch {
    // The disk may be full; what is in the log is as durable as what is in the file.
  }
  database.close()
}

/**
 * For whoever is not told to begin a new store: a wrong directory, or one whose disk is not mounted, looks like that.
 *
 * @throws StoreError when there is none, or it cannot be looked at
 */
export function requireDatabase(directory: string, remedy = 'give the --data of the controller'): void {
  const path = databasePath(directory)
  let stat: ReturnType<typeof statSync> | undefined
  try {
    stat = statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw storeError(error, path)
  }
  // An empty one is what is left when a process ends between making the file and its first table.
  if (stat !== undefined && !(stat.isFile() && stat.size === 0)) return
  throw new StoreError(`"${path}" does not exist; ${remedy}`)
}

/** It holds private keys. @throws StoreError */
function checkMode(path: string): void {
  const stat = statSync(path)
  if (!stat.isFile()) throw new StoreError(`"${path}" is not a file; remove it, or give another --data`)
  if ((stat.mode & READABLE_BY_OTHERS) === 0) return
  throw new StoreError(`"${path}" contains private keys, and other users can read it; run "chmod 600 ${path}"`)
}

/**
 * Refuses a database that is damaged, or that this program does not know.
 *
 * @param remedy what to do about one that is damaged
 * @throws StoreError
 */
export function checkDatabase(database: Database, path: string, remedy = RESTORE): void {
  const version = schemaVersion(database)
  if (version > SCHEMA_VERSION) {
    const versions = `its version is ${version}, and this program supports versions up to ${SCHEMA_VERSION}`
    throw new StoreError(
      `"${path}" was written by a newer truepeer: ${versions}; run the newer one, or restore an older backup`,
    )
  }
  const { quick_check: found } = database.pragma('quick_check(1)', { simple: true }) as { readonly quick_check: string }
  if (found !== 'ok') throw damaged(path, found, remedy)
  if (isForeign(database))
    throw new StoreError(`"${path}" belongs to another program; give the directory of a controller`)
}

/** An error of SQLite or of the file system. */
type Failure = Error & { readonly code?: string }

/** What an error of SQLite means for the operator. Errors of our own stay as they are. */
export function storeError(error: unknown, path: string, remedy = RESTORE): Error {
  if (error instanceof StoreError) return error
  const { code = '', message } = error as Failure
  if (code === 'SQLITE_FULL' || code === 'ENOSPC' || code === 'EDQUOT') {
    return new StoreFullError(`The disk of "${path}" is full and nothing was changed; free some space and try again`)
  }
  if (code === 'SQLITE_CORRUPT' || code === 'SQLITE_NOTADB') return damaged(path, message, remedy)
  // libsql has no code for a file that cannot be opened.
  if (code.startsWith('SQLITE_') || 'errno' in (error as object) || message.startsWith('ConnectionFailed')) {
    return new StoreError(`"${path}" cannot be used: ${message}; check the disk and the permissions of the file`)
  }
  return asError(error)
}

function damaged(path: string, finding: string, remedy: string): StoreError {
  return new StoreError(`"${path}" is damaged (${finding}); ${remedy}`)
}

function isBusy(error: unknown): boolean {
  return (error as Failure).code?.startsWith('SQLITE_BUSY') === true
}

/** Leaves a file that is there unopened: to close it would let go of the locks that this process has on it (fcntl(2)). */
function createPrivately(path: string): void {
  if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600))
}
