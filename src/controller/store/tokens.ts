import { randomBytes } from 'node:crypto'
import { closeDatabase, databasePath, openDatabase, requireDatabase } from './data-directory.ts'
import { addToken, readTokens, removeToken, transact } from './sqlite-store.ts'
import type { StoredToken } from './store.ts'
import { type Identity, makeToken } from './token.ts'

/** Makes a token in the store of a directory, whose controller may run. @returns its text, which is kept nowhere */
export function createToken(directory: string, identity: Identity): string {
  const { text, stored } = makeToken(identity, new Date().toISOString(), randomBytes)
  change(directory, (database) => addToken(database, stored))
  return text
}

/** Takes a token away; a controller that runs does not let it in any more. @returns whether there was one */
export function revokeToken(directory: string, id: string): boolean {
  requireDatabase(directory)
  return change(directory, (database) => removeToken(database, id))
}

/** The tokens in the store of a directory, the oldest first. */
export function listTokens(directory: string): readonly StoredToken[] {
  requireDatabase(directory)
  return change(directory, readTokens)
}

type Database = ReturnType<typeof openDatabase>

function change<Result>(directory: string, work: (database: Database) => Result): Result {
  const database = openDatabase(directory, false)
  try {
    return transact(database, databasePath(directory), () => work(database))
  } finally {
    closeDatabase(database)
  }
}
