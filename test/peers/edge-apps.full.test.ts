// Real apps behind an edge that is configured by a file, and an agent: PostgreSQL and Redis.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import { AGENT } from '../rig/agent.ts'
import { testDirectory } from '../rig/directory.ts'
import { startConfiguredEdge } from '../rig/edge.ts'
import { eventually } from '../rig/eventually.ts'
import { interopHosts } from '../rig/interop-hosts.ts'
import { LOG_ALL, resources } from '../rig/resources.ts'
import { skipWithout } from '../rig/skip.ts'
import { startTruepeer } from '../rig/truepeer.ts'
import { POSTGRESQL_PORT, runPsql, SKIP_WITHOUT_POSTGRESQL, startPostgresql, stopPostgresql } from './postgresql.ts'

const REDIS_PORT = 6379
const RELOADS = 5
const FAMILIES = [IPV4, IPV6]

/** A load balancer of both families for an agent; each `turn` is another file with the same backend. */
function configuration(port: number, turn = 0): object[] {
  const service = 'app'
  const proxy = { proxyHeader: 'PROXY_V1' }
  const more = turn % 2 === 0 ? {} : { another: { listen: `${IPV4.edge}:${port + 1}`, service, proxy } }
  return resources({
    frontends: {
      ipv4: { listen: `${IPV4.edge}:${port}`, service, proxy },
      ipv6: { listen: `[${IPV6.edge}]:${port}`, service, proxy },
      ...more,
    },
    services: {
      app: {
        groups: { group: { endpoints: [AGENT] } },
        healthCheck: {},
        fields: { ...LOG_ALL, timeoutSec: 300 + turn },
      },
    },
  })
}

function startAgentFor(backend: Host, port: number): Promise<unknown> {
  const targets = ['-4', `${IPV4.app}:${port}`, '-6', `[${IPV6.app}]:${port}`]
  return startTruepeer(backend, 'agent', ['-l', AGENT, ...targets, '--allow-all-subnets'])
}

test('PostgreSQL behind edge and agent', { skip: SKIP_WITHOUT_POSTGRESQL }, async (t) => {
  const { client, edge, backend } = await interopHosts(t, { hasApp: false })
  const server = await startPostgresql(t, backend)
  try {
    await startAgentFor(backend, POSTGRESQL_PORT)
    const live = await startConfiguredEdge(t, edge, configuration(POSTGRESQL_PORT))
    const ask = (address: string, commands: string) => runPsql(client, address, POSTGRESQL_PORT, commands)

    for (const { family, edge: frontend, client: address } of FAMILIES) {
      await t.test(`sees the client's own ${family} address`, async () => {
        const { stdout, stderr } = await ask(frontend, 'select inet_client_addr()')
        assert.equal(stdout.trim(), address, stderr)
      })
    }

    await t.test('a large answer arrives as it was sent', async () => {
      const rows = 300_000
      const text = `select n, md5(n::text) from generate_series(1, ${rows}) as n;\n`
      const { stdout, stderr } = await ask(IPV4.edge, text)
      assert.equal(stderr, '')
      const md5 = (word: string): string => createHash('md5').update(word).digest('hex')
      const expected = Array.from({ length: rows }, (_, index) => `${index + 1}|${md5(`${index + 1}`)}\n`).join('')
      assert.ok(stdout === expected, `${stdout.length} of ${expected.length} characters`)
    })

    await t.test('sessions and their transactions go on while the edge is reloaded', async () => {
      const words = 'create temporary table kept (n int); begin; insert into kept values (1);'
      const session = `${words} select pg_sleep(2); insert into kept values (2); commit; select sum(n) from kept;\n`
      const sessions = Array.from({ length: 10 }, (_, index) => ask(FAMILIES[index % 2].edge, session))
      await sleep(500)
      for (let turn = 1; turn <= RELOADS; turn++) {
        assert.equal(await live.reload(configuration(POSTGRESQL_PORT, turn)), 'ok')
        await sleep(200)
      }
      for (const { stdout, stderr } of await Promise.all(sessions)) assert.equal(stdout.trim(), '3', stderr)
    })

    await t.test('the log has every session with its client and an orderly end', async () => {
      await eventually('all have ended', () => live.records().length === 13)
      const clients: string[] = FAMILIES.map(({ client: address }) => address)
      for (const { connection, end } of live.records()) {
        assert.ok(clients.includes(connection.clientIp), connection.clientIp)
        assert.equal(end, 'finished')
      }
    })
  } finally {
    await stopPostgresql(server)
  }
})

