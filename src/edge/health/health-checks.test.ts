import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../../test/rig/eventually.ts'
import { openSockets } from '../../../test/rig/process.ts'
import type { LogFields } from '../../telemetry/log.ts'
import type { ProbeResult } from '../conversation/probe-result.ts'
import { HealthChecks, type HealthStatus, type HealthTarget } from './health-checks.ts'
import type { ProbeTarget } from './probe.ts'
import { startBackend, TCP, testCheck } from './test-backends.ts'
import { TestClock } from './test-clock.ts'

const INTERVAL_MS = 5_000
const UP: ProbeResult = { kind: 'success' }
const DOWN: ProbeResult = { kind: 'failure', error: 'connection refused', isTimeout: false }
const LATE: ProbeResult = { kind: 'failure', error: 'no answer within 5000 ms', isTimeout: true }
const BUSY: ProbeResult = { kind: 'discarded', error: 'this process was too busy to see the answer' }

type Step = { readonly atMs: number; readonly target: ProbeTarget }

/** Checks whose time and backends are those of the test. */
class Bench {
  readonly clock = new TestClock()
  readonly probes: Step[] = []
  readonly changes: string[] = []
  readonly logged: { level: string; message: string; fields: LogFields }[] = []
  readonly checks: HealthChecks
  /** What a probe finds now. */
  answer: (target: ProbeTarget, signal: AbortSignal) => ProbeResult | Promise<ProbeResult> = () => UP

  constructor(t: TestContext) {
    this.checks = new HealthChecks(
      {
        log: (level, message, fields = {}) => this.logged.push({ level, message, fields }),
        onChange: (key, state) => this.changes.push(`${key} ${state}`),
      },
      {
        clock: this.clock,
        probe: async (target, signal) => {
          this.probes.push({ atMs: this.clock.nowMs(), target })
          return this.answer(target, signal)
        },
      },
    )
    t.after(() => this.checks.stop())
  }

  state(key = 'a'): HealthStatus['state'] | undefined {
    return this.checks.state(key)?.state
  }

  /** Lets each of these be found by one probe after the other; returns the state after each. */
  async find(results: readonly ProbeResult[]): Promise<string> {
    let states = ''
    for (const result of results) {
      const before = this.probes.length
      this.answer = () => result
      while (this.probes.length === before) await this.clock.advance(100, 100)
      states += this.state() === 'HEALTHY' ? 'U' : 'D'
    }
    return states
  }
}

function target(key: string, fields: Partial<HealthTarget> = {}): HealthTarget {
  return { key, check: testCheck(TCP), address: '10.0.0.1', port: 110, ...fields }
}

/** A probe that ends only when it is called off. */
function untilAborted(signal: AbortSignal, onAbort = (): void => {}): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const abort = (): void => {
      onAbort()
      resolve(UP)
    }
    signal.addEventListener('abort', abort, { once: true })
  })
}

test('each target is probed at once, and the first result decides', async (t) => {
  const bench = new Bench(t)
  const backends = ['10.0.0.1', '2001:db8::1', '10.0.0.3']
  bench.answer = ({ address }) => (address === '2001:db8::1' ? DOWN : UP)
  const checks = testCheck(TCP, { healthyThreshold: 10, unhealthyThreshold: 10 })
  const updated = bench.checks.update(backends.map((address, index) => target(`${index}`, { address, check: checks })))
  assert.equal(bench.state('0'), 'UNKNOWN')
  await updated
  assert.deepEqual(bench.changes, ['0 HEALTHY', '1 UNHEALTHY', '2 HEALTHY'])
  assert.deepEqual(bench.logged, [
    {
      level: 'info',
      message: 'backend health',
      fields: { backend: '10.0.0.1:110', healthCheck: 'my-check', health: 'HEALTHY' },
    },
    {
      level: 'warn',
      message: 'backend health',
      fields: {
        backend: '[2001:db8::1]:110',
        healthCheck: 'my-check',
        health: 'UNHEALTHY',
        error: 'connection refused',
      },
    },
    {
      level: 'info',
      message: 'backend health',
      fields: { backend: '10.0.0.3:110', healthCheck: 'my-check', health: 'HEALTHY' },
    },
  ])
  assert.equal(bench.clock.nowMs(), 0)
})

