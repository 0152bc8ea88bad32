import { randomBytes } from 'node:crypto'
import { closeDatabase, databasePath, openDatabase, requireDatabase } from './data-directory.ts'
import { addAudit, addToken, readTokens, removeToken, transact } from './sqlite-store.ts'
import type { JsonValue, StoredToken } from './store.ts'
import { type Identity, makeToken } from './token.ts'

/** As whoever comes by the UNIX socket: who can write the database may do everything. */
const USER = 'local'

/** Makes a token in the store of a directory, whose controller may run. @returns its text, which is kept nowhere */
export function createToken(directory: string, { user, role }: Identity): string {
  const time = new Date().toISOString()
  const { text, stored } = makeToken({ user, role }, time, randomBytes)
  change(directory, (database) => {
    addToken(database, stored)
    record(database, 'tokens.create', stored.id, { before: null, after: { user, role } })
  })
  return text
}

/** Takes a token away; a controller that runs does not let it in any more. @returns whether there was one */
export function revokeToken(directory: string, id: string): boolean {
  requireDatabase(directory)
  return change(directory, (database) => {
    const token = readTokens(database).find((stored) => stored.id === id)
    if (token === undefined) return false
    const { user, role } = token
    removeToken(database, id)
    record(database, 'tokens.revoke', id, { before: { user, role }, after: null })
    return true
  })
}

/** The tokens in the store of a directory, the oldest first. */
export function listTokens(directory: string): readonly StoredToken[] {
  requireDatabase(directory)
  return change(directory, readTokens)
}

type Database = ReturnType<typeof openDatabase>
type Values = { readonly before: JsonValue; readonly after: JsonValue }

function record(database: Database, action: string, id: string, values: Values): void {
  addAudit(database, { time: new Date().toISOString(), user: USER, action, target: `tokens/${id}`, ...values })
}

function change<Result>(directory: string, work: (database: Database) => Result): Result {
  const database = openDatabase(directory, false)
  try {
    return transact(database, databasePath(directory), () => work(database))
  } finally {
    closeDatabase(database)
  }
}
