import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import { parseIpAddress, unmapAddress } from '../address/ip-address.ts'
import { CLOSED_EARLY, type Connected, connect, finish, type TlsFindings, type VerifyTarget } from './connect.ts'
import { LineReader } from './line-reader.ts'
import { PINGS, peerIn } from './whoami-protocol.ts'
import { type Latency, latencyOf, type Seen, seenBy, whoamiProblems } from './whoami-seen.ts'

/** An app that greets does so at once; one that waits for its client is given this long. */
const GREETING_MS = 1_000
/** An agent tries an app that is down for five seconds before it ends the connection. */
const SILENCE_MS = 6_000
const ANSWER_MS = 5_000
const TRANSFER_BYTES = 32 * 1024 * 1024
const TRANSFER_MS = 3_000
const CHUNK = Buffer.alloc(64 * 1024, 'x')

/** What the app behind the frontend is, as far as a client can see. */
export type AppFindings =
  | { readonly kind: 'other' }
  /** Nothing came, and the connection is still open. */
  | { readonly kind: 'silent' }
  /** The connection was closed before a byte came. */
  | { readonly kind: 'none' }
  | (Seen & {
      readonly kind: 'whoami'
      readonly latencyMs: Latency
      /** Megabits per second of payload. */
      readonly throughput: { readonly toClient: number; readonly toApp: number }
    })

/** All that `truepeer verify` has found out. */
export type VerifyResult = {
  readonly target: string
  /** The address that this host connects from. */
  readonly client: string
  readonly connectMs: number
  readonly tls: TlsFindings | undefined
  readonly app: AppFindings
  /** What is wrong, a sentence with a remedy each; empty: nothing. */
  readonly problems: readonly string[]
}

/** Connects to a frontend and finds out what a client sees of it. @throws Error when it cannot be connected to */
export async function verify({
  isClientFirst,
  ...target
}: VerifyTarget & { readonly isClientFirst: boolean }): Promise<VerifyResult> {
  const connected = await connect(target)
  try {
    const client = localEndpoint(connected.socket)
    const app = await lookAtApp(connected, client, target)
    const { connectMs, tls } = connected
    const host = target.host.includes(':') ? `[${target.host}]` : target.host
    return {
      target: `${host}:${target.port}`,
      client: formatEndpoint(client),
      connectMs,
      tls,
      app,
      problems: [...tlsProblems(tls), ...appProblems(app, formatEndpoint(client), isClientFirst)],
    }
  } finally {
    await finish(connected.socket)
  }
}

async function lookAtApp({ socket }: Connected, client: Endpoint, target: VerifyTarget): Promise<AppFindings> {
  const reader = new LineReader(socket)
  const greeting = await reader.line(GREETING_MS)
  const sees = peerIn(greeting ?? '')
  if (sees === undefined) {
    if (greeting !== undefined) return { kind: 'other' }
    await reader.untilHeard(SILENCE_MS)
    if (reader.isOver) return { kind: 'none' }
    return { kind: reader.hasBytes ? 'other' : 'silent' }
  }
  let header: string | undefined
  const times: number[] = []
  for (let count = 0; count < PINGS; count++) {
    const startedMs = performance.now()
    socket.write(`ping ${count}\n`)
    let answer = await reader.line(ANSWER_MS)
    if (answer?.startsWith('header ')) {
      header = answer.slice('header '.length)
      answer = await reader.line(ANSWER_MS)
    }
    if (answer !== `pong ${count}`)
      throw new Error(`The app stopped answering at question ${count}; is it still running?`)
    times.push(performance.now() - startedMs)
  }
  return {
    kind: 'whoami',
    ...seenBy(sees, client, header),
    latencyMs: latencyOf(times),
    throughput: { toClient: await measureToClient(target), toApp: await measureToApp(target) },
  }
}

function measureToClient(target: VerifyTarget): Promise<number> {
  return measure(target, async (socket, reader) => {
    socket.write(`send ${TRANSFER_BYTES}\n`)
    return await reader.take(TRANSFER_BYTES, TRANSFER_MS)
  })
}

function measureToApp(target: VerifyTarget): Promise<number> {
  return measure(target, async (socket, reader) => {
    socket.write(`take ${TRANSFER_BYTES}\n`)
    const deadlineMs = performance.now() + TRANSFER_MS
    let sent = 0
    while (sent < TRANSFER_BYTES && performance.now() < deadlineMs && !socket.destroyed) {
      sent += CHUNK.length
      if (!socket.write(CHUNK)) await Promise.race([once(socket, 'drain'), pause(deadlineMs - performance.now())])
    }
    if (sent === TRANSFER_BYTES) await reader.line(deadlineMs - performance.now())
    return sent - socket.writableLength
  })
}

/** Megabits per second of a transfer on a connection of its own, from the greeting on. */
async function measure(
  target: VerifyTarget,
  transfer: (socket: Socket, reader: LineReader) => Promise<number>,
): Promise<number> {
  const { socket } = await connect(target)
  try {
    const reader = new LineReader(socket)
    await reader.line(GREETING_MS)
    const startedMs = performance.now()
    const bytes = await transfer(socket, reader)
    return (bytes * 8) / 1_000 / (performance.now() - startedMs)
  } finally {
    await finish(socket)
  }
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, durationMs)).unref())
}

function localEndpoint({ localAddress, localPort }: Socket): Endpoint {
  const address = parseIpAddress(localAddress ?? '')
  if (address === undefined) throw new Error(CLOSED_EARLY)
  return { address: unmapAddress(address), port: localPort ?? 0 }
}

function tlsProblems(tls: TlsFindings | undefined): string[] {
  if (tls === undefined || tls.isVerified) return []
  return [`The certificate is not verified: ${tls.problem ?? ''}; give its root by --ca and its name by --servername`]
}

function appProblems(app: AppFindings, client: string, isClientFirst: boolean): string[] {
  if (app.kind === 'other' || (app.kind === 'silent' && isClientFirst)) return []
  if (app.kind === 'silent') {
    const reasons = 'give --tls if the frontend speaks TLS, and --client-first if the app waits for its client to speak'
    return [`Nothing came within ${SILENCE_MS / 1_000} s; is the app running? ${reasons}`]
  }
  return app.kind === 'none' ? [CLOSED_EARLY] : whoamiProblems(app, client)
}