test('later changes need as many results in a row as the thresholds say, each way', async (t) => {
  const bench = new Bench(t)
  const check = testCheck(TCP, { unhealthyThreshold: 3, healthyThreshold: 2 })
  await bench.checks.update([target('a', { check })])
  assert.equal(await bench.find([DOWN, DOWN, UP, DOWN, DOWN, DOWN, UP, DOWN, UP, UP]), 'UUUUUDDDDU')
  assert.deepEqual(bench.changes, ['a HEALTHY', 'a UNHEALTHY', 'a HEALTHY'])
  const { probes, failures, transitions, lastError, lastProbeMs, latencyMs } = bench.checks.state('a') ?? {}
  assert.deepEqual([probes, failures, transitions, lastError, latencyMs], [11, 6, 2, undefined, 0])
  assert.ok(Math.abs(Date.now() - (lastProbeMs ?? 0)) < 60_000)
})

test('a backend that flaps with every probe keeps its state', async (t) => {
  const bench = new Bench(t)
  await bench.checks.update([target('a')])
  assert.equal(await bench.find([DOWN, UP, DOWN, UP, DOWN, UP]), 'UUUUUU')
  assert.deepEqual(bench.changes, ['a HEALTHY'])
  assert.equal(bench.checks.state('a')?.failures, 3)
})

test('what is our own fault is not counted, but the operator is told, once', async (t) => {
  const bench = new Bench(t)
  await bench.checks.update([target('a')])
  assert.equal(await bench.find([DOWN, BUSY, BUSY, BUSY]), 'UUUU')
  assert.deepEqual([bench.checks.state('a')?.probes, bench.checks.state('a')?.lastError], [2, BUSY.error])
  assert.equal(await bench.find([DOWN]), 'D')
  const faults = bench.logged.filter(({ message }) => message !== 'backend health')
  assert.deepEqual(faults, [
    {
      level: 'warn',
      message: 'Results of health checks are discarded because this process is too busy',
      fields: { error: BUSY.error },
    },
  ])
})

test('while nothing is known, a probe that was our fault is repeated soon', async (t) => {
  const bench = new Bench(t)
  bench.answer = () => (bench.probes.length < 3 ? BUSY : UP)
  const updated = bench.checks.update([target('a')])
  await bench.clock.advance(1_000)
  await updated
  assert.deepEqual([bench.probes.length, bench.state()], [3, 'HEALTHY'])
})

test('the probes of 1,000 backends are spread over the interval, and are an interval apart', async (t) => {
  const run = async (): Promise<Map<string, number[]>> => {
    const bench = new Bench(t)
    const targets = Array.from({ length: 1_000 }, (_, index) => target(`${index}`, { port: index + 1 }))
    await bench.checks.update(targets)
    assert.equal(bench.probes.filter(({ atMs }) => atMs === 0).length, 1_000, 'all at once')
    await bench.clock.advance(6 * INTERVAL_MS, 50)
    bench.checks.stop()
    const starts = new Map<string, number[]>()
    for (const { atMs, target } of bench.probes) {
      const known = starts.get(`${target.port}`)
      if (known === undefined) starts.set(`${target.port}`, [atMs])
      else known.push(atMs)
    }
    return starts
  }
  const starts = await run()
  const perTenth = new Array<number>(50).fill(0)
  for (const [, first, ...later] of starts.values()) {
    assert.ok(first <= INTERVAL_MS + 50)
    for (const [index, atMs] of later.entries()) {
      const gapMs = atMs - (index === 0 ? first : later[index - 1])
      assert.ok(gapMs >= 0.95 * INTERVAL_MS - 50 && gapMs <= 1.05 * INTERVAL_MS + 50, `${gapMs}`)
      if (atMs < 5 * INTERVAL_MS) perTenth[Math.floor(atMs / (INTERVAL_MS / 10))] += 1
    }
  }
  for (const count of perTenth.slice(20)) assert.ok(count > 50 && count < 160, perTenth.join())
  assert.deepEqual(await run(), starts, 'the same in every run')
})

test('a probe that took longer than the interval is followed by one, not by all that were left out', async (t) => {
  const bench = new Bench(t)
  let underWay = 0
  bench.answer = async (_, signal) => {
    underWay += 1
    assert.equal(underWay, 1)
    await bench.clock.sleep(10 * INTERVAL_MS, signal)
    underWay -= 1
    return UP
  }
  void bench.checks.update([target('a')])
  await bench.clock.advance(INTERVAL_MS, 500)
  bench.answer = () => UP
  await bench.clock.advance(14 * INTERVAL_MS, 500)
  assert.ok(bench.probes.length >= 5 && bench.probes.length <= 8, `${bench.probes.length}`)
})

