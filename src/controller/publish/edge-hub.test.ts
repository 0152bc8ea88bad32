import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mock, type TestContext, test } from 'node:test'
import type { Problem } from '../../compute/problem.ts'
import { type EdgeReport, FEED_FORMAT } from '../../feed/feed.ts'
import type { Snapshot } from '../../snapshot/snapshot.ts'
import type { WhyAnswer } from '../../telemetry/edge-why.ts'
import { EdgeHub, type FeedSink, type FollowerEvents, type HubRefusal } from './edge-hub.ts'

const QUESTION = { client: '192.0.2.7', frontend: undefined }
const EXPLAINED: WhyAnswer = { kind: 'explained', explanations: [] }
const NO_REPORT = { region: undefined, zone: undefined, refused: undefined, health: {}, sources: [] }

class TestSink implements FeedSink {
  readonly lines: Record<string, unknown>[] = []
  /** How many edges there are, as {@link taken} has seen it. */
  readonly edges: Record<string, unknown>[] = []
  isFull = false
  hasEnded = false

  write(text: string): boolean {
    assert.ok(text.endsWith('\n'))
    this.lines.push(JSON.parse(text) as Record<string, unknown>)
    return !this.isFull
  }

  end(): void {
    this.hasEnded = true
  }

  /** What came since the last time: `snapshot 3`, `version 4`, `alive`. */
  taken(): string[] {
    const lines = this.lines.splice(0)
    this.edges.push(...lines.filter(({ type }) => type === 'edges'))
    return lines
      .filter(({ type }) => type !== 'edges')
      .map(({ type, version }) => (version === undefined ? `${type}` : `${type} ${version}`))
  }
}

/** Holds that an edge may follow. */
function letIn(events: FollowerEvents | HubRefusal): FollowerEvents {
  assert.ok(typeof events !== 'string', String(events))
  return events
}

function snapshotOf(name: string): Snapshot {
  const frontend = {
    name,
    protocol: 'TCP',
    address: '192.0.2.1',
    port: 80,
    proxy: 'p',
    service: 's',
    proxyHeader: { kind: 'NONE' },
    tls: undefined,
  } as const
  return { frontends: [frontend], services: [], healthChecks: [] }
}

function digestOf(name: string): string {
  return createHash('sha256')
    .update(JSON.stringify(snapshotOf(name)))
    .digest('base64url')
}

/** A hub whose configuration the test sets; its timers do not run by themselves. */
function testHub(t: TestContext, ticketKeys?: () => readonly string[], applyWaitMs?: number) {
  mock.timers.enable({ apis: ['setInterval', 'setTimeout', 'Date'] })
  const state = { version: 1, snapshot: snapshotOf('a'), leftOut: [] as Problem[], compiled: 0, clockAheadMs: 0 }
  const logged: string[] = []
  const hub = new EdgeHub({
    publication: () => state,
    generation: 'g',
    ticketKeys,
    applyWaitMs,
    log: (_level, message) => logged.push(message),
    clock: () => Date.now() + state.clockAheadMs,
    monotonicClock: Date.now,
  })
  t.after(() => {
    hub.close()
    mock.timers.reset()
  })
  const publish = async (name: string, changesListeners = false): Promise<readonly string[]> => {
    state.version += 1
    state.snapshot = snapshotOf(name)
    hub.published()
    const applied = changesListeners ? hub.applied(state.version) : []
    await new Promise((resolve) => setImmediate(resolve))
    return applied
  }
  const applied = (name: string, version: number, more: Partial<EdgeReport> = {}): void => {
    hub.report(name, { ...NO_REPORT, applied: { generation: 'g', version }, ...more })
  }
  return { hub, state, logged, publish, applied }
}

test('an edge gets the configuration at once, and every later one', async (t) => {
  const { hub, publish } = testHub(t)
  const sink = new TestSink()
  hub.follow('e', undefined, sink)
  assert.deepEqual(sink.lines[0], {
    type: 'snapshot',
    format: FEED_FORMAT,
    generation: 'g',
    version: 1,
    digest: digestOf('a'),
    snapshot: JSON.parse(JSON.stringify(snapshotOf('a'))),
  })
  assert.deepEqual(sink.taken(), ['snapshot 1'])
  await publish('b')
  assert.deepEqual(sink.taken(), ['snapshot 2'])
})

