// The whole chain over UDP and TCP on one address and port: client, edge, agent, and an app that sees the client.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import { openDatagrams, startDatagramApp } from '../rig/datagrams.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts, routeForAgent } from '../rig/hosts.ts'
import { Conversation, LineApp } from '../rig/line-app.ts'
import { startTruepeer } from '../rig/truepeer.ts'

const APP_PORT = 5353

for (const { family, client: from, edge: to, edgeSource, backend: at, app: loopback } of [IPV4, IPV6]) {
  test(`${family}: the app sees the client's own address and port, in each datagram, and the edge knows its load`, async (t) => {
    const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address)
    const [frontend, agentAt] = [`${bracketed(to)}:53`, `${bracketed(at)}:53`]
    const appAt = `${bracketed(loopback)}:${APP_PORT}`
    const { client, edge, backend } = await edgeHosts(t)
    await routeForAgent(backend)
    const app = startDatagramApp(t, backend, appAt)
    const lines = await new LineApp(backend, appAt).open()
    const target = family === 'IPv4' ? ['-4', appAt, '-6', 'none'] : ['-6', appAt, '-4', 'none']
    await startTruepeer(backend, 'agent', ['-l', agentAt, ...target, '-p', 'tcp,udp', '--allow-all-subnets'])
    const words = ['--listen', frontend, '--backend', agentAt, '-p', 'tcp,udp', '--max-utilization', '0.9']
    const live = await startTruepeer(edge, 'edge', words)

    const clients = [1, 2, 3].map(() => openDatagrams(t, client, `${bracketed(from)}:0`))
    for (const text of ['one', '', 'y'.repeat(1_200)]) {
      for (const one of clients) {
        const own = `${bracketed(from)}:${one.socket.address().port}`
        one.send(text, frontend)
        assert.deepEqual(await one.next(), { text: `${appAt} ${own} ${text}`, from: frontend })
      }
    }
    assert.ok(app.seen.every((seen) => !seen.from.includes(edgeSource)))
    const talk = await Conversation.open(client, frontend)
    assert.equal(await talk.ask('tcp'), appAt)
    talk.socket.destroy()
    assert.equal(lines.clients, 1)

    await eventually('the agent has told its load over both', async () => {
      const { services } = await live.status()
      const backends = services.flatMap(({ groups }) => groups.flatMap((group) => group.backends))
      return backends.length === 2 && backends.every(({ utilization }) => utilization !== undefined)
    })
  })
}
