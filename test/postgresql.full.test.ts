// A real app that decides by the client's address: PostgreSQL, whose pg_hba.conf admits one address of each family.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { IPV4, IPV6 } from '../src/lab/demo-hosts.ts'
import type { Host } from '../src/lab/host.ts'
import type { Program } from '../src/lab/program.ts'
import { type RunResult, runChecked } from '../src/linux/run.ts'
import { AGENT, startTruepeer } from './agent-host.ts'
import { interopHosts } from './interop-hosts.ts'
import { temporaryDirectory } from './interop-programs.ts'

/** Where Debian keeps every installed version, by its number. */
const VERSIONS = '/usr/lib/postgresql'
const USER = 'postgres'
const PASSWORD = 'what only the client knows'
const PORT = 5432
/** On this port of the edge there is no agent behind it. */
const PORT_WITHOUT_AGENT = 5433
const PORT6_WITHOUT_AGENT = 5434
/** Addresses of the client's networks that pg_hba.conf does not name. */
const STRANGER = '209.52.88.5'
const STRANGER6 = '2001:db8:209::5'

const programs = newestPrograms()
const skip = whyNot()

function newestPrograms(): string | undefined {
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS) : []
  const folders = versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(VERSIONS, version, 'bin'))
  return folders.find((folder) => ['initdb', 'postgres', 'psql'].every((name) => existsSync(join(folder, name))))
}

function whyNot(): string | false {
  if (programs === undefined) return 'PostgreSQL is not installed: the Debian package is "postgresql"'
  const isRoot = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/).join(' ') === '0 0 4294967295'
  return !isRoot && `needs real root, to run PostgreSQL as the user "${USER}"`
}

function program(name: string): string {
  return join(programs ?? '', name)
}

/** Starts PostgreSQL where the agent's targets are, and on the backend's own addresses for edges without an agent. */
async function startPostgresql(t: TestContext, backend: Host): Promise<Program> {
  const directory = await temporaryDirectory(t)
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
    port: PORT,
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

/** Asks the server behind the edge's `host` and `port` for the address it sees. */
async function askForAddress(client: Host, host: string, port: number): Promise<RunResult> {
  const where = `host=${host} port=${port} user=${USER} password='${PASSWORD}' dbname=postgres connect_timeout=5`
  return await client.run(program('psql'), [
    ...['--no-psqlrc', '--tuples-only', '--no-align', '--dbname', where],
    ...['--command', 'select inet_client_addr()'],
  ])
}

function assertRefused(result: RunResult, address: string): void {
  assert.notEqual(result.exitCode, 0, result.stdout)
  assert.match(result.stderr, new RegExp(`pg_hba\\.conf rejects connection for host "${address}"`))
}

test('PostgreSQL behind the agent admits the client by its own address, and nobody else', { skip }, async (t) => {
  const { client, edge, backend } = await interopHosts(t, { hasApp: false })
  const server = await startPostgresql(t, backend)
  try {
    const targets = ['-4', `${IPV4.app}:${PORT}`, '-6', `[${IPV6.app}]:${PORT}`]
    await startTruepeer(backend, 'agent', ['-l', AGENT, ...targets, '--allow-all-subnets'])
    for (const [port, to, header] of [
      [PORT, AGENT, 'PROXY_V1'],
      [PORT_WITHOUT_AGENT, `${IPV4.backend}:${PORT}`, 'NONE'],
      [PORT6_WITHOUT_AGENT, `[${IPV6.backend}]:${PORT}`, 'NONE'],
    ] as const) {
      await startTruepeer(edge, 'edge', ['--listen', `[::]:${port}`, '--backend', to, '--proxy-header', header])
    }

    for (const { family, edge: frontend, client: address } of [IPV4, IPV6]) {
      await t.test(`inet_client_addr() is the client's own ${family} address`, async () => {
        const { stdout, stderr } = await askForAddress(client, frontend, PORT)
        assert.equal(stdout.trim(), address, stderr)
      })
    }

    for (const { family, edge: frontend, port, edgeSource } of [
      { ...IPV4, port: PORT_WITHOUT_AGENT },
      { ...IPV6, port: PORT6_WITHOUT_AGENT },
    ]) {
      await t.test(`without the agent the same ${family} client is refused: PostgreSQL sees the edge`, async () => {
        assertRefused(await askForAddress(client, frontend, port), edgeSource)
      })
    }

    await client.ip(`address add ${STRANGER}/24 dev eth0`)
    await client.ip(`-6 address add ${STRANGER6}/64 dev eth0 nodad`)
    await client.ip(`route replace 203.0.113.0/24 dev eth0 src ${STRANGER}`)
    await client.ip(`-6 route replace 2001:db8:203::/64 dev eth0 src ${STRANGER6}`)
    for (const { family, edge: frontend, address } of [
      { ...IPV4, address: STRANGER },
      { ...IPV6, address: STRANGER6 },
    ]) {
      await t.test(`another ${family} client is refused, and PostgreSQL names it`, async () => {
        assertRefused(await askForAddress(client, frontend, PORT), address)
      })
    }
  } finally {
    // Its fast shutdown removes what it has outside of its data directory: a segment of shared memory.
    server.signal('SIGINT')
    await server.exited
  }
})