test('an edge gets the ticket keys first, later ones once, and those that came while it was slow once it is not', async (t) => {
  let keys: readonly string[] = ['k1', 'k2']
  const { hub, publish } = testHub(t, () => keys)
  const sink = new TestSink()
  const { onDrain } = letIn(hub.follow('e', undefined, sink))
  assert.deepEqual(sink.lines[0], { type: 'tickets', keys: ['k1', 'k2'] })
  assert.deepEqual(sink.taken(), ['tickets', 'snapshot 1'])
  await publish('b')
  assert.deepEqual(sink.taken(), ['snapshot 2'])
  sink.isFull = true
  await publish('c')
  assert.deepEqual(sink.taken(), ['snapshot 3'])
  for (keys of [
    ['k2', 'k3', 'k1'],
    ['k3', 'k4', 'k2', 'k1'],
  ])
    await publish('c')
  assert.deepEqual(sink.taken(), [])
  sink.isFull = false
  onDrain()
  assert.deepEqual(sink.lines[0], { type: 'tickets', keys })
  assert.deepEqual(sink.taken(), ['tickets', 'version 5'])
})

test('an edge that has the current version of this generation, as this controller compiles it, is not sent it again', (t) => {
  const { hub } = testHub(t)
  const digest = digestOf('a')
  for (const [has, expected] of [
    [{ generation: 'g', version: 1, digest }, 'version 1'],
    [{ generation: 'g', version: 0, digest }, 'snapshot 1'],
    [{ generation: 'other', version: 1, digest }, 'snapshot 1'],
    // A controller of another version has made another snapshot of the same resources, or did not say what it was.
    [{ generation: 'g', version: 1, digest: digestOf('b') }, 'snapshot 1'],
    [{ generation: 'g', version: 1 }, 'snapshot 1'],
  ] as const) {
    const sink = new TestSink()
    hub.follow('e', has, sink, 'p')
    assert.deepEqual(sink.taken(), [expected])
  }
})

test('a version in which nothing is different for edges is only named', async (t) => {
  const { hub, publish } = testHub(t)
  const sink = new TestSink()
  hub.follow('e', undefined, sink)
  await publish('a')
  await publish('b')
  assert.deepEqual(sink.taken(), ['snapshot 1', 'version 2', 'snapshot 3'])
})

test('of changes that come together, and while an edge is slow, only the last is sent', async (t) => {
  const { hub, publish } = testHub(t)
  const sink = new TestSink()
  sink.isFull = true
  const events = letIn(hub.follow('e', undefined, sink))
  await Promise.all([publish('b'), publish('c')])
  await publish('d')
  assert.deepEqual(sink.taken(), ['snapshot 1'])
  sink.isFull = false
  events.onDrain()
  assert.deepEqual(sink.taken(), ['snapshot 4'])
  await Promise.all([publish('e'), publish('f')])
  assert.deepEqual(sink.taken(), ['snapshot 6'])
})

test('a change of listeners waits for every connected edge, and for nobody when none is', async (t) => {
  const { hub, publish, applied } = testHub(t)
  assert.deepEqual(await publish('b', true), [])
  hub.follow('e', undefined, new TestSink())
  hub.follow('f', undefined, new TestSink())
  let late: readonly string[] | undefined
  const published = publish('c', true).then((names) => {
    late = names
  })
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  applied('e', 3)
  await turn()
  await turn()
  assert.equal(late, undefined)
  applied('f', 3)
  await published
  assert.deepEqual(late, [])
})

for (const [waits, applyWaitMs] of [
  [2_000, undefined],
  [7_000, 7_000],
] as const) {
  test(`after ${waits / 1_000} s a change of listeners names the edges that have not applied it`, async (t) => {
    const { hub, publish, applied } = testHub(t, undefined, applyWaitMs)
    hub.follow('e', undefined, new TestSink())
    hub.follow('f', undefined, new TestSink())
    let late: readonly string[] | undefined
    void publish('b', true).then((names) => {
      late = names
    })
    applied('e', 2)
    await new Promise((resolve) => setImmediate(resolve))
    mock.timers.tick(waits - 1)
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(late, undefined)
    mock.timers.tick(1)
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(late, ['f'])
  })
}

test('nobody waits for an edge that has refused the version, or that goes', async (t) => {
  const { hub, publish, applied } = testHub(t)
  const refusing = letIn(hub.follow('e', undefined, new TestSink()))
  const going = letIn(hub.follow('f', undefined, new TestSink()))
  const first = publish('b', true)
  applied('e', 1, { refused: { generation: 'g', version: 2, problems: ['in use'] } })
  going.onEnd()
  assert.deepEqual(await first, ['e (in use)'])
  assert.equal(hub.isHeldUp(), true)
  refusing.onEnd()
  assert.equal(hub.isHeldUp(), false)
  assert.deepEqual(await publish('c', true), [])
})

test('an edge that has refused a version and leaves while others are awaited is not named', async (t) => {
  const { hub, publish, applied } = testHub(t)
  const leaving = letIn(hub.follow('e', undefined, new TestSink()))
  hub.follow('f', undefined, new TestSink())
  const published = publish('b', true)
  applied('e', 1, { refused: { generation: 'g', version: 2, problems: ['in use'] } })
  leaving.onEnd()
  applied('f', 2)
  assert.deepEqual(await published, [])
})

