import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { type DemoHosts, IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import { APP, APP6 } from './agent.ts'
import { headerAtFront } from './captured-headers.ts'
import { eventually } from './eventually.ts'
import { edgeHosts, routeForAgent } from './hosts.ts'
import { peerOf, type RecordingApp, readUntilClosed, startRecordingApp } from './recording-app.ts'

/** Where a backend host keeps what senders send it, without an agent. */
export const RECORDER = `${IPV4.backend}:109`
const RECORDER6 = `[${IPV6.backend}]:109`

/** Client, edge and backend, the backend with routing for an agent and an app behind it, and a recorder of headers. */
export type InteropHosts = DemoHosts & { readonly app: PeerApp; readonly recorder: RecordingApp }

/** An app that answers the first bytes of each connection, HTTP or not, with the peer that it sees. */
export type PeerApp = { readonly peers: string[] }

/** Builds the hosts; they are removed when the test ends. */
export async function interopHosts(t: TestContext, { hasApp = true } = {}): Promise<InteropHosts> {
  const hosts = await edgeHosts(t)
  await routeForAgent(hosts.backend)
  const app = hasApp ? await startPeerApp(hosts) : { peers: [] }
  return { ...hosts, app, recorder: await startRecordingApp(hosts.backend, [RECORDER, RECORDER6]) }
}

/** Starts the app on both of the agent's targets. */
export async function startPeerApp({ backend }: DemoHosts): Promise<PeerApp> {
  const peers: string[] = []
  const onConnection = (socket: Socket): void => {
    const peer = peerOf(socket)
    peers.push(peer)
    socket.once('data', (request: Buffer) => {
      const isHttp = /^[A-Z]+ \S+ HTTP\//.test(request.toString('latin1'))
      const head = `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${peer.length}\r\n\r\n`
      socket.end(isHttp ? head + peer : peer)
    })
  }
  for (const endpoint of [APP, APP6]) await backend.listen(endpoint, onConnection)
  return { peers }
}

/** Says a word over a connection and returns all that comes back; the connection is closed only after that. */
export async function answerTo(socket: Socket, word = 'hello'): Promise<string> {
  const answer = readUntilClosed(socket)
  socket.write(word)
  const text = (await answer).toString()
  socket.destroy()
  return text
}

/** Says `word` over a connection that leads to the recorder, and returns the header that arrived before it there. */
export async function headerBefore(recorder: RecordingApp, socket: Socket, word: string): Promise<Buffer> {
  if (socket.connecting) await once(socket, 'connect')
  socket.write(word)
  const header = await recordedHeader(recorder, (received) => received.toString('latin1').endsWith(word))
  socket.destroy()
  return header
}

/** Waits until the recorder has a connection whose bytes satisfy `isWanted`, and returns its header. */
export async function recordedHeader(
  recorder: RecordingApp,
  isWanted: (received: Buffer) => boolean = () => true,
): Promise<Buffer> {
  let header: Buffer | undefined
  await eventually('the recorder has the header', () => {
    const found = recorder.seen.find(({ received }) => received.length > 0 && isWanted(received))
    header = found === undefined ? undefined : headerAtFront(found.received)
    return header !== undefined
  })
  return header ?? Buffer.alloc(0)
}
