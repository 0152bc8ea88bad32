// Small apps: one that a test answers for, one that echoes, one that never accepts.
import assert from 'node:assert/strict'
import type { Server, Socket } from 'node:net'
import { parseEndpoint } from '../../src/address/endpoint.ts'
import type { Host } from '../../src/lab/host.ts'
import { native } from '../../src/linux/native.ts'
import { bindTo, close, connectTo, openStream, setReuseAddress } from '../../src/linux/socket.ts'
import { APP } from './agent.ts'
import { eventually } from './eventually.ts'

/** An app whose connections a test takes one by one, in the order of their arrival; they allow half-open. */
export type TakingApp = {
  readonly server: Server
  /** How many have arrived so far. */
  count(): number
  next(): Promise<Socket>
}

/** Listens on a host without answering anything. */
export async function startTakingApp(host: Host, endpoint = APP): Promise<TakingApp> {
  const arrived: Socket[] = []
  let count = 0
  const server = await host.listen(endpoint, (socket) => {
    count += 1
    arrived.push(socket)
  })
  return {
    server,
    count: () => count,
    async next() {
      await eventually('a connection arrives at the app', () => arrived.length > 0)
      const socket = arrived.shift()
      assert.ok(socket)
      return socket
    },
  }
}

/** Starts an app that sends back all that it gets. */
export function startEchoApp(host: Host, endpoint = APP): Promise<Server> {
  return host.listen(endpoint, (socket) => void socket.pipe(socket))
}

/** Listens on a host with a queue that is already full, so that SYNs are not answered; call the result to end it. */
export function startBlackHole(host: Host, endpoint = APP): () => void {
  const parsed = parseEndpoint(endpoint)
  assert.ok(parsed)
  return host.enter(() => {
    const listener = openStream(parsed.address.family)
    setReuseAddress(listener)
    assert.equal(bindTo(listener, parsed.address, parsed.port), 0)
    assert.equal(native.listen(listener, 0), 0)
    const queued = openStream(parsed.address.family)
    connectTo(queued, parsed)
    return () => {
      close(queued)
      close(listener)
    }
  })
}
