import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readToEnd } from '../../src/lab/sockets.ts'
import { EAGAIN } from '../../src/linux/errno.ts'
import { native } from '../../src/linux/native.ts'
import { AGENT, APP, APP6, CLIENT, headerFrom } from '../rig/agent.ts'
import { datagramHeader } from '../rig/datagram-headers.ts'
import { openDatagrams, startDatagramApp } from '../rig/datagrams.ts'
import { eventually } from '../rig/eventually.ts'
import { agentHosts, EDGE } from '../rig/hosts.ts'
import { PASS_SOCKETS } from '../rig/pass-sockets.ts'
import { TRUEPEER } from '../rig/truepeer.ts'

const AGENT_FLAGS = ['agent', '-l', AGENT, '-4', APP, '-6', APP6, '--allow-all-subnets']

/** The messages that a service sends to its manager. */
function openManager(): { readonly path: string; received(): string[]; close(): void } {
  const path = join(tmpdir(), `notify-${randomUUID()}`)
  const address = Buffer.concat([Buffer.from([1, 0]), Buffer.from(path)])
  const fd = native.socket(1, 2, 0)
  assert.equal(native.bind(fd, address, 0, address.length), 0)
  const messages: string[] = []
  const buffer = new Uint8Array(4_096)
  return {
    path,
    received() {
      for (let count = 0; count !== EAGAIN; ) {
        count = native.recv(fd, buffer, 0, buffer.length, 0x40)
        if (count > 0) messages.push(Buffer.from(buffer.subarray(0, count)).toString().split('\n')[0])
      }
      return messages
    },
    close: () => native.close(fd),
  }
}

test('passed sockets are served by every worker, and by one if it is of UDP, and stay open for the next agent', async (t) => {
  const { edge, backend } = await agentHosts(t)
  await backend.listen(APP, (socket) => socket.end('hello'))
  startDatagramApp(t, backend, APP)
  const words = [TRUEPEER, ...AGENT_FLAGS, '--listeners', '2', '-p', 'tcp,udp']
  const program = backend.start('perl', ['-e', PASS_SOCKETS, `${AGENT},udp:${AGENT}`, ...words])
  await program.waitForLine(/"msg":"listening"/)
  for (let count = 0; count < 20; count++) {
    const socket = await edge.connect({ to: AGENT })
    socket.write(headerFrom(CLIENT, 40_000 + count))
    assert.equal((await readToEnd(socket)).toString(), 'hello')
    socket.destroy()
    const datagrams = openDatagrams(t, edge, `${EDGE}:0`)
    const client = `${CLIENT}:${40_000 + count}`
    assert.equal(await datagrams.ask(`${datagramHeader(client)}x`, AGENT), `${APP} ${client} x`)
  }
  assert.equal((await program.stop()).exitCode, 0)
})

test('a passed socket that no listener asks for is an error that names it', async (t) => {
  const { backend } = await agentHosts(t)
  const program = backend.start('perl', ['-e', PASS_SOCKETS, '10.128.0.2:999', TRUEPEER, ...AGENT_FLAGS])
  assert.equal((await program.exited).exitCode, 1)
  assert.match(program.texts().join('\n'), /passed a socket on "10\.128\.0\.2:999"/)
})

test('the service manager hears of ready, watchdog, reloading and stopping', async (t) => {
  const { backend } = await agentHosts(t)
  const manager = openManager()
  t.after(() => manager.close())
  const environment = [`NOTIFY_SOCKET=${manager.path}`, 'WATCHDOG_USEC=200000']
  const program = backend.start('env', [...environment, TRUEPEER, ...AGENT_FLAGS])
  await program.waitForLine(/"msg":"listening"/)
  await eventually('ready', () => manager.received()[0] === 'READY=1')
  await eventually('watchdog', () => manager.received().filter((text) => text === 'WATCHDOG=1').length >= 2)
  program.signal('SIGHUP')
  await eventually('reloading, then ready again', () => {
    const messages = manager.received().filter((text) => text !== 'WATCHDOG=1')
    return messages.join() === 'READY=1,RELOADING=1,READY=1'
  })
  assert.equal((await program.stop()).exitCode, 0)
  assert.ok(manager.received().includes('STOPPING=1'))
})
