import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../../test/rig/eventually.ts'
import { openSockets } from '../../../test/rig/process.ts'
import { type LoadReport, loadQuestion } from '../../proxy-protocol/load-report.ts'
import { askByDatagram } from './ask-by-datagram.ts'
import type { LoadAnswer } from './load-answer.ts'
import { askForLoad, LoadPolls } from './load-polls.ts'
import { NEVER, NO_LAG, startBackend } from './test-backends.ts'
import { TestClock } from './test-clock.ts'

const LOAD: LoadReport = { cpu_utilization: 0.25, mem_utilization: 0.5, open_connections: 3, app_listening: true }
const NO_ANSWER: LoadAnswer = { kind: 'no-answer' }
const AGENT = { key: 'a', address: '10.0.0.1', port: 110, protocol: 'TCP' as const, needsLoad: true }

/** Polls whose time and agents are those of the test. */
class Bench {
  readonly clock = new TestClock()
  readonly askedAtMs: number[] = []
  readonly changes: [string, number | undefined][] = []
  readonly logged: string[] = []
  readonly polls: LoadPolls
  answer: LoadAnswer = { kind: 'load', load: LOAD }

  constructor(t: TestContext) {
    this.polls = new LoadPolls(
      {
        log: (level, message, fields) => this.logged.push(`${level}: ${message} ${fields?.['backend']}`),
        onChange: (key, load) => this.changes.push([key, load?.cpu_utilization]),
      },
      {
        clock: this.clock,
        ask: async () => {
          this.askedAtMs.push(this.clock.nowMs())
          return this.answer
        },
      },
    )
    t.after(() => this.polls.stop())
  }

  /** Times between the questions, in whole seconds. */
  gaps(): number[] {
    return this.askedAtMs.slice(1).map((atMs, index) => Math.round((atMs - this.askedAtMs[index]) / 1_000))
  }
}

test('an agent is asked at once and then every five seconds, and each answer is told', async (t) => {
  const bench = new Bench(t)
  bench.polls.update([AGENT])
  await bench.clock.advance(60_000, 250)
  assert.ok(bench.askedAtMs[0] === 0 && bench.askedAtMs.length >= 12 && bench.askedAtMs.length <= 14)
  assert.ok(
    bench
      .gaps()
      .slice(1)
      .every((gap) => gap === 5),
  )
  assert.deepEqual(bench.changes, new Array(bench.askedAtMs.length).fill(['a', 0.25]))
  assert.deepEqual(bench.logged, ['info: backend load is known 10.0.0.1:110'])
})

test('whoever gives no proper answer is asked ever more seldom, down to every five minutes', async (t) => {
  const bench = new Bench(t)
  bench.answer = NO_ANSWER
  bench.polls.update([AGENT])
  await bench.clock.advance(1_800_000, 1_000)
  const expected = [10, 20, 40, 80, 160, 300, 300, 300, 300]
  for (const [index, gap] of bench.gaps().entries()) {
    assert.ok(gap >= 0.94 * expected[index] && gap <= 1.06 * expected[index] + 1, `${index}: ${gap}`)
  }
  assert.ok(bench.askedAtMs.length >= 8 && bench.askedAtMs.length <= 10)
  assert.deepEqual(bench.changes, [])
  assert.deepEqual(bench.logged, ['warn: backend load is unknown 10.0.0.1:110'])
})

test('backends that need not be agents are told of once, and not as a problem', async (t) => {
  const bench = new Bench(t)
  bench.answer = NO_ANSWER
  const plain = { ...AGENT, needsLoad: false }
  bench.polls.update([plain, { ...plain, key: 'b', address: '10.0.0.2' }])
  await bench.clock.advance(60_000, 250)
  assert.deepEqual(bench.logged, ['info: a backend does not tell its connections 10.0.0.1:110'])
  bench.answer = { kind: 'load', load: LOAD }
  await bench.clock.advance(60_000, 250)
  bench.answer = NO_ANSWER
  await bench.clock.advance(6_000, 250)
  assert.equal(bench.logged.filter((line) => line.startsWith('warn: backend load is unknown')).length, 2)
})