test('targets that stay keep state and beat, those that leave are forgotten, new ones are probed at once', async (t) => {
  const bench = new Bench(t)
  await bench.checks.update([target('a'), target('b')])
  await bench.clock.advance(1)
  const before = bench.probes.length
  let called = 0
  bench.answer = (_, signal) => {
    called += 1
    return untilAborted(signal, () => {
      called += 100
    })
  }
  // A check that is only called otherwise, or only logs more, asks the same.
  const renamed = testCheck(TCP, { name: 'another', logsTransitions: true })
  const updated = bench.checks.update([target('a', { check: renamed }), target('c')])
  await bench.clock.advance(1)
  assert.equal(bench.probes.length, before + 1)
  assert.deepEqual([bench.state('a'), bench.state('b'), bench.state('c')], ['HEALTHY', undefined, 'UNKNOWN'])
  await bench.checks.update([target('a')])
  await updated
  assert.equal(called, 101, 'the probe of one that leaves is called off')
  assert.deepEqual(bench.changes, ['a HEALTHY', 'b HEALTHY'])
  await bench.checks.update([target('a', { check: renamed })])
  bench.answer = () => DOWN
  await bench.clock.advance(3 * INTERVAL_MS, 500)
  assert.equal(bench.probes.length >= before + 3 && bench.probes.at(-1)?.target.check.name, 'another')
  assert.ok(bench.logged.at(-1)?.fields['healthCheckProbeResult'])
})

test('a changed check keeps the state until its first result, which decides', async (t) => {
  const bench = new Bench(t)
  await bench.checks.update([target('a')])
  let finish = (_: ProbeResult): void => {}
  bench.answer = () =>
    new Promise((resolve) => {
      finish = resolve
    })
  const check = testCheck({ kind: 'HTTP', host: '', requestPath: '/', response: '' }, { unhealthyThreshold: 5 })
  const updated = bench.checks.update([target('a', { check })])
  await bench.clock.advance(1)
  assert.equal(bench.probes.at(-1)?.target.check.probe.kind, 'HTTP')
  assert.deepEqual([bench.state(), bench.changes], ['HEALTHY', ['a HEALTHY']])
  finish(DOWN)
  await updated
  assert.deepEqual([bench.state(), bench.changes], ['UNHEALTHY', ['a HEALTHY', 'a UNHEALTHY']])
  assert.equal(bench.checks.state('a')?.probes, 2)
})

test('another address is another backend: nothing is known of it', async (t) => {
  const bench = new Bench(t)
  await bench.checks.update([target('a')])
  bench.answer = (_, signal) => untilAborted(signal)
  void bench.checks.update([target('a', { address: '10.0.0.2' })])
  assert.deepEqual([bench.state(), bench.changes], ['UNKNOWN', ['a HEALTHY', 'a UNKNOWN']])
})

test('stop calls off what is under way, and nothing is told any more', async (t) => {
  const bench = new Bench(t)
  bench.answer = (_, signal) => untilAborted(signal)
  const updated = bench.checks.update(Array.from({ length: 300 }, (_, index) => target(`${index}`)))
  await bench.clock.advance(1)
  bench.checks.stop()
  await updated
  await bench.checks.update([target('late')])
  await bench.clock.advance(10 * INTERVAL_MS)
  assert.deepEqual([bench.changes, bench.logged, bench.state('late')], [[], [], undefined])
  assert.ok(bench.probes.length < 300)
})

