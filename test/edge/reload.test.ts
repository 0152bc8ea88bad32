import assert from 'node:assert/strict'
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FRONTENDS_MAX } from '../../src/edge/balance/backend-table.ts'
import type { Host } from '../../src/lab/host.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { echoThrough } from '../rig/agent.ts'
import { testDirectory } from '../rig/directory.ts'
import { type Configuration, type LiveEdge, startConfiguredEdge, writeConfiguration } from '../rig/edge.ts'
import { eventually, pause } from '../rig/eventually.ts'
import { agentHosts, BACKEND } from '../rig/hosts.ts'
import { type Description, resources, type ServiceDescription } from '../rig/resources.ts'
import { startTruepeer, TRUEPEER } from '../rig/truepeer.ts'

const FRONTEND = '127.0.0.1:9000'
const OTHER_FRONTEND = '127.0.0.1:9100'
const [FIRST, SECOND, THIRD] = [9001, 9002, 9003].map((port) => `${BACKEND}:${port}`)
const RULE = { listen: FRONTEND, service: 'web' }

/** A service of these endpoints; those that leave it are not drained, unless it says how long. */
function serviceOf(endpoints: readonly string[], drainingTimeoutSec = 0, group = 'web-neg'): ServiceDescription {
  return {
    groups: { [group]: { endpoints } },
    healthCheck: {},
    fields: { connectionDraining: { drainingTimeoutSec } },
  }
}

/** The rule `web` with its service `web`. */
function web(endpoints: readonly string[], drainingTimeoutSec = 0): object[] {
  return resources({ frontends: { web: RULE }, services: { web: serviceOf(endpoints, drainingTimeoutSec) } })
}

/** An edge in front of both backends, on the host of its clients, with its first round of probes over. */
async function startEdge(
  t: TestContext,
  configuration: Configuration,
  args: readonly string[] = [],
): Promise<[edge: LiveEdge, client: Host, backend: Host]> {
  const { edge, backend } = await agentHosts(t)
  // Who connects is answered with the backend's name when it has said all.
  for (const endpoint of [FIRST, SECOND]) await backend.listen(endpoint, (socket) => nameAtEnd(socket, endpoint))
  const live = await startConfiguredEdge(t, edge, configuration, args)
  // With a busy machine the first round may not be over when the port opens.
  await live.program.waitForLine(/"health":"HEALTHY"/)
  return [live, edge, backend]
}