test('a load that is no longer told is unknown at once, and known again with the next answer', async (t) => {
  const bench = new Bench(t)
  bench.polls.update([AGENT])
  await bench.clock.advance(6_000, 250)
  bench.answer = NO_ANSWER
  await bench.clock.advance(60_000, 250)
  assert.deepEqual(bench.changes.at(-1), ['a', undefined])
  assert.equal(bench.changes.filter(([, load]) => load === undefined).length, 1)
  const asked = bench.askedAtMs.length
  bench.answer = { kind: 'load', load: LOAD }
  await bench.clock.advance(100_000, 250)
  assert.deepEqual(bench.changes.at(-1), ['a', 0.25])
  assert.deepEqual(
    bench
      .gaps()
      .slice(asked + 1)
      .filter((gap) => gap !== 5),
    [],
  )
})

test('what is our own fault changes nothing', async (t) => {
  const bench = new Bench(t)
  bench.polls.update([AGENT])
  await bench.clock.advance(6_000, 250)
  const before = bench.changes.length
  bench.answer = { kind: 'nothing' }
  await bench.clock.advance(60_000, 250)
  assert.equal(bench.changes.length, before)
  assert.ok(
    bench
      .gaps()
      .slice(1)
      .every((gap) => gap === 5),
  )
})

test('targets that stay keep their beat, others are asked at once or no more', async (t) => {
  const bench = new Bench(t)
  bench.polls.update([AGENT])
  await bench.clock.advance(1)
  bench.polls.update([AGENT, { ...AGENT, key: 'b' }])
  await bench.clock.advance(1)
  assert.deepEqual(bench.changes, [
    ['a', 0.25],
    ['b', 0.25],
  ])
  bench.polls.update([{ ...AGENT, address: '10.0.0.2' }])
  assert.deepEqual(bench.changes.at(-1), ['a', undefined], 'another address is another backend')
  bench.polls.stop()
  await bench.clock.advance(100_000, 1_000)
  bench.polls.update([AGENT])
  assert.equal(bench.changes.length, 3)
})

test('many agents are asked without any time passing: who has answered makes room for the next', async (t) => {
  const bench = new Bench(t)
  bench.polls.update(Array.from({ length: 200 }, (_, index) => ({ ...AGENT, key: `${index}` })))
  await bench.clock.advance(0)
  assert.equal(bench.askedAtMs.length, 200)
})

test('an agent of UDP is asked with a datagram, which may be lost, and answers with one; nobody else does', async (t) => {
  const before = openSockets(process.pid)
  const report = Buffer.from(JSON.stringify(LOAD))
  const askOne = async (answerTo: (question: number) => Buffer | undefined, timeoutMs = 5_000): Promise<LoadAnswer> => {
    const agent = createSocket('udp4')
    let questions = 0
    agent.on('message', (bytes, { port, address }) => {
      assert.deepEqual(bytes, Buffer.from(loadQuestion()))
      const answer = answerTo(questions++)
      if (answer !== undefined) agent.send(answer, port, address)
    })
    await new Promise<void>((resolve) => agent.bind(0, '127.0.0.1', resolve))
    const { port } = agent.address()
    const result = await askByDatagram({ address: '127.0.0.1', port }, NEVER, NO_LAG, timeoutMs)
    await new Promise<void>((resolve) => agent.close(resolve))
    return result
  }
  await t.test('peers', async () => {
    const [first, second, wrong, silent] = await Promise.all([
      askOne(() => report),
      askOne((question) => (question === 0 ? undefined : report)),
      askOne(() => Buffer.from('hello')),
      askOne(() => undefined, 50),
    ])
    assert.deepEqual(
      [first, second],
      [LOAD, LOAD].map((load) => ({ kind: 'load', load })),
    )
    assert.deepEqual([wrong, silent], [NO_ANSWER, NO_ANSWER])
    const nobody = await askByDatagram({ address: '127.0.0.1', port: 1 }, NEVER, NO_LAG, 5_000)
    assert.deepEqual(nobody, NO_ANSWER)
    // As where there is no route, connect(2) itself fails: this socket may not send to everybody (EACCES).
    const unreachable = await askByDatagram({ address: '255.255.255.255', port: 1 }, NEVER, NO_LAG, 5_000)
    assert.deepEqual(unreachable, NO_ANSWER)
    const sourceless = { address: '127.0.0.1', port: 1, sourceAddress: '192.0.2.7' }
    assert.deepEqual(await askByDatagram(sourceless, NEVER, NO_LAG, 5_000), NO_ANSWER)
    const stopped = await askByDatagram({ address: '127.0.0.1', port: 1 }, AbortSignal.timeout(0), NO_LAG, 5_000)
    assert.ok(['nothing', 'no-answer'].includes(stopped.kind))
  })
  await eventually('all sockets are closed', () => openSockets(process.pid) <= before)
})