test('what an edge leaves out of a version that it has applied is named, and logged once', async (t) => {
  const { hub, publish, applied, logged } = testHub(t)
  assert.equal(hub.hasEdges(), false)
  hub.follow('e', undefined, new TestSink())
  assert.equal(hub.hasEdges(), true)
  for (const version of [2, 3]) {
    const published = publish(`${version}`, true)
    applied('e', version, { refused: { generation: 'g', version, problems: ['in use'] } })
    assert.deepEqual(await published, ['e (in use)'])
  }
  assert.equal(hub.isHeldUp(), true)
  assert.equal(logged.filter((message) => message.includes('whole of a version')).length, 1)
  applied('e', 3, { refused: { generation: 'g', version: 3, problems: ['in use', 'the other, too'] } })
  assert.equal(logged.filter((message) => message.includes('whole of a version')).length, 2)
  applied('e', 3)
  assert.equal(hub.isHeldUp(), false)
})

test('a report of another generation is not taken for this one', async (t) => {
  const { hub, publish } = testHub(t)
  hub.follow('e', undefined, new TestSink())
  const published = publish('b', true)
  hub.report('e', { ...NO_REPORT, applied: { generation: 'other', version: 99 } })
  await new Promise((resolve) => setImmediate(resolve))
  mock.timers.tick(2_000)
  assert.deepEqual(await published, ['e'])
})

test('a backend is healthy when any connected edge says so; edges that are gone do not count', (t) => {
  const { hub, applied } = testHub(t)
  const first = letIn(hub.follow('e', undefined, new TestSink()))
  hub.follow('f', undefined, new TestSink())
  assert.equal(hub.stateOf('s/g/b'), undefined)
  applied('f', 1, { health: { 's/g/b': 'UNHEALTHY' } })
  assert.equal(hub.stateOf('s/g/b'), 'UNHEALTHY')
  applied('e', 1, { health: { 's/g/b': 'HEALTHY' } })
  assert.equal(hub.stateOf('s/g/b'), 'HEALTHY')
  first.onEnd()
  assert.equal(hub.stateOf('s/g/b'), 'UNHEALTHY')
  assert.equal(hub.stateOf('__proto__'), undefined)
})

test('the health of an edge is known by the name that its last report gave it', (t) => {
  const { hub } = testHub(t)
  const report = { ...NO_REPORT, applied: { generation: 'g', version: 1 } }
  const health = { 's/g/b': 'HEALTHY' } as const
  assert.equal(hub.healthOf('e', 'one'), undefined)
  hub.report('e', { ...report, health }, 'one')
  assert.equal(hub.healthOf('e', 'one'), health)
  assert.equal(hub.healthOf('e', 'two'), undefined)
  assert.equal(hub.healthOf('f', 'one'), undefined)
  hub.report('e', report)
  assert.equal(hub.healthOf('e', 'one'), undefined)
  assert.equal(hub.healthOf('e', undefined), undefined)
})

test('an edge that connects again replaces its former connection, whose end then means nothing', (t) => {
  const { hub } = testHub(t)
  const first = new TestSink()
  const events = letIn(hub.follow('e', undefined, first, 'p'))
  letIn(hub.follow('e', undefined, new TestSink(), 'p'))
  assert.ok(first.hasEnded)
  events.onEnd()
  assert.deepEqual(
    hub.edges().map(({ name, isConnected }) => [name, isConnected]),
    [['e', true]],
  )
})

for (const [first, second] of [
  ['p', 'q'],
  ['p', ''],
  ['', 'q'],
  ['', ''],
] as const) {
  test(`of two edges of one name, "${first}" and "${second}", the first stays until it is gone`, (t) => {
    const { hub, logged } = testHub(t)
    const [sink, other] = [new TestSink(), new TestSink()]
    const events = letIn(hub.follow('e', undefined, sink, first))
    const report = { ...NO_REPORT, applied: { generation: 'g', version: 1 } }
    for (let count = 0; count < 3; count++) assert.equal(hub.follow('e', undefined, other, second), 'taken')
    if (first !== second) assert.equal(hub.report('e', report, undefined, second), 'taken')
    assert.equal(hub.report('e', { ...report, sources: ['192.0.2.1'] }, undefined, first), undefined)
    assert.deepEqual([sink.hasEnded, other.hasEnded, other.lines], [false, false, []])
    assert.deepEqual(
      hub.edges().map((edge) => edge.report?.sources),
      [['192.0.2.1']],
    )
    assert.equal(logged.filter((message) => message === 'an edge is refused').length, 1)
    events.onEnd()
    letIn(hub.follow('e', undefined, other, second))
    assert.deepEqual(other.taken(), ['snapshot 1'])
  })
}