test('a check that logs gives the fields of Google', async (t) => {
  const bench = new Bench(t)
  const probe = { kind: 'HTTP', host: '', requestPath: '/health', response: '' } as const
  const check = testCheck(probe, { logsTransitions: true, unhealthyThreshold: 1, port: 8_080 })
  await bench.checks.update([target('a', { check })])
  await bench.find([LATE, UP, UP])
  const records = bench.logged.map(({ fields }) => fields['healthCheckProbeResult'] as LogFields)
  const shown = records.map((record) => [
    record['previousDetailedHealthState'],
    record['detailedHealthState'],
    record['previousHealthState'],
    record['healthState'],
  ])
  assert.deepEqual(shown, [
    ['UNKNOWN', 'HEALTHY', 'UNKNOWN', 'HEALTHY'],
    ['HEALTHY', 'TIMEOUT', 'HEALTHY', 'UNHEALTHY'],
    ['TIMEOUT', 'HEALTHY', 'UNHEALTHY', 'HEALTHY'],
  ])
  const { probeCompletionTimestamp, ...rest } = records[1]
  assert.match(String(probeCompletionTimestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  assert.deepEqual(rest, {
    ipAddress: '10.0.0.1',
    targetIp: '10.0.0.1',
    targetPort: 8_080,
    healthCheckProtocol: 'HTTP',
    healthState: 'UNHEALTHY',
    detailedHealthState: 'TIMEOUT',
    previousHealthState: 'HEALTHY',
    previousDetailedHealthState: 'HEALTHY',
    probeRequest: '/health',
    probeResultText: 'no answer within 5000 ms',
    responseLatency: '0.000000s',
  })
})

test('backends that do not answer do not hold up the first probes of the others', async (t) => {
  const bench = new Bench(t)
  bench.answer = (_, signal) => untilAborted(signal)
  void bench.checks.update(Array.from({ length: 500 }, (_, index) => target(`${index}`)))
  await eventually('the first have been asked', () => bench.probes.length > 0)
  assert.ok(bench.probes.length < 100, 'only so many at a time')
  await eventually('all have been asked', () => bench.probes.length === 500)
})

// Real backends

test('a real backend that goes away and comes back is down and up after two probes each', async (t) => {
  let mood: 'fine' | 'ill' = 'fine'
  let asked = 0
  const port = await startBackend(t, (socket) => {
    asked += 1
    socket.end(mood === 'fine' ? 'OK' : 'NO')
    socket.resume()
  })
  const changes: string[] = []
  const askedAt: number[] = []
  const checks = new HealthChecks({
    log: () => {},
    onChange: (_, state) => {
      changes.push(state)
      askedAt.push(asked)
    },
  })
  t.after(() => checks.stop())
  const check = testCheck({ kind: 'TCP', request: '', response: 'OK' }, { checkIntervalMs: 15 })
  await checks.update([{ key: 'a', check, address: '127.0.0.1', port }])
  for (mood of ['ill', 'fine', 'ill', 'fine'] as const) {
    const before = changes.length
    const askedBefore = asked
    await eventually(`it is ${mood}`, () => changes.length > before)
    const needed = askedAt[before] - askedBefore
    // Not exactly: an answer that this process is too busy to see in time is not counted.
    assert.ok(needed >= 2, `${needed} probes`)
  }
  assert.deepEqual(changes, ['HEALTHY', 'UNHEALTHY', 'HEALTHY', 'UNHEALTHY', 'HEALTHY'])
  assert.equal(checks.state('a')?.transitions, 4)
})

/** A server in another process, on all addresses of loopback. */
async function startFarm(t: TestContext): Promise<number> {
  const code = `
    const server = require('node:net').createServer((socket) => socket.on('error', () => {}).resume())
    server.listen({ port: 0, host: '0.0.0.0', backlog: 4096 }, () => console.log(server.address().port))
  `
  const farm = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => farm.kill())
  const [port] = await once(farm.stdout, 'data')
  return Number(String(port))
}

/** Probes these targets once; says how much of the processor that took: other tests keep the machine busy. */
async function firstRound(targets: readonly HealthTarget[]): Promise<{ cpuMs: number; states: string[] }> {
  const checks = new HealthChecks({ log: () => {}, onChange: () => {} })
  const before = process.cpuUsage()
  await checks.update(targets)
  const { user, system } = process.cpuUsage(before)
  const states = targets.map(({ key }) => checks.state(key)?.state ?? '')
  checks.stop()
  return { cpuMs: (user + system) / 1_000, states }
}

test('1,000 backends, a quarter of them dead, are probed with less than 2 s of the processor and without a leak', async (t) => {
  const port = await startFarm(t)
  const before = openSockets(process.pid)
  const targets = Array.from({ length: 1_000 }, (_, index): HealthTarget => {
    const address = `127.0.${1 + Math.floor(index / 250)}.${1 + (index % 250)}`
    return { key: `1 ${address}`, check: testCheck(TCP), address, port: index % 4 === 0 ? 1 : port }
  })
  const { cpuMs, states } = await firstRound(targets)
  assert.ok(states.every((state, index) => state === (index % 4 === 0 ? 'UNHEALTHY' : 'HEALTHY')))
  await eventually('all sockets are closed', () => openSockets(process.pid) <= before)
  t.diagnostic(`${cpuMs.toFixed()} ms of the processor`)
  assert.ok(cpuMs < 2_000, `${cpuMs} ms`)
})