test('a host without a free port for the question over UDP cannot tell', () => {
  // In a network of its own, because the range holds for everybody in it.
  const program = `
    import { createSocket } from 'node:dgram'
    import { once } from 'node:events'
    import { writeFileSync } from 'node:fs'
    import { askByDatagram } from '${new URL('./ask-by-datagram.js', import.meta.url)}'
    import { NEVER, NO_LAG } from '${new URL('./test-backends.js', import.meta.url)}'
    writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', '50000 50003')
    for (let port = 0; port < 4; port++) await once(createSocket('udp4').bind(0), 'listening')
    console.log((await askByDatagram({ address: '127.0.0.1', port: 1 }, NEVER, NO_LAG, 5_000)).kind)
    process.exit()
  `
  const shell = 'ip link set lo up && exec "$0" --input-type=module -e "$1"'
  const said = execFileSync('unshare', ['-n', 'sh', '-c', shell, process.execPath, program], { encoding: 'utf8' })
  assert.equal(said, 'nothing\n')
})

test('an agent is asked with a LOCAL header and answers with one line; everything else is no answer', async (t) => {
  const before = openSockets(process.pid)
  const report = JSON.stringify(LOAD)
  const cases: [string, (socket: Socket) => void, boolean][] = [
    ['a report', (socket) => socket.end(`${report}\n`), true],
    ['in pieces', (socket) => socket.write(report.slice(0, 9), () => socket.end(report.slice(9))), true],
    ['nothing', (socket) => socket.end(), false],
    ['a line', (socket) => socket.end('hello\n'), false],
    ['no load', (socket) => socket.end('{}'), false],
    ['a load out of bounds', (socket) => socket.end('{"cpu_utilization":7}'), false],
    ['half a report', (socket) => socket.end(report.slice(0, 20)), false],
    ['a reset', (socket) => socket.resetAndDestroy(), false],
    ['a long report', (socket) => socket.end(`${report}${' '.repeat(4_096)}`), false],
    ['too much', (socket) => socket.end('x'.repeat(100_000)), false],
    ['silence', () => {}, false],
  ]
  await t.test('peers', async (t) => {
    for (const [name, answer, isProper] of cases) {
      const questions: Buffer[] = []
      const port = await startBackend(t, (socket) => {
        socket.on('end', () => socket.destroy())
        socket.once('data', (bytes: Buffer) => {
          questions.push(bytes)
          answer(socket)
        })
      })
      const isSilent = name === 'silence'
      const timeoutMs = isSilent ? 100 : 5_000
      const result = await askForLoad({ address: '127.0.0.1', port }, NEVER, NO_LAG, timeoutMs)
      assert.deepEqual(result, isProper ? { kind: 'load', load: LOAD } : NO_ANSWER, name)
      // On a busy machine, who is not waited for long may be left before it has heard the question.
      if (!isSilent) assert.deepEqual(questions, [Buffer.from(loadQuestion())], name)
    }
    const refused = await askForLoad({ address: '127.0.0.1', port: 1 }, NEVER, NO_LAG)
    assert.deepEqual(refused, NO_ANSWER)
  })
  await eventually('all sockets are closed', () => openSockets(process.pid) <= before)
})
