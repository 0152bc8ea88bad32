import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Host } from '../../src/lab/host.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { AGENT, APP, APP6, CLIENT, echoThrough, headerFrom, startAgent } from '../rig/agent.ts'
import { startEchoApp } from '../rig/apps.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually, pause } from '../rig/eventually.ts'
import { agentHosts } from '../rig/hosts.ts'
import { startTruepeer, TRUEPEER } from '../rig/truepeer.ts'

const FAILING_PROGRAM = fileURLToPath(new URL('../programs/failing-program.js', import.meta.url))
const USUAL = ['-l', AGENT, '-4', APP, '-6', APP6, '--allow-all-subnets']

/** Opens a connection through the agent and proves it by one message. */
async function establish(edge: Host): Promise<Socket> {
  const socket = await edge.connect({ to: AGENT })
  socket.write(`${headerFrom(CLIENT, 0)}hello`)
  await once(socket, 'data')
  return socket
}

async function isAnswered(socket: Socket, message: string): Promise<boolean> {
  const answer = once(socket, 'data')
  socket.write(message)
  return ((await answer)[0] as Buffer).toString() === message
}

/** Sends requests through the agent, `width` at a time, until told to stop; counts the answers and keeps the errors. */
function startLoad(edge: Host, width: number) {
  let isOver = false
  let answered = 0
  const failures: string[] = []
  const loops = Array.from({ length: width }, async () => {
    while (!isOver) {
      const answer = await echoThrough(edge, 'request')
      if (answer === 'request') answered += 1
      else failures.push(answer)
    }
  })
  return {
    failures,
    answered: () => answered,
    /** Waits until so many more have been answered. */
    goesOn(count: number): Promise<void> {
      const before = answered
      return eventually('requests are answered', () => answered >= before + count)
    },
    async stop() {
      isOver = true
      await Promise.all(loops)
    },
  }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} drains: who is queued is served, open connections end by themselves, then exit 0`, async (t) => {
    const { edge, backend } = await agentHosts(t)
    await startEchoApp(backend)
    const agent = await startAgent(backend, ['--listeners', '2'])
    const open = await establish(edge)
    agent.program.signal('SIGSTOP')
    const queued = await Promise.all(Array.from({ length: 200 }, () => edge.connect({ to: AGENT })))
    const answers = queued.map((socket) => readToEnd(socket))
    for (const socket of queued) socket.end(`${headerFrom(CLIENT, 0)}queued`)
    agent.program.signal(signal)
    agent.program.signal('SIGCONT')
    assert.deepEqual(new Set((await Promise.all(answers)).map(String)), new Set(['queued']))
    await eventually('nobody listens', () =>
      edge.connect({ to: AGENT }).then(
        () => false,
        (error) => error.code === 'ECONNREFUSED',
      ),
    )
    assert.ok(await isAnswered(open, 'still there'))
    assert.ok(agent.program.isRunning)
    open.end()
    assert.deepEqual(await agent.program.exited, { exitCode: 0, signal: undefined })
    assert.ok(agent.program.texts().some((line) => line.includes('"drained":true')))
  })
}

test('the drain timeout cuts what is still open, and the program exits with 0', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startEchoApp(backend)
  const agent = await startAgent(backend, ['--drain-timeout', '1s'])
  const open = await establish(edge)
  const startedMs = performance.now()
  const failed = once(open, 'error')
  agent.program.signal('SIGTERM')
  assert.deepEqual(await agent.program.exited, { exitCode: 0, signal: undefined })
  const tookMs = performance.now() - startedMs
  assert.ok(tookMs >= 950 && tookMs < 20_000, `${tookMs} ms`)
  const [error] = await failed
  assert.equal(error.code, 'ECONNRESET', 'not to be taken for an orderly end')
})

test('a second signal ends at once, with 0', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startEchoApp(backend)
  const agent = await startAgent(backend, ['--drain-timeout', '0'])
  const open = await establish(edge)
  agent.program.signal('SIGTERM')
  await agent.program.waitForLine(/"msg":"draining"/)
  assert.ok(await isAnswered(open, 'still there'))
  agent.program.signal('SIGTERM')
  assert.deepEqual(await agent.program.exited, { exitCode: 0, signal: undefined })
})

test('SIGHUP under load drops nothing, with a good list and with a bad one', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startEchoApp(backend)
  const file = join(testDirectory(t), 'subnets')
  writeFileSync(file, '0.0.0.0/0\n')
  const agent = await startAgent(backend, ['--listeners', '2', '--allowed-subnets', file])
  const open = await establish(edge)
  const load = startLoad(edge, 8)
  for (let turn = 0; turn < 20; turn++) {
    writeFileSync(file, turn % 2 === 0 ? 'not a subnet\n' : `0.0.0.0/0\n10.0.0.0/8\n`)
    const from = agent.program.output.length
    agent.program.signal('SIGHUP')
    await agent.program.waitForLine(turn % 2 === 0 ? /The reload failed/ : /"msg":"reloaded"/, { from })
    await load.goesOn(10)
  }
  await load.stop()
  assert.deepEqual(load.failures, [])
  assert.ok(await isAnswered(open, 'still there'))
})

test('an upgrade under load: a new process beside the old one, the old one drains, no client is refused or reset', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startEchoApp(backend)
  await backend.run('sh', ['-c', 'echo 1 > /proc/sys/net/ipv4/tcp_migrate_req'])
  let running = await startAgent(backend, ['--listeners', '2'])
  const open = await establish(edge)
  const load = startLoad(edge, 16)
  const processes = [running]
  for (let upgrade = 0; upgrade < 3; upgrade++) {
    await load.goesOn(100)
    const next = await startAgent(backend, ['--listeners', '2'])
    running.program.signal('SIGTERM')
    await running.program.waitForLine(/"msg":"draining"/)
    if (upgrade > 0) assert.deepEqual(await running.program.exited, { exitCode: 0, signal: undefined })
    running = next
    processes.push(next)
  }
  await load.goesOn(100)
  await load.stop()
  assert.deepEqual(load.failures, [])
  assert.ok(await isAnswered(open, 'of the first process'))
  open.end()
  assert.deepEqual(await processes[0].program.exited, { exitCode: 0, signal: undefined })
})

test('after kill -9 under load a new process serves on the same port at once', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startEchoApp(backend)
  const agent = await startAgent(backend)
  const open = await establish(edge)
  const load = startLoad(edge, 4)
  await eventually('load', () => load.answered() > 50)
  const ended = new Promise<string>((resolve) => {
    open.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    open.once('end', () => resolve('FIN'))
  })
  agent.program.signal('SIGKILL')
  await agent.program.exited
  await load.stop()
  assert.match(await ended, /FIN|ECONNRESET/)
  await startAgent(backend)
  assert.equal(await echoThrough(edge, 'served again'), 'served again')
})

test('an error that nobody has caught ends the program with status 1 at once, though its workers are in the kernel', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await startEchoApp(backend)
  const program = backend.start(process.execPath, [FAILING_PROGRAM, ...USUAL, '--listeners', '2'])
  await program.waitForLine(/"msg":"listening"/)
  const open = await establish(edge)
  const line = await program.waitForLine(/injected by a test/)
  assert.match(line, /"level":"fatal"/)
  assert.deepEqual(await program.exited, { exitCode: 1, signal: undefined })
  open.destroy()
})

for (const [name, redirection] of [
  // Opened for both, the pipe has a reader that never reads.
  ['a reader of stdout that does not read', 'exec 3<>"$0"; exec "$@" >"$0"'],
  ['a closed stdout', 'exec 3<>"$0" 4>"$0"; exec "$@" >&4 3<&-'],
] as const) {
  test(`${name} neither blocks nor ends the data path, and SIGTERM still ends the program`, async (t) => {
    const { edge, backend } = await agentHosts(t)
    await startEchoApp(backend)
    const pipe = join(testDirectory(t), 'pipe')
    await backend.run('mkfifo', [pipe])
    const agent = await startTruepeer(backend, 'agent', [...USUAL, '-v', '2'], {
      through: ['sh', '-c', redirection, pipe],
      isSilent: true,
    })
    const load = startLoad(edge, 16)
    // More records than a pipe holds.
    await eventually('a thousand connections', () => load.answered() >= 1_000, 60_000)
    await load.stop()
    assert.deepEqual(load.failures, [])
    assert.ok(agent.program.isRunning)
    agent.program.signal('SIGTERM')
    await eventually('it ends', () => !agent.program.isRunning)
    assert.deepEqual(await agent.program.exited, { exitCode: 0, signal: undefined })
  })
}

test('a signal while the program is starting ends it, though its workers are in the kernel', async (t) => {
  const { backend } = await agentHosts(t)
  // Sent at another moment of the start each time: before, while and after the workers come up.
  for (let delayMs = 60; delayMs <= 400; delayMs += 40) {
    const program = backend.start(TRUEPEER, ['agent', '-l', AGENT, '--allow-all-subnets', '--listeners', '2'])
    await pause(delayMs, 'another moment of the start each time')
    program.signal('SIGTERM')
    await eventually(`it ends after a signal at ${delayMs} ms`, () => !program.isRunning)
  }
})
