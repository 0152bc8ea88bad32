import { existsSync, readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import type { Program } from '../../src/lab/program.ts'
import { type RunResult, runChecked } from '../../src/linux/run.ts'
import { testDirectory } from '../rig/directory.ts'
import { NEEDS_ROOT } from '../rig/skip.ts'

/** Where Debian keeps every installed version, by its number. */
const VERSIONS = '/usr/lib/postgresql'
const USER = 'postgres'
const PASSWORD = 'what only the client knows'
/** Where it listens, on every address. */
export const POSTGRESQL_PORT = 5432

const programs = newestPrograms()
/** The reason to skip a test that needs PostgreSQL; otherwise false. */
export const SKIP_WITHOUT_POSTGRESQL = whyNot()

function newestPrograms(): string | undefined {
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS) : []
  const folders = versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(VERSIONS, version, 'bin'))
  return folders.find((folder) => ['initdb', 'postgres', 'psql'].every((name) => existsSync(join(folder, name))))
}

function whyNot(): string | false {
  if (programs === undefined) return 'PostgreSQL is not installed: the Debian package is "postgresql"'
  return NEEDS_ROOT.skip !== false && `needs real root, to run PostgreSQL as the user "${USER}"`
}

function program(name: string): string {
  return join(programs ?? '', name)
}

/**
 * Starts PostgreSQL where the agent's targets are, and on the backend's own addresses for edges without an agent. It
 * admits the client's own addresses, and nobody else; {@link stopPostgresql} ends it.
 */
export async function startPostgresql(t: TestContext, backend: Host): Promise<Program> {
  const directory = testDirectory(t)
  await writeFile(join(directory, 'password'), PASSWORD)
  await runChecked('chown', ['-R', `${USER}:${USER}`, directory])
  // PostgreSQL refuses to run as root.
  const asUser = [`--reuid=${USER}`, `--regid=${USER}`, '--clear-groups']
  const data = join(directory, 'data')
  await runChecked(
    'setpriv',
    [
      ...asUser,
      program('initdb'),
      ...['--pgdata', data, '--username', USER, '--pwfile', join(directory, 'password'), '--auth', 'scram-sha-256'],
      ...['--no-locale', '--encoding', 'UTF8', '--no-sync'],
    ],
    { workingDirectory: directory, timeoutMs: 30_000 },
  )
  await writeFile(
    join(data, 'pg_hba.conf'),
    `host all all ${IPV4.client}/32 scram-sha-256
host all all ${IPV6.client}/128 scram-sha-256
host all all all reject
`,
  )
  const settings = {
    listen_addresses: [IPV4.app, IPV6.app, IPV4.backend, IPV6.backend].join(),
    port: POSTGRESQL_PORT,
    unix_socket_directories: '',
    // Nothing outside of the data directory, and nothing that outlives a crash of this machine.
    dynamic_shared_memory_type: 'mmap',
    fsync: 'off',
  }
  const words = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const server = backend.start('setpriv', [...asUser, program('postgres'), '-D', data, ...words], {
    workingDirectory: directory,
  })
  await server.waitForLine(/database system is ready to accept connections/, { timeoutMs: 20_000 })
  return server
}

/** Ends the server by its fast shutdown, which removes what it has outside of its data directory: shared memory. */
export async function stopPostgresql(server: Program): Promise<void> {
  server.signal('SIGINT')
  await server.exited
}

/** Runs psql(1) on a host against the server behind `address` and `port`, until it has run `commands`. */
export async function runPsql(from: Host, address: string, port: number, commands: string): Promise<RunResult> {
  const where = `host=${address} port=${port} user=${USER} password='${PASSWORD}' dbname=postgres connect_timeout=5`
  const options = ['--no-psqlrc', '--tuples-only', '--no-align', '--quiet', '--dbname', where]
  return await from.run(program('psql'), options, { input: commands, timeoutMs: 60_000 })
}