test('Redis behind edge and agent', { skip: skipWithout('redis-server', 'redis-cli') }, async (t) => {
  const { client, edge, backend } = await interopHosts(t, { hasApp: false })
  const server = backend.start('redis-server', [
    ...['--bind', IPV4.app, IPV6.app, '--port', `${REDIS_PORT}`, '--dir', testDirectory(t)],
    ...['--save', '', '--appendonly', 'no', '--protected-mode', 'no'],
  ])
  await server.waitForLine(/Ready to accept connections/)
  await startAgentFor(backend, REDIS_PORT)
  const live = await startConfiguredEdge(t, edge, configuration(REDIS_PORT))
  const cli = (address: string, words: readonly string[], input?: string) =>
    client.run('redis-cli', ['-h', address, '-p', `${REDIS_PORT}`, ...words], {
      ...(input === undefined ? {} : { input }),
      timeoutMs: 60_000,
    })

  for (const { family, edge: frontend, client: address } of FAMILIES) {
    await t.test(`sees the client's own ${family} address`, async () => {
      const { stdout } = await cli(frontend, ['client', 'list'])
      const own = stdout.split('\n').find((line) => line.includes('cmd=client|list'))
      const peer = / addr=(\S+):\d+ /.exec(own ?? '')?.[1]
      assert.equal(peer?.replace(/^\[|\]$/g, ''), address, stdout)
    })
  }

  await t.test('a pipeline of a hundred thousand commands is executed to the last', async () => {
    const commands = Array.from({ length: 100_000 }, (_, index) => `SET key:${index} ${'x'.repeat(100)}\r\n`).join('')
    const { stdout, stderr } = await cli(IPV4.edge, ['--pipe'], commands)
    assert.match(stdout, /errors: 0, replies: 100000/, stderr)
    assert.equal((await cli(IPV4.edge, ['dbsize'])).stdout.trim(), '100000')
  })

  await t.test('a value of 64 MB comes and goes unchanged', async () => {
    const value = Buffer.alloc(64 * 1024 * 1024, 'truepeer ').toString()
    assert.equal((await cli(IPV4.edge, ['-x', 'set', 'large'], value)).stdout.trim(), 'OK')
    const { stdout } = await cli(IPV6.edge, ['--raw', 'get', 'large'])
    assert.ok(stdout === `${value}\n`, `${stdout.length} characters`)
  })

  await t.test('subscribers hear every message while the edge is reloaded', async () => {
    const address = (index: number): string => FAMILIES[index % 2].edge
    const subscribers = [0, 1, 2, 3].map((index) =>
      client.start('stdbuf', ['-oL', 'redis-cli', '-h', address(index), '-p', `${REDIS_PORT}`, 'subscribe', 'news']),
    )
    for (const subscriber of subscribers) await subscriber.waitForLine(/^subscribe$/)
    for (let turn = 1; turn <= RELOADS; turn++) {
      assert.equal(await live.reload(configuration(REDIS_PORT, turn)), 'ok')
      const { stdout } = await cli(address(turn), ['publish', 'news', `message ${turn}`])
      assert.equal(stdout.trim(), `${subscribers.length}`, 'all are still there')
    }
    for (const subscriber of subscribers) await subscriber.waitForLine(new RegExp(`^message ${RELOADS}$`))
    for (const subscriber of subscribers) {
      const heard = subscriber.texts().filter((line) => /^message \d/.test(line))
      assert.deepEqual(
        heard,
        Array.from({ length: RELOADS }, (_, index) => `message ${index + 1}`),
      )
      subscriber.kill()
    }
  })
})
