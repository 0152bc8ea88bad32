import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import { loadQuestion } from '../dataplane/load-report.ts'
import { endpointOf, TestApp } from '../dataplane/test-loop.ts'
import { Availability } from './availability.ts'
import { type HealthCheckOptions, HealthChecks, probeTcp } from './health-check.ts'

const OPTIONS: HealthCheckOptions = {
  checkIntervalMs: 40,
  timeoutMs: 300,
  healthyThreshold: 2,
  unhealthyThreshold: 2,
  maxUtilization: undefined,
}
const NEVER = new AbortController().signal
/** Nobody listens on port 1 of loopback. */
const CLOSED = endpointOf('127.0.0.1:1')

/** A backend that counts whom it has accepted. */
async function startBackend(t: TestContext): Promise<{ server: Server; endpoint: Endpoint; accepted: () => number }> {
  let count = 0
  const server = createServer((socket) => {
    count += 1
    socket.on('error', () => {})
    socket.resume()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return { server, endpoint: endpointOf(`127.0.0.1:${address.port}`), accepted: () => count }
}

function blackHole(t: TestContext): Endpoint {
  const app = new TestApp()
  app.ignoreConnections()
  t.after(() => app.close())
  return app.endpoint
}

function startChecks(t: TestContext, backends: readonly Endpoint[], options: Partial<HealthCheckOptions> = {}) {
  const healthy = new Int32Array(new SharedArrayBuffer(backends.length * 4))
  const logged: string[] = []
  const checks = new HealthChecks(backends, healthy, { ...OPTIONS, ...options }, (level, message, fields) => {
    logged.push(`${level}: ${message} ${fields?.['backend']} ${fields?.['health']}`)
  })
  t.after(() => checks.stop())
  return { healthy, logged, checks, started: checks.start() }
}

async function until(what: string, isTrue: () => boolean): Promise<void> {
  for (const deadlineMs = performance.now() + 5_000; !isTrue(); ) {
    assert.ok(performance.now() < deadlineMs, `never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

test('a backend that accepts is a success, one that refuses or does not answer a failure', async (t) => {
  const { endpoint } = await startBackend(t)
  assert.deepEqual(await probeTcp(endpoint, 1_000, NEVER), { result: 'success' })
  assert.deepEqual(await probeTcp(CLOSED, 1_000, NEVER), { result: 'failure' })
  const startedMs = performance.now()
  assert.deepEqual(await probeTcp(blackHole(t), 100, NEVER), { result: 'failure' })
  assert.ok(performance.now() - startedMs >= 99)
})

test('a deadline that was missed while this process was busy says nothing about the backend', async (t) => {
  const probe = probeTcp(blackHole(t), 50, NEVER)
  // Nothing runs until 250 ms have passed: the timer is 200 ms late.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 250)
  assert.deepEqual(await probe, { result: 'discarded' })
})

test('a probe that is called off says nothing about the backend', async (t) => {
  const stop = new AbortController()
  const probe = probeTcp(blackHole(t), 5_000, stop.signal)
  stop.abort()
  assert.deepEqual(await probe, { result: 'discarded' })
})

test('each backend is probed at once, and the first result decides', async (t) => {
  const { endpoint } = await startBackend(t)
  const { healthy, logged, started } = startChecks(t, [endpoint, CLOSED], { checkIntervalMs: 60_000 })
  await started
  assert.deepEqual([...healthy], [1, 0])
  assert.deepEqual(logged.sort(), [
    `info: backend health ${formatEndpoint(endpoint)} HEALTHY`,
    'warn: backend health 127.0.0.1:1 UNHEALTHY',
  ])
})

test('a backend that goes is down after two failures, and up again after two successes', async (t) => {
  const { server, endpoint, accepted } = await startBackend(t)
  const { healthy, logged } = startChecks(t, [endpoint])
  await until('up', () => healthy[0] === 1)
  server.close()
  await until('down', () => healthy[0] === 0)
  const before = accepted()
  server.listen(endpoint.port, '127.0.0.1')
  await until('up again', () => healthy[0] === 1)
  assert.equal(accepted() - before, 2)
  assert.equal(logged.length, 3)
})

test('probes of one backend start an interval apart, however long each takes', async (t) => {
  const starts: number[] = []
  const { server, endpoint } = await startBackend(t)
  server.on('connection', () => starts.push(performance.now()))
  startChecks(t, [endpoint], { checkIntervalMs: 100 })
  await until('six probes', () => starts.length === 6)
  const meanMs = (starts[5] - starts[0]) / 5
  assert.ok(meanMs > 90 && meanMs < 140, `${meanMs}`)
})

test('a backend that does not answer does not hold up the probes of the others', async (t) => {
  const { endpoint, accepted } = await startBackend(t)
  const { started } = startChecks(t, [blackHole(t), endpoint], { timeoutMs: 1_000 })
  const wasFirst = await Promise.race([
    until('three probes', () => accepted() === 3).then(() => 'probes'),
    started.then(() => 'first round'),
  ])
  assert.equal(wasFirst, 'probes')
})

test('stopping ends all probes, also those that wait', async (t) => {
  const { endpoint, accepted } = await startBackend(t)
  const { checks, started } = startChecks(t, [endpoint, blackHole(t)], { timeoutMs: 60_000 })
  await until('probed', () => accepted() >= 1)
  checks.stop()
  await started
  const after = accepted()
  await new Promise((resolve) => setTimeout(resolve, 2 * OPTIONS.checkIntervalMs))
  assert.ok(accepted() <= after + 1)
})

test('many backends are probed without a warning of node', async (t) => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)
  process.on('warning', onWarning)
  t.after(() => process.off('warning', onWarning))
  const backends = Array.from({ length: 30 }, () => CLOSED)
  await startChecks(t, backends).started
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(warnings, [])
})

/** An agent that answers every question with what `answer` returns now, or, for undefined, with silence. */
async function startAgent(t: TestContext, answer: () => string | undefined): Promise<Endpoint> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      const text = answer()
      if (text !== undefined) socket.end(text)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return endpointOf(`127.0.0.1:${address.port}`)
}

function report(cpu: number, isListening = true): string {
  return `${JSON.stringify({ cpu_utilization: cpu, mem_utilization: 0.1, open_connections: 3, app_listening: isListening })}\n`
}

test('an agent that is asked answers with its load; whoever does not answer so is up, with a load nobody knows', async (t) => {
  const question = loadQuestion()
  const agent = await startAgent(t, () => report(0.25))
  assert.equal((await probeTcp(agent, 1_000, NEVER, question)).load?.cpu_utilization, 0.25)
  for (const answer of ['', 'hello\n', '{}', '{"cpu_utilization":7}', 'x'.repeat(100_000), undefined]) {
    const other = await startAgent(t, () => answer)
    const { result, load } = await probeTcp(other, 150, NEVER, question)
    assert.deepEqual([result, load], ['success', undefined], String(answer).slice(0, 40))
  }
})

test('a backend above the utilization is full until it is below again, and one whose app does not listen is down', async (t) => {
  let answer = report(0.5)
  const agent = await startAgent(t, () => answer)
  const { healthy, started } = startChecks(t, [agent], { maxUtilization: 0.8, checkIntervalMs: 10 })
  await started
  assert.deepEqual([...healthy], [Availability.up])
  answer = report(0.9)
  await until('full', () => healthy[0] === Availability.full)
  answer = report(0.7)
  await until('up', () => healthy[0] === Availability.up)
  answer = report(0.1, false)
  await until('down', () => healthy[0] === Availability.down)
})
