// A worker that is stuck inside the kernel, as under a debugger: what the operator, probes and the service manager see.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import type { Program } from '../../src/lab/program.ts'
import { APP, startAgent } from '../rig/agent.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts } from '../rig/hosts.ts'

/** Stops one thread, as a debugger does, until it is ended itself. */
const STOP_THREAD = `
use strict;
my $thread = 0 + shift;
syscall(101, 0x4206, $thread, 0, 0) == 0 or die "PTRACE_SEIZE: $!";
syscall(101, 0x4207, $thread, 0, 0) == 0 or die "PTRACE_INTERRUPT: $!";
$| = 1;
print "stopped\\n";
# A thread that has ended is there until whoever has traced it has heard so (__WALL).
1 while waitpid(-1, 0x40000000) > 0;
`
/** epoll_wait(2) by its number; node's own loops use epoll_pwait(2). */
const EPOLL_WAIT = '232'
const isSkipped = process.arch === 'x64' ? false : 'the numbers of system calls are those of x86-64'

/** The threads that wait in our own call of epoll_wait: the workers. */
function workersOf({ pid }: Program): string[] {
  const tasks = `/proc/${pid}/task`
  return readdirSync(tasks).filter((thread) => {
    try {
      return readFileSync(`${tasks}/${thread}/syscall`, 'utf8').startsWith(`${EPOLL_WAIT} `)
    } catch {
      // It has ended meanwhile.
      return false
    }
  })
}

async function start(t: TestContext, flags: readonly string[]) {
  const { backend } = await agentHosts(t)
  await backend.listen(APP, (socket) => socket.end())
  const agent = await startAgent(backend, ['--listeners', '2', '--worker-timeout', '2s', ...flags])
  const stopOne = async (): Promise<Program> => {
    let workers: string[] = []
    await eventually('both workers wait', () => {
      workers = workersOf(agent.program)
      return workers.length === 2
    })
    const stopper = backend.start('perl', ['-e', STOP_THREAD, workers[0]])
    await stopper.waitForLine(/stopped/)
    return stopper
  }
  return { agent, stopOne }
}

test('a worker that is stopped: health, readiness, metrics and log say so, until it goes on', {
  skip: isSkipped,
}, async (t) => {
  const { agent, stopOne } = await start(t, [])
  assert.equal((await agent.ask('GET', '/healthz')).status, 200)
  const stopper = await stopOne()
  await eventually('it is found out', async () => (await agent.ask('GET', '/healthz')).status === 503)
  assert.equal((await agent.ask('GET', '/readyz')).status, 503)
  assert.match((await agent.ask('GET', '/healthz')).body, /^workers that do not answer: [01]\n$/)
  const ups = await Promise.all([0, 1].map((worker) => agent.metric(`truepeer_worker_up{worker="${worker}"}`)))
  assert.deepEqual(ups.sort(), [0, 1])
  assert.equal((await agent.ask('GET', '/connections')).status, 200)
  await agent.program.waitForLine(/a worker is stuck: its clients get no answers/)
  await stopper.stop()
  await eventually('it is back', async () => (await agent.ask('GET', '/readyz')).status === 200)
  assert.ok((await agent.metric('truepeer_worker_stalls_total')) >= 1)
})

test('a process with a stuck worker ends when it is told to, and by itself with --on-stuck-worker abort', {
  skip: isSkipped,
}, async (t) => {
  const told = await start(t, ['--drain-timeout', '100ms'])
  await told.stopOne()
  await eventually('it is found out', async () => (await told.agent.ask('GET', '/healthz')).status === 503)
  assert.equal((await told.agent.program.stop(60_000)).signal, 'SIGKILL')
  const aborting = await start(t, ['--on-stuck-worker', 'abort'])
  await aborting.stopOne()
  const { signal } = await aborting.agent.program.exited
  assert.equal(signal, 'SIGABRT')
  assert.match(aborting.agent.program.texts().join('\n'), /Worker [01] is stuck: it has not answered for 2000 ms/)
})
