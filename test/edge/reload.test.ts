import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Host } from '../../src/lab/host.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import {
  agentHosts,
  BACKEND,
  echoThrough,
  eventually,
  type Running,
  startTruepeer,
  TRUEPEER,
} from '../rig/agent-host.ts'
import { edgeConfig, type TestRule, type TestService } from '../rig/edge-config.ts'

const FRONTEND = '127.0.0.1:9000'
const OTHER_FRONTEND = '127.0.0.1:9100'
const [FIRST, SECOND] = [9001, 9002].map((port) => `${BACKEND}:${port}`)
const RULE: TestRule = { name: 'web', listen: FRONTEND, service: 'web' }
const WEB: TestService = { name: 'web', backends: [FIRST] }

type Edge = Running & {
  readonly path: string
  write(text: string): void
  /** Writes and sends SIGHUP; resolves with the lines of the log up to the one that says what became of it. */
  reload(text: string): Promise<string[]>
}

async function startEdge(t: TestContext, text: string, flags: readonly string[] = []): Promise<[Edge, Host, Host]> {
  const { edge, backend } = await agentHosts(t)
  const path = join(tmpdir(), `edge-${randomUUID()}.yaml`)
  const write = (content: string): void => writeFileSync(path, content)
  write(text)
  // Who connects is answered with the backend's name when it has said all.
  for (const endpoint of [FIRST, SECOND]) await backend.listen(endpoint, (socket) => nameAtEnd(socket, endpoint))
  const running = await startTruepeer(edge, 'edge', ['--config', path, ...flags])
  // With a busy machine the first round may not be over when the port opens.
  await running.program.waitForLine(/"health":"HEALTHY"/)
  const reload = async (content: string): Promise<string[]> => {
    write(content)
    const from = running.program.output.length
    running.program.signal('SIGHUP')
    await running.program.waitForLine(/"msg":"(configuration applied|Reload failed)/, { from })
    return running.program.texts(from)
  }
  return [{ ...running, path, write, reload }, edge, backend]
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

async function openConnections(edge: Edge): Promise<number> {
  return (JSON.parse(await edge.read('/connections')) as unknown[]).length
}

test('SIGHUP opens what is new, changes what stays, closes what is gone, and touches no connection', async (t) => {
  const [edge, host] = await startEdge(t, edgeConfig([RULE], [WEB]))
  const established = await hold(host)
  await eventually('established', async () => (await openConnections(edge)) === 1)

  const renamed = { ...RULE, name: 'renamed', service: 'other' }
  const added = { name: 'added', listen: OTHER_FRONTEND, service: 'web' }
  const [applied] = (
    await edge.reload(edgeConfig([renamed, added], [WEB, { name: 'other', backends: [SECOND] }]))
  ).filter((line) => line.includes('"configuration applied"'))
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

  await edge.reload(edgeConfig([added], [WEB]))
  await eventually('the port is closed', async () => (await ask(host)) === 'ECONNREFUSED')
  assert.equal(await established.end(), FIRST, 'as it began, though its frontend is gone')
  assert.equal(await edge.metric('truepeer_configuration_reloads_total{result="ok"}'), 2)
})

test('a file with problems keeps the old configuration as a whole, and every problem is a line', async (t) => {
  const [edge, host] = await startEdge(t, edgeConfig([RULE], [WEB]))
  const twice = edgeConfig([RULE, { ...RULE, name: 'same' }, { ...RULE, name: 'lost', service: 'nowhere' }], [WEB])
  const lines = (await edge.reload(twice)).map((line) => JSON.parse(line))
  const problems = lines.filter(({ level }) => level === 'error').map(({ msg }) => msg)
  assert.equal(problems.pop(), 'Reload failed, kept the old configuration')
  assert.ok(problems.every((problem) => problem.startsWith(edge.path)))
  assert.ok(problems.some((problem) => /127\.0\.0\.1:9000.*forwardingRules\/(lost|same|web)/.test(problem)))
  assert.ok(problems.some((problem) => /nowhere/.test(problem)))
  assert.equal(await ask(host), FIRST)

  for (const broken of ['', '{', '[]\n---\n- kind: compute#nothing']) {
    if (broken !== '') await edge.reload(broken)
    assert.equal(await ask(host), FIRST)
  }
  assert.ok((await edge.metric('truepeer_configuration_reloads_total{result="failed"}')) >= 3)
  const { problems: shown } = JSON.parse(await edge.read('/status')).configuration
  assert.ok(shown.length > 0)
  await edge.reload(edgeConfig([RULE], [{ ...WEB, backends: [SECOND] }]))
  assert.equal(await ask(host), SECOND, 'mended')
})

test('a port that cannot be opened keeps the old configuration: nothing of the new one is open', async (t) => {
  const [edge, host] = await startEdge(t, edgeConfig([RULE], [WEB]))
  await host.listen('127.0.0.1:9200', (socket) => socket.destroy())
  const taken = { name: 'taken', listen: '127.0.0.1:9200', service: 'web' }
  const free = { name: 'free', listen: OTHER_FRONTEND, service: 'web' }
  const lines = await edge.reload(edgeConfig([free, taken], [{ ...WEB, backends: [SECOND] }]))
  assert.match(
    lines.join('\n'),
    /Forwarding rule \\"taken\\": Listening on \\"127\.0\.0\.1:9200\\": EADDRINUSE; another program listens there/,
  )
  assert.deepEqual([await ask(host), await ask(host, OTHER_FRONTEND)], [FIRST, 'ECONNREFUSED'])
})

test('a backend that leaves is drained: its connections go on for the time, and are then ended', async (t) => {
  const both = { ...WEB, backends: [FIRST, SECOND], drainingTimeoutSec: 2 }
  const [edge, host] = await startEdge(t, edgeConfig([RULE], [both]))
  const held = [await hold(host), await hold(host)]
  await eventually('established', async () => (await openConnections(edge)) === 2)
  await edge.reload(edgeConfig([RULE], [{ ...both, backends: [SECOND] }]))
  const startedMs = performance.now()
  for (let turn = 0; turn < 4; turn++) assert.equal(await ask(host), SECOND)
  const { leaving } = JSON.parse(await edge.read('/status'))
  assert.deepEqual(
    leaving.map(({ key, open }: { readonly key: string; readonly open: number }) => [key, open]),
    [[`web/us-central1-b/web-neg/${FIRST}`, 1]],
  )
  await eventually('the connection to the backend that left is ended', async () => (await openConnections(edge)) === 1)
  const tookMs = performance.now() - startedMs
  assert.ok(tookMs > 1_500 && tookMs < 4_000, `${tookMs} ms`)
  assert.deepEqual((await Promise.all(held.map((one) => one.end()))).sort(), [SECOND, 'ECONNRESET'].sort())
  assert.equal(await edge.metric('truepeer_connections_ended_total{reason="drained"}'), 1)
})

test('a backend that comes back while it is drained keeps its connections', async (t) => {
  const both = { ...WEB, backends: [FIRST, SECOND], drainingTimeoutSec: 1 }
  const [edge, host] = await startEdge(t, edgeConfig([RULE], [both]))
  const held = [await hold(host), await hold(host)]
  await eventually('established', async () => (await openConnections(edge)) === 2)
  await edge.reload(edgeConfig([RULE], [{ ...both, backends: [SECOND] }]))
  await edge.reload(edgeConfig([RULE], [both]))
  await sleep(1_500)
  assert.deepEqual((await Promise.all(held.map((one) => one.end()))).sort(), [FIRST, SECOND])
  const asked = [await ask(host), await ask(host)]
  assert.deepEqual(asked.sort(), [FIRST, SECOND])
})

test('a draining time of 0 ends the connections of a backend that leaves at once', async (t) => {
  const [edge, host] = await startEdge(t, edgeConfig([RULE], [{ ...WEB, backends: [FIRST, SECOND] }]))
  const held = [await hold(host), await hold(host)]
  await eventually('established', async () => (await openConnections(edge)) === 2)
  await edge.reload(edgeConfig([RULE], [{ ...WEB, backends: [SECOND] }]))
  await eventually('ended', async () => (await openConnections(edge)) === 1, 1_000)
  assert.deepEqual((await Promise.all(held.map((one) => one.end()))).sort(), [SECOND, 'ECONNRESET'].sort())
})

test('reloads under load lose no connection, whether the file is right or broken', async (t) => {
  const [edge, host] = await startEdge(t, edgeConfig([RULE], [{ ...WEB, backends: [FIRST] }]), ['--workers', '2'])
  const counts: Record<string, number> = {}
  let isOver = false
  const clients = Array.from({ length: 4 }, async () => {
    while (!isOver) {
      const answer = await ask(host)
      counts[answer] = (counts[answer] ?? 0) + 1
      await sleep(10)
    }
  })
  const configurations = [
    edgeConfig([RULE], [{ ...WEB, backends: [SECOND], drainingTimeoutSec: 60 }]),
    '{ broken',
    edgeConfig([{ ...RULE, name: 'renamed', service: 'other' }], [{ name: 'other', backends: [FIRST, SECOND] }]),
    edgeConfig([RULE, { name: 'two', listen: OTHER_FRONTEND, service: 'web' }], [{ ...WEB, drainingTimeoutSec: 60 }]),
  ]
  for (const text of configurations) {
    await edge.reload(text)
    await sleep(300)
  }
  isOver = true
  await Promise.all(clients)
  assert.deepEqual(Object.keys(counts).sort(), [FIRST, SECOND], JSON.stringify(counts))
  assert.ok(counts[FIRST] + counts[SECOND] > 100, JSON.stringify(counts))
})

test('with --watch a file is applied that was renamed into place, or is behind a link that was switched', async (t) => {
  const { edge, backend } = await agentHosts(t)
  for (const endpoint of [FIRST, SECOND]) await backend.listen(endpoint, (socket) => nameAtEnd(socket, endpoint))
  // As Kubernetes lays out a ConfigMap: lb.yaml -> ..data/lb.yaml, ..data -> a folder for each version.
  const root = join(tmpdir(), `configmap-${randomUUID()}`)
  const version = (name: string, text: string): void => {
    mkdirSync(join(root, name), { recursive: true })
    writeFileSync(join(root, name, 'lb.yaml'), text)
    symlinkSync(name, join(root, '..new'))
    renameSync(join(root, '..new'), join(root, '..data'))
  }
  version('one', edgeConfig([RULE], [WEB]))
  symlinkSync('..data/lb.yaml', join(root, 'lb.yaml'))
  const path = join(root, 'lb.yaml')
  const { program } = await startTruepeer(edge, 'edge', ['--config', path, '--watch'])
  // With a busy machine the first round may not be over when the port opens.
  await program.waitForLine(/"health":"HEALTHY"/)
  assert.equal(await ask(edge), FIRST)

  let from = program.output.length
  version('two', edgeConfig([RULE], [{ ...WEB, backends: [SECOND] }]))
  await program.waitForLine(/configuration applied/, { from, timeoutMs: 1_500 })
  assert.equal(await ask(edge), SECOND)

  from = program.output.length
  writeFileSync(join(root, 'lb.tmp'), edgeConfig([RULE], [WEB]))
  renameSync(join(root, 'lb.tmp'), path)
  await program.waitForLine(/configuration applied/, { from, timeoutMs: 1_500 })
  assert.equal(await ask(edge), FIRST)

  from = program.output.length
  writeFileSync(path, '{')
  await program.waitForLine(/Reload failed, kept the old configuration/, { from })
  assert.equal(await ask(edge), FIRST)
})

test('--check says what a file holds, or every problem, and opens nothing', async (t) => {
  const { edge } = await agentHosts(t)
  const path = join(tmpdir(), `edge-${randomUUID()}.yaml`)
  writeFileSync(path, edgeConfig([RULE, { ...RULE, name: 'two', listen: OTHER_FRONTEND }], [WEB]))
  const right = await edge.run(TRUEPEER, ['edge', '--config', path, '--check'])
  assert.deepEqual([right.exitCode, right.stdout, right.stderr], [0, `${path}: 2 frontends, 1 backend: ok\n`, ''])

  writeFileSync(path, edgeConfig([RULE, { ...RULE, name: 'two' }], [{ ...WEB, timeoutSec: 0 }]))
  for (const flags of [['--check'], []]) {
    const wrong = await edge.run(TRUEPEER, ['edge', '--config', path, '--config', `${path}.no`, ...flags])
    assert.deepEqual([wrong.exitCode, wrong.stdout], [2, ''])
    const problems = wrong.stderr.trimEnd().split('\n')
    assert.ok(
      problems.every((problem) => problem.startsWith(path)),
      wrong.stderr,
    )
    for (const part of [/timeoutSec: 0 is not/, /\.no: .*ENOENT/, /127\.0\.0\.1:9000 is the address and port of/]) {
      assert.match(wrong.stderr, part)
    }
  }
})
