import type { Database } from 'libsql'

/**
 * How the schema came to be: element N leads from version N to version N + 1 (`user_version`). Never change one that was
 * released; append.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE resources (
    project TEXT NOT NULL, collection TEXT NOT NULL, scope TEXT NOT NULL, name TEXT NOT NULL,
    id TEXT NOT NULL, revision INTEGER NOT NULL, created TEXT NOT NULL, resource TEXT NOT NULL, secret TEXT,
    PRIMARY KEY (project, collection, scope, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE operations (
    sequence INTEGER PRIMARY KEY,
    project TEXT NOT NULL, scope TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL,
    is_done INTEGER NOT NULL, inserted TEXT NOT NULL, resource TEXT NOT NULL,
    UNIQUE (project, name)
  ) STRICT;
  CREATE INDEX operations_by_id ON operations (project, id);
  CREATE INDEX operations_unfinished ON operations (sequence) WHERE is_done = 0;
  CREATE INDEX operations_by_time ON operations (inserted) WHERE is_done = 1;
  CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    time TEXT NOT NULL, user TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL,
    before TEXT NOT NULL, after TEXT NOT NULL
  ) STRICT;
  CREATE INDEX audit_by_time ON audit (time);
  CREATE TABLE tokens (
    id TEXT PRIMARY KEY, hash TEXT NOT NULL, user TEXT NOT NULL, role TEXT NOT NULL, created TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE revision (number INTEGER NOT NULL) STRICT;
  INSERT INTO revision VALUES (0);
  INSERT INTO meta VALUES ('generation', lower(hex(randomblob(16))));
  `,
  `
  CREATE INDEX operations_by_place ON operations (project, scope, name);
  CREATE INDEX operations_latest ON operations (project, scope, inserted DESC, name);
  ALTER TABLE operations ADD COLUMN request TEXT;
  CREATE UNIQUE INDEX operations_by_request ON operations (request) WHERE request IS NOT NULL;
  `,
]
const TABLES = ['resources', 'operations', 'audit', 'tokens', 'meta', 'revision']
/** In one statement, so that another process that makes the tables meanwhile is seen before or after. */
const LOOK = `SELECT user_version AS version, (SELECT count(*) FROM sqlite_master) AS objects,
  (SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('${TABLES.join("', '")}')) AS tables
  FROM pragma_user_version`

/** The version of the schema that this program works with. */
export const SCHEMA_VERSION = MIGRATIONS.length

/** The version of a database's schema; 0: it is empty. */
export function schemaVersion(database: Database): number {
  return (database.pragma('user_version', { simple: true }) as { readonly user_version: number }).user_version
}

type Look = { readonly version: number; readonly objects: number; readonly tables: number }

/** Says whether a database is of another program: it is not empty, and has not what ours have. */
export function isForeign(database: Database): boolean {
  const { version, objects, tables } = database.prepare(LOOK).get() as Look
  return version === 0 ? objects > 0 : tables < TABLES.length
}

/** Brings the schema of a database to {@link SCHEMA_VERSION}: all of the way, or none. */
export function migrate(database: Database, migrations: readonly string[] = MIGRATIONS): void {
  if (schemaVersion(database) === migrations.length) return
  database.exec('BEGIN IMMEDIATE')
  try {
    // Another process may have done it in between.
    const from = schemaVersion(database)
    for (const migration of migrations.slice(from)) database.exec(migration)
    database.exec(`PRAGMA user_version = ${migrations.length}`)
    database.exec('COMMIT')
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK')
    throw error
  }
}
