// A real app that decides by the client's address: PostgreSQL, whose pg_hba.conf admits one address of each family.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import type { RunResult } from '../../src/linux/run.ts'
import { AGENT } from '../rig/agent.ts'
import { interopHosts } from '../rig/interop-hosts.ts'
import { startTruepeer } from '../rig/truepeer.ts'
import {
  POSTGRESQL_PORT as PORT,
  runPsql,
  SKIP_WITHOUT_POSTGRESQL,
  startPostgresql,
  stopPostgresql,
} from './postgresql.ts'

/** On this port of the edge there is no agent behind it. */
const PORT_WITHOUT_AGENT = 5433
const PORT6_WITHOUT_AGENT = 5434
/** Addresses of the client's networks that pg_hba.conf does not name. */
const STRANGER = '209.52.88.5'
const STRANGER6 = '2001:db8:209::5'

/** Asks the server behind the edge's `host` and `port` for the address it sees. */
function askForAddress(client: Host, host: string, port: number): Promise<RunResult> {
  return runPsql(client, host, port, 'select inet_client_addr()')
}

function assertRefused(result: RunResult, address: string): void {
  assert.notEqual(result.exitCode, 0, result.stdout)
  assert.match(result.stderr, new RegExp(`pg_hba\\.conf rejects connection for host "${address}"`))
}

test('PostgreSQL behind the agent admits the client by its own address, and nobody else', {
  skip: SKIP_WITHOUT_POSTGRESQL,
}, async (t) => {
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
    await stopPostgresql(server)
  }
})