/** Reloads, and returns the lines of the log up to the one that says what became of it. */
async function reload({ program, write }: LiveEdge, configuration: Configuration): Promise<string[]> {
  write(configuration)
  const from = program.output.length
  program.signal('SIGHUP')
  await program.waitForLine(/"msg":"(configuration applied|The reload failed)/, { from })
  return program.texts(from)
}

function nameAtEnd(socket: Socket, name: string): void {
  socket.on('end', () => socket.end(name)).resume()
}

function ask(from: Host, to = FRONTEND): Promise<string> {
  return echoThrough(from, 'who are you?', to, '')
}

/** A connection through the edge that is established with a backend. */
async function hold(from: Host, to = FRONTEND): Promise<{ readonly end: () => Promise<string> }> {
  const socket = await from.connect({ to })
  const answer = readToEnd(socket).then(
    (bytes) => bytes.toString(),
    (error: NodeJS.ErrnoException) => String(error.code),
  )
  return {
    end: async () => {
      socket.end()
      return answer
    },
  }
}

async function openConnections(edge: LiveEdge): Promise<number> {
  return (JSON.parse(await edge.read('/connections')) as unknown[]).length
}

test('SIGHUP opens what is new, changes what stays, closes what is gone, and touches no connection', async (t) => {
  const [edge, host] = await startEdge(t, web([FIRST]))
  const established = await hold(host)
  await eventually('established', async () => (await openConnections(edge)) === 1)

  const renamed = { ...RULE, service: 'other' }
  const added = { listen: OTHER_FRONTEND, service: 'web' }
  const next: Description = {
    frontends: { renamed, added },
    services: { web: serviceOf([FIRST]), other: serviceOf([SECOND], 0, 'other-neg') },
  }
  const [applied] = (await reload(edge, resources(next))).filter((line) => line.includes('"configuration applied"'))
  const { opened, closed, changed, backendsAdded, backendsRemoved, version } = JSON.parse(applied)
  assert.deepEqual(
    { opened, closed, changed, backendsAdded, backendsRemoved, version },
    {
      opened: [`added ${OTHER_FRONTEND}`],
      closed: [],
      changed: [`renamed ${FRONTEND}`],
      backendsAdded: 1,
      backendsRemoved: 0,
      version: 2,
    },
  )
  assert.deepEqual([await ask(host), await ask(host, OTHER_FRONTEND)], [SECOND, FIRST])

  await reload(edge, resources({ frontends: { added }, services: { web: serviceOf([FIRST]) } }))
  await eventually('the port is closed', async () => (await ask(host)) === 'ECONNREFUSED')
  assert.equal(await established.end(), FIRST, 'as it began, though its frontend is gone')
  assert.equal(await edge.metric('truepeer_configuration_reloads_total{result="ok"}'), 2)
})

test('a file with problems keeps the old configuration as a whole, and every problem is a line', async (t) => {
  const [edge, host] = await startEdge(t, web([FIRST]))
  const twice = resources({
    frontends: { web: RULE, same: RULE, lost: { ...RULE, service: 'nowhere' } },
    services: { web: serviceOf([FIRST]) },
  })
  const lines = (await reload(edge, twice)).map((line) => JSON.parse(line))
  const problems = lines.filter(({ level }) => level === 'error').map(({ msg }) => msg)
  assert.equal(problems.pop(), 'The reload failed; the old configuration is still in use')
  assert.ok(problems.every((problem) => problem.startsWith(edge.file)))
  assert.ok(problems.some((problem) => /127\.0\.0\.1:9000.*forwardingRules\/(lost|same|web)/.test(problem)))
  assert.ok(problems.some((problem) => /nowhere/.test(problem)))
  assert.equal(await ask(host), FIRST)

  for (const broken of ['', '{', '[]\n---\n- kind: compute#nothing']) {
    if (broken !== '') await reload(edge, broken)
    assert.equal(await ask(host), FIRST)
  }
  assert.ok((await edge.metric('truepeer_configuration_reloads_total{result="failed"}')) >= 3)
  const { problems: shown } = JSON.parse(await edge.read('/status')).configuration
  assert.ok(shown.length > 0)
  await reload(edge, web([SECOND]))
  assert.equal(await ask(host), SECOND, 'mended')
})

test('a port that cannot be opened keeps the old configuration: nothing of the new one is open', async (t) => {
  const [edge, host] = await startEdge(t, web([FIRST]))
  await host.listen('127.0.0.1:9200', (socket) => socket.destroy())
  const taken = { listen: '127.0.0.1:9200', service: 'web' }
  const free = { listen: OTHER_FRONTEND, service: 'web' }
  const lines = await reload(edge, resources({ frontends: { free, taken }, services: { web: serviceOf([SECOND]) } }))
  assert.match(
    lines.join('\n'),
    /Forwarding rule \\"taken\\": Listening on \\"127\.0\.0\.1:9200\\": EADDRINUSE; another program listens there/,
  )
  assert.deepEqual([await ask(host), await ask(host, OTHER_FRONTEND)], [FIRST, 'ECONNREFUSED'])
})

test('a reload that fails after its probes leaves nothing behind: no probe, and no place in the tables', async (t) => {
  const [edge, host, backend] = await startEdge(t, web([FIRST]))
  await host.listen('127.0.0.1:9200', (socket) => socket.destroy())
  let asked = 0
  await backend.listen(THIRD, (socket) => {
    asked += 1
    nameAtEnd(socket, THIRD)
  })
  const probes = async (): Promise<number> =>
    (await edge.backend(`web/us-central1-b/web-neg/${FIRST}`)).probes?.total ?? 0
  // Two of these together are more than there is place for.
  for (const firstPort of [20_000, 30_000]) {
    const frontends = Object.fromEntries(
      Array.from({ length: FRONTENDS_MAX * 0.6 }, (_, index) => [
        `rule-${index}`,
        { listen: `127.0.0.1:${firstPort + index}`, service: 'web' },
      ]),
    )
    const taken = { listen: '127.0.0.1:9200', service: 'web' }
    const services = { web: serviceOf([FIRST, THIRD]) }
    const lines = await reload(edge, resources({ frontends: { taken, ...frontends }, services }))
    assert.match(lines.join('\n'), /Listening on .*127\.0\.0\.1:9200.*EADDRINUSE/)
    assert.ok(asked > 0, 'it was probed')
    const [askedBefore, probesBefore] = [asked, await probes()]
    await eventually('the other is probed twice', async () => (await probes()) >= probesBefore + 2)
    assert.equal(asked, askedBefore, 'it is not probed any more')
  }
  assert.equal(await ask(host), FIRST)
})

test('a backend that leaves is drained: its connections go on for the time, and are then ended', async (t) => {
  const [edge, host] = await startEdge(t, web([FIRST, SECOND], 2))
  const held = [await hold(host), await hold(host)]
  await eventually('established', async () => (await openConnections(edge)) === 2)
  const startedMs = performance.now()
  await reload(edge, web([SECOND], 2))
  for (let turn = 0; turn < 4; turn++) assert.equal(await ask(host), SECOND)
  const { leaving } = JSON.parse(await edge.read('/status'))
  assert.deepEqual(
    leaving.map(({ key, open }: { readonly key: string; readonly open: number }) => [key, open]),
    [[`web/us-central1-b/web-neg/${FIRST}`, 1]],
  )
  await eventually('the connection to the backend that left is ended', async () => (await openConnections(edge)) === 1)
  const tookMs = performance.now() - startedMs
  assert.ok(tookMs >= 1_900 && tookMs < 20_000, `${tookMs} ms`)
  assert.deepEqual((await Promise.all(held.map((one) => one.end()))).sort(), [SECOND, 'ECONNRESET'].sort())
  assert.equal(await edge.metric('truepeer_connections_ended_total{reason="drained"}'), 1)
})

test('whose header is not complete is led to where its port leads now; where it is closed, to where it led when the client came', async (t) => {
  const [edge, host] = await startEdge(t, web([FIRST], 60), ['--accept-proxy', '127.0.0.0/8'])
  const [line, rest] = ['PROXY TCP4 192.0.2.7 127.0.0.1 1007 9000\r\nwho', ' are you?']
  const begin = async (): Promise<() => Promise<string>> => {
    const socket = await host.connect({ to: FRONTEND })
    const answer = readToEnd(socket)
    socket.write(line.slice(0, 20))
    return async () => {
      socket.end(line.slice(20) + rest)
      return (await answer).toString()
    }
  }
  const [early, late] = [await begin(), await begin()]
  await eventually('both are waited for', async () => (await openConnections(edge)) === 2)
  const other = resources({
    frontends: { web: { listen: FRONTEND, service: 'other' } },
    services: { other: serviceOf([SECOND], 60) },
  })
  await reload(edge, other)
  assert.equal(await early(), SECOND)
  await reload(edge, resources({ frontends: {}, services: {} }))
  assert.equal(await late(), FIRST)
  assert.deepEqual((await edge.status()).frontends, [])
})

test('a backend that comes back while it is drained keeps its connections', async (t) => {
  const [edge, host] = await startEdge(t, web([FIRST, SECOND], 1))
  const held = [await hold(host), await hold(host)]
  await eventually('established', async () => (await openConnections(edge)) === 2)
  await reload(edge, web([SECOND], 1))
  await reload(edge, web([FIRST, SECOND], 1))
  await pause(1_200, 'the draining time of a second is over')
  assert.deepEqual((await Promise.all(held.map((one) => one.end()))).sort(), [FIRST, SECOND])
  const asked = [await ask(host), await ask(host)]
  assert.deepEqual(asked.sort(), [FIRST, SECOND])
})

test('a draining time of 0 ends the connections of a backend that leaves at once', async (t) => {
  const [edge, host] = await startEdge(t, web([FIRST, SECOND]))
  const held = [await hold(host), await hold(host)]
  await eventually('established', async () => (await openConnections(edge)) === 2)
  await reload(edge, web([SECOND]))
  await eventually('ended', async () => (await openConnections(edge)) === 1)
  assert.deepEqual((await Promise.all(held.map((one) => one.end()))).sort(), [SECOND, 'ECONNRESET'].sort())
})

test('reloads under load lose no connection, whether the file is right or broken', async (t) => {
  const [edge, host] = await startEdge(t, web([FIRST]), ['--workers', '2'])
  const counts: Record<string, number> = {}
  const counted = (): number => Object.values(counts).reduce((sum, count) => sum + count, 0)
  let isOver = false
  const clients = Array.from({ length: 4 }, async () => {
    while (!isOver) {
      const answer = await ask(host)
      counts[answer] = (counts[answer] ?? 0) + 1
    }
  })
  const configurations = [
    web([SECOND], 60),
    '{ broken',
    resources({
      frontends: { renamed: { ...RULE, service: 'other' } },
      services: { other: serviceOf([FIRST, SECOND], 0, 'other-neg') },
    }),
    resources({
      frontends: { web: RULE, two: { ...RULE, listen: OTHER_FRONTEND } },
      services: { web: serviceOf([FIRST], 60) },
    }),
  ]
  for (const text of configurations) {
    await reload(edge, text)
    const before = counted()
    await eventually('clients come', () => counted() >= before + 25)
  }
  isOver = true
  await Promise.all(clients)
  assert.deepEqual(Object.keys(counts).sort(), [FIRST, SECOND], JSON.stringify(counts))
})

test('with --watch a file is applied that was renamed into place, or is behind a link that was switched', async (t) => {
  const { edge, backend } = await agentHosts(t)
  for (const endpoint of [FIRST, SECOND]) await backend.listen(endpoint, (socket) => nameAtEnd(socket, endpoint))
  // As Kubernetes lays out a ConfigMap: lb.yaml -> ..data/lb.yaml, ..data -> a folder for each version.
  const root = testDirectory(t)
  const version = (name: string, configuration: Configuration): void => {
    mkdirSync(join(root, name), { recursive: true })
    writeConfiguration(join(root, name, 'lb.yaml'), configuration)
    symlinkSync(name, join(root, '..new'))
    renameSync(join(root, '..new'), join(root, '..data'))
  }
  version('one', web([FIRST]))
  symlinkSync('..data/lb.yaml', join(root, 'lb.yaml'))
  const path = join(root, 'lb.yaml')
  const { program } = await startTruepeer(edge, 'edge', ['--config', path, '--watch'])
  // With a busy machine the first round may not be over when the port opens.
  await program.waitForLine(/"health":"HEALTHY"/)
  assert.equal(await ask(edge), FIRST)

  let from = program.output.length
  version('two', web([SECOND]))
  await program.waitForLine(/configuration applied/, { from })
  assert.equal(await ask(edge), SECOND)

  from = program.output.length
  writeConfiguration(join(root, 'lb.tmp'), web([FIRST]))
  renameSync(join(root, 'lb.tmp'), path)
  await program.waitForLine(/configuration applied/, { from })
  assert.equal(await ask(edge), FIRST)

  from = program.output.length
  writeFileSync(path, '{')
  await program.waitForLine(/The reload failed; the old configuration is still in use/, { from })
  assert.equal(await ask(edge), FIRST)
})

test('--check says what a file holds, or every problem, and opens nothing', async (t) => {
  const { edge } = await agentHosts(t)
  const path = join(testDirectory(t), 'edge.yaml')
  writeConfiguration(
    path,
    resources({
      frontends: { web: RULE, two: { ...RULE, listen: OTHER_FRONTEND } },
      services: { web: serviceOf([FIRST]) },
    }),
  )
  const right = await edge.run(TRUEPEER, ['edge', '--config', path, '--check'])
  assert.deepEqual([right.exitCode, right.stdout, right.stderr], [0, `${path}: 2 frontends, 1 backend: ok\n`, ''])

  const service = { ...serviceOf([FIRST]), fields: { timeoutSec: 0 } }
  writeConfiguration(path, resources({ frontends: { web: RULE, two: RULE }, services: { web: service } }))
  for (const flags of [['--check'], []]) {
    const wrong = await edge.run(TRUEPEER, ['edge', '--config', path, '--config', `${path}.no`, ...flags])
    assert.deepEqual([wrong.exitCode, wrong.stdout], [2, ''])
    const problems = wrong.stderr.trimEnd().split('\n')
    assert.ok(
      problems.every((problem) => problem.startsWith(path)),
      wrong.stderr,
    )
    for (const part of [
      /timeoutSec: 0 is not/,
      /\.no: .*ENOENT/,
      /127\.0\.0\.1:9000 is also the address and port of/,
    ]) {
      assert.match(wrong.stderr, part)
    }
  }
})
