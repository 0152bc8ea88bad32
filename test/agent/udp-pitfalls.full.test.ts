// What goes wrong in other agents for UDP (B3, B14 to B18), tried on ours and on Debian's go-mmproxy: the same hosts, the
// same datagrams, and what was seen.
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import type { Host } from '../../src/lab/host.ts'
import type { Program } from '../../src/lab/program.ts'
import { AGENT, APP, APP6, CLIENT, startAgent } from '../rig/agent.ts'
import { datagramHeader, localHeader } from '../rig/datagram-headers.ts'
import { openDatagrams, startDatagramApp, type TestDatagrams } from '../rig/datagrams.ts'
import { eventually, pause } from '../rig/eventually.ts'
import { agentHosts, EDGE } from '../rig/hosts.ts'

const GO_MMPROXY = '/usr/bin/go-mmproxy'
const FIRST = `${CLIENT}:5001`
const SECOND = '209.52.88.5:5001'
/** For what may never come. */
const QUIET_MS = 700
const MAX_FLOWS = 500
const SOURCES = 3_000

type Rig = { readonly t: TestContext; readonly edge: Host; readonly backend: Host; readonly program: Program }

type Pitfall = {
  readonly id: string
  readonly name: string
  /** What is seen, in words. */
  readonly see: (rig: Rig) => Promise<string>
  readonly ours: string
  /** What go-mmproxy 2.1-1 of Debian shows. */
  readonly goMmproxy: string
}

const PITFALLS: readonly Pitfall[] = [
  {
    id: 'B3',
    name: 'two clients over one socket of the edge',
    see: async ({ t, edge, backend }) => {
      const app = startDatagramApp(t, backend, APP)
      const socket = openDatagrams(t, edge, `${EDGE}:0`)
      for (const client of [FIRST, SECOND, FIRST]) await socket.ask(`${datagramHeader(client)}x`, AGENT)
      return app.seen.map(({ from }) => from).join(' ')
    },
    ours: `${FIRST} ${SECOND} ${FIRST}`,
    goMmproxy: `${FIRST} ${SECOND} ${FIRST}`,
  },
  {
    id: 'B14',
    name: 'two sockets that name no client',
    see: async ({ t, edge, backend }) => {
      startDatagramApp(t, backend, APP)
      const sockets = [openDatagrams(t, edge, `${EDGE}:6001`), openDatagrams(t, edge, `${EDGE}:6002`)]
      for (const [index, socket] of sockets.entries()) {
        socket.send(`${localHeader()}${index}`, AGENT)
        await pause(QUIET_MS, 'an answer to the wrong one has to have come, too')
      }
      return sockets.map(textsOf).join(' | ')
    },
    ours: '0 | 1',
    goMmproxy: '0 1 | ',
  },
  {
    id: 'B15',
    name: 'the edge comes with another socket for the same client',
    see: async ({ t, edge, backend }) => {
      startDatagramApp(t, backend, APP)
      const sockets = [openDatagrams(t, edge, `${EDGE}:6001`), openDatagrams(t, edge, `${EDGE}:6002`)]
      for (const [index, socket] of sockets.entries()) {
        socket.send(`${datagramHeader(FIRST)}${index}`, AGENT)
        await pause(QUIET_MS, 'an answer to the wrong one has to have come, too')
      }
      return sockets.map(textsOf).join(' | ')
    },
    ours: '0 | 1',
    goMmproxy: '0 1 | ',
  },
  {
    id: 'B16',
    name: `${SOURCES} sources at once, and a client that was there before`,
    see: async ({ t, edge, backend, program }) => {
      const app = startDatagramApp(t, backend, APP)
      const socket = openDatagrams(t, edge, `${EDGE}:0`)
      for (const text of ['one', 'two']) await socket.ask(`${datagramHeader(FIRST)}${text}`, AGENT)
      const flood = openDatagrams(t, edge, `${EDGE}:0`)
      for (let source = 0; source < SOURCES; source++) {
        flood.send(`${datagramHeader(`198.51.${source >> 8}.${source & 255}:7`)}x`, AGENT)
        if (source % 100 === 99) await pause(5, 'no more at once than the queues of the kernel hold')
      }
      // On a busy machine, others have their places before all of them are answered.
      await eventually('many have reached the app', () => app.seen.length > SOURCES / 4)
      await pause(QUIET_MS, 'the last of them have been looked at')
      const { length } = readdirSync(`/proc/${program.pid}/fd`)
      const answered = await answers(socket, `${datagramHeader(FIRST)}three`)
      return `${length <= MAX_FLOWS + 100 ? 'bounded' : 'without bound'}, ${answered}`
    },
    ours: 'bounded, answered',
    goMmproxy: 'without bound, answered',
  },
  {
    id: 'B17',
    name: 'the app is down, and comes back',
    see: async ({ t, edge, backend }) => {
      const socket = openDatagrams(t, edge, `${EDGE}:0`)
      for (let count = 0; count < 3; count++) {
        socket.send(`${datagramHeader(FIRST)}early`, AGENT)
        await pause(100, 'the answer is an ICMP error, which nobody here sees')
      }
      startDatagramApp(t, backend, APP)
      return answers(socket, `${datagramHeader(FIRST)}x`)
    },
    ours: 'answered',
    goMmproxy: 'silent',
  },
  {
    id: 'B18',
    name: 'an empty datagram, both ways',
    see: async ({ t, edge, backend }) => {
      const app = openDatagrams(t, backend, APP)
      const socket = openDatagrams(t, edge, `${EDGE}:0`)
      socket.send(`${datagramHeader(FIRST)}one`, AGENT)
      const { from } = await app.next()
      socket.send(datagramHeader(FIRST), AGENT)
      await pause(QUIET_MS, 'it may be lost')
      const forward = app.received.splice(0).map(({ text }) => JSON.stringify(text))
      for (const text of ['', 'two']) app.send(text, from)
      await pause(QUIET_MS, 'they may be lost')
      return `${forward} ${socket.received.map(({ text }) => JSON.stringify(text))}`
    },
    ours: '"" "","two"',
    goMmproxy: '"" ',
  },
]

/** The texts of a {@link startDatagramApp}'s answers, without what the app says of itself and of the client. */
function textsOf(socket: TestDatagrams): string {
  return socket.received.map(({ text }) => text.split(' ').at(-1)).join(' ')
}

async function answers(socket: TestDatagrams, datagram: string): Promise<string> {
  socket.received.length = 0
  socket.send(datagram, AGENT)
  await pause(QUIET_MS, 'there may be no answer')
  return socket.received.length > 0 ? 'answered' : 'silent'
}

for (const { id, name, see, ours, goMmproxy } of PITFALLS) {
  test(`${id}: ${name}`, async (t) => {
    const { edge, backend } = await agentHosts(t)
    const { program } = await startAgent(backend, ['-p', 'udp', '--max-flows', String(MAX_FLOWS)])
    assert.equal(await see({ t, edge, backend, program }), ours)
  })

  test(`${id} with go-mmproxy: ${name}`, { skip: !existsSync(GO_MMPROXY) }, async (t) => {
    const { edge, backend } = await agentHosts(t)
    const program = backend.start(GO_MMPROXY, ['-p', 'udp', '-l', AGENT, '-4', APP, '-6', APP6])
    await program.waitForLine(/listening/)
    const seen = await see({ t, edge, backend, program })
    t.diagnostic(`${id}: ours "${ours}", go-mmproxy "${seen}"`)
    assert.equal(seen, goMmproxy)
  })
}