test('an edge hears something every 2 s, and is ended when it has said nothing for 15 s', (t) => {
  const { hub, state, applied } = testHub(t)
  const silent = new TestSink()
  const speaking = new TestSink()
  hub.follow('e', undefined, silent)
  hub.follow('f', undefined, speaking)
  mock.timers.tick(2_000)
  assert.deepEqual(silent.taken(), ['snapshot 1', 'alive'])
  mock.timers.tick(10_000)
  // Whoever sets the clock makes nobody silent, nor keeps who is.
  state.clockAheadMs = 20_000
  mock.timers.tick(2_000)
  assert.deepEqual([silent.hasEnded, speaking.hasEnded], [false, false])
  state.clockAheadMs = -20_000
  applied('f', 1)
  mock.timers.tick(4_000)
  assert.deepEqual([silent.hasEnded, speaking.hasEnded], [true, false])
})

test('what is left out of the configuration is logged once', async (t) => {
  const { hub, state, logged, publish } = testHub(t)
  const rule = 'no address is given'
  const resource = 'forwardingRules/x'
  state.leftOut = [{ source: '', resource, path: 'IPAddress', code: 'required', rule, remedy: 'give one' }]
  hub.follow('e', undefined, new TestSink())
  await publish('b')
  assert.equal(logged.filter((message) => message.includes('cannot be served')).length, 1)
})

test('each edge hears how many they are, and which one it is, whenever that changes', (t) => {
  const { hub } = testHub(t)
  const [b, a] = [new TestSink(), new TestSink()]
  const heard = (sink: TestSink): unknown[] => {
    sink.taken()
    return sink.edges.splice(0).map(({ count, index }) => [count, index])
  }
  letIn(hub.follow('b', undefined, b))
  assert.deepEqual(heard(b), [[1, 0]])
  const events = letIn(hub.follow('a', undefined, a))
  assert.deepEqual([heard(a), heard(b)], [[[2, 0]], [[2, 1]]])
  events.onEnd()
  assert.deepEqual(heard(b), [[1, 0]])
})

test('a question goes to its edge, and its answer to whoever asked; nobody waits for ever', async (t) => {
  const { hub } = testHub(t)
  const sink = new TestSink()
  assert.equal(await hub.ask('a', QUESTION), 'away')
  letIn(hub.follow('a', undefined, sink, 'p'))
  letIn(hub.follow('b', undefined, new TestSink()))
  const answer = hub.ask('a', { client: '192.0.2.7', frontend: 'rule' })
  const line = sink.lines.find(({ type }) => type === 'why')
  assert.deepEqual([line?.client, line?.frontend], ['192.0.2.7', 'rule'])
  const id = String(line?.id)
  assert.equal(hub.answer('b', id, EXPLAINED), 'unasked', 'another edge was asked')
  assert.equal(hub.answer('a', id, EXPLAINED, 'q'), 'taken', 'another process was asked')
  assert.equal(hub.answer('a', id, EXPLAINED, 'p'), undefined)
  assert.deepEqual(await answer, EXPLAINED)
  assert.equal(hub.answer('a', id, EXPLAINED, 'p'), 'unasked')
  const late = hub.ask('a', QUESTION)
  mock.timers.tick(5_000)
  assert.equal(await late, 'late')
})

test('so many questions wait for one edge, and those for another one do not wait behind them', async (t) => {
  const { hub } = testHub(t)
  const [a, b] = [new TestSink(), new TestSink()]
  const { onDrain } = letIn(hub.follow('a', undefined, a))
  letIn(hub.follow('b', undefined, b))
  const asked = Array.from({ length: 100 }, () => hub.ask('a', QUESTION))
  const other = hub.ask('b', QUESTION)
  const questions = a.lines.filter(({ type }) => type === 'why')
  assert.equal(questions.length, 10)
  for (const { id } of questions) hub.answer('a', String(id), EXPLAINED)
  const answers = await Promise.all(asked)
  assert.deepEqual(answers.slice(0, 10), Array(10).fill(EXPLAINED))
  assert.deepEqual(answers.slice(10), Array(90).fill('busy'))
  hub.answer('b', String(b.lines.find(({ type }) => type === 'why')?.id), EXPLAINED)
  assert.deepEqual(await other, EXPLAINED)
  // One that cannot be told anything now is not asked.
  a.isFull = true
  mock.timers.tick(2_000)
  assert.equal(await hub.ask('a', QUESTION), 'busy')
  a.isFull = false
  onDrain()
  void hub.ask('a', QUESTION)
  assert.equal(a.lines.at(-1)?.type, 'why')
})
