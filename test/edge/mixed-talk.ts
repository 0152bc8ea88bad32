// One conversation of many, from either end: what is said depends on its number, so that no wrong byte goes unseen.
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { native } from '../../src/linux/native.ts'
import { unsentBytes } from '../../src/linux/socket.ts'
import { ScaleBytes } from '../programs/scale-bytes.ts'
import { eventually, pause } from '../rig/eventually.ts'

/**
 * How a conversation goes: who says what first, and who ends it how. The resets come once all has arrived, and the
 * breaks, which are resets too, in the middle of what both say.
 */
export const KINDS = [
  'ask',
  'whole',
  'client-first',
  'app-first',
  'client-reset',
  'app-reset',
  'client-breaks',
  'app-breaks',
] as const
export type Kind = (typeof KINDS)[number]

/** What a client tells the app in its first line. */
export type Order = {
  readonly id: number
  readonly kind: Kind
  readonly bytesFromClient: number
  readonly bytesFromApp: number
  /** How slowly each end reads, in bytes a millisecond; 0: as fast as it can. */
  readonly clientReads: number
  readonly appReads: number
  /** Every piece of it ends with an urgent byte, which belongs to what is said; with TLS every piece of ciphertext. */
  readonly clientIsUrgent: boolean
  readonly appIsUrgent: boolean
  /** Between two questions of the kind `ask`. */
  readonly pauseMs: number
}

/** Of a question, and of its answer. */
const ASK_BYTES = 256
const PIECE_BYTES = 64 * 1024
const LINE_FEED = 0x0a
const MSG_OOB = 1
/** With all pauses of the processes in it, and a busy machine. */
const CONVERSATION_MS_MAX = 90_000

/** One end: the socket whose bytes are looked at, and the one with a descriptor below it. */
export type End = { readonly socket: Socket; readonly raw: Socket }

/** What node has below a socket. */
type Handle = { readonly fd: number; readStop(): void; readStart(): void }

function handleOf(raw: Socket): Handle | null {
  return (raw as unknown as { readonly _handle: Handle | null })._handle
}

function descriptor(raw: Socket): number {
  return handleOf(raw)?.fd ?? -1
}

/** Receives, checks and counts; slowly if told so. */
class Reader {
  readonly #bytes: ScaleBytes
  receivedBytes = 0
  /** `FIN`, or the code of an error; '' while it goes on. */
  end = ''
  #notify = (): void => {}

  constructor(end: End, bytes: ScaleBytes, bytesPerMs: number, front: Buffer) {
    const { socket } = end
    this.#bytes = bytes
    const take = (chunk: Buffer): void => {
      if (bytesPerMs > 0) rest(end, chunk.length / bytesPerMs)
      this.#take(socket, chunk)
    }
    if (front.length > 0) take(front)
    socket.on('data', take)
    socket.once('end', () => this.#endsWith('FIN'))
    for (const each of new Set([socket, end.raw])) {
      each.on('error', (error: NodeJS.ErrnoException) => this.#endsWith(error.code ?? error.message))
    }
    socket.once('close', () => this.#endsWith('closed'))
  }

  #take(socket: Socket, chunk: Buffer): void {
    if (!this.#bytes.isNext(chunk)) socket.destroy(new Error(`a wrong byte behind ${this.receivedBytes}`))
    this.receivedBytes += chunk.length
    this.#notify()
  }

  #endsWith(end: string): void {
    this.end ||= end
    this.#notify()
  }

  /** Settles once so many bytes have come, or it has ended; also when nothing happens any more. */
  async until(count: number): Promise<void> {
    const timer = setTimeout(() => this.#endsWith('nothing more comes'), CONVERSATION_MS_MAX)
    while (this.end === '' && this.receivedBytes < count) {
      await new Promise<void>((resolve) => {
        this.#notify = resolve
      })
    }
    clearTimeout(timer)
  }
}

/** Node reads on for a paused socket, into a buffer that it drops at a reset. The kernel is to keep what is unread. */
function rest({ socket, raw }: End, durationMs: number): void {
  socket.pause()
  if (socket === raw) handleOf(raw)?.readStop()
  setTimeout(() => {
    if (socket === raw) handleOf(raw)?.readStart()
    socket.resume()
  }, durationMs)
}

async function say(end: End, bytes: ScaleBytes, count: number, isUrgent: boolean): Promise<void> {
  for (let left = count; left > 0; ) {
    const piece = bytes.next(Math.min(left, PIECE_BYTES))
    left -= piece.length
    if (!(await write(end.socket, piece))) return
    // Inside of TLS nothing is urgent; see `urgently`.
    if (!isUrgent || left === 0 || end.socket !== end.raw) continue
    left -= 1
    sendUrgent(end.raw, bytes.next(1))
  }
}

/** Sends a byte as urgent, where node has nothing more to send and the kernel has room; else like any other. */
function sendUrgent(raw: Socket, byte: Uint8Array): void {
  if (raw.writableLength > 0 || native.send(descriptor(raw), byte, 0, 1, MSG_OOB) !== 1) raw.write(byte)
}

/** What TLS can speak through: whatever is sent in one piece ends with an urgent byte. */
export function urgently(raw: Socket): Duplex {
  const stream = new Duplex({
    // TLS would drop what a slow reader has not taken yet.
    autoDestroy: false,
    read: () => raw.resume(),
    write(piece: Buffer, _encoding, done) {
      const last = piece.length - 1
      raw.write(piece.subarray(0, last), (error) => {
        if (error == null) sendUrgent(raw, piece.subarray(last))
        done(error)
      })
    },
    final: (done) => void raw.end(done),
    destroy(error, done) {
      raw.destroy()
      done(error)
    },
  })
  raw.on('data', (chunk: Buffer) => {
    if (!stream.push(chunk)) raw.pause()
  })
  raw.once('end', () => stream.push(null))
  raw.once('close', () => {
    if (!raw.readableEnded) stream.destroy()
  })
  return stream
}

/** Reports whether all of it was taken; a socket that was destroyed meanwhile may never say. */
function write(socket: Socket, piece: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const onClose = (): void => resolve(false)
    socket.once('close', onClose)
    socket.write(piece, (error) => {
      socket.off('close', onClose)
      resolve(error == null)
    })
  })
}

/** Resets a connection, once the kernel has nothing more to send. */
async function reset(end: End): Promise<void> {
  const fd = descriptor(end.raw)
  await eventually('all is acknowledged', () => end.raw.destroyed || unsentBytes(fd) <= 0, CONVERSATION_MS_MAX)
  end.raw.resetAndDestroy()
}

/** What is wrong with how a conversation went at one end; undefined: nothing. */
export type Verdict = string | undefined

/** What one end has to have received, and how that may have ended. */
type Expectation = { readonly bytesMin: number; readonly bytesMax: number; readonly ends: readonly string[] }

function judge(who: string, order: Order, reader: Reader, { bytesMin, bytesMax, ends }: Expectation): Verdict {
  const { receivedBytes, end } = reader
  if (receivedBytes >= bytesMin && receivedBytes <= bytesMax && ends.includes(end)) return undefined
  return `${who} ${JSON.stringify(order)}: ${receivedBytes} bytes, ${end || 'no end'}`
}

const IN_ORDER = ['FIN']
/** A reset that comes behind bytes that are still unread is an end to node. */
const RESET = ['ECONNRESET', 'EPIPE', 'FIN']
/** It goes on, or has been ended by oneself. */
const OWN = ['', 'closed']

function all(bytes: number, ends: readonly string[]): Expectation {
  return { bytesMin: bytes, bytesMax: bytes, ends }
}

/** Says what there is to say, and breaks it off with a reset once half of the other's bytes have come. */
async function breakOff(who: string, end: End, mine: ScaleBytes, reader: Reader, order: Order): Promise<Verdict> {
  const isClient = who === 'client'
  const [bytes, theirBytes] = isClient
    ? [order.bytesFromClient, order.bytesFromApp]
    : [order.bytesFromApp, order.bytesFromClient]
  const said = say(end, mine, bytes, isClient ? order.clientIsUrgent : order.appIsUrgent)
  const half = Math.ceil(theirBytes / 2)
  await reader.until(half)
  const verdict = judge(who, order, reader, { bytesMin: half, bytesMax: theirBytes, ends: OWN })
  end.raw.resetAndDestroy()
  await said
  return verdict
}

/** Holds a conversation from the client's end. */
export async function talk(end: End, order: Order): Promise<Verdict> {
  const { id, kind, bytesFromClient, bytesFromApp } = order
  const { socket } = end
  const mine = new ScaleBytes(id, 'client')
  const reader = new Reader(end, new ScaleBytes(id, 'app'), order.clientReads, Buffer.alloc(0))
  socket.write(`${JSON.stringify(order)}\n`)
  if (kind === 'client-breaks') return await breakOff('client', end, mine, reader, order)
  if (kind === 'ask') await ask(end, mine, reader, order)
  else {
    if (kind === 'app-first') await reader.until(Number.POSITIVE_INFINITY)
    await say(end, mine, bytesFromClient, order.clientIsUrgent)
  }
  if (kind === 'client-reset') {
    await reset(end)
    return judge('client', order, reader, all(bytesFromApp, OWN))
  }
  const isToBeReset = kind === 'app-reset' || kind === 'app-breaks'
  if (!isToBeReset) socket.end()
  await reader.until(Number.POSITIVE_INFINITY)
  if (isToBeReset) socket.destroy()
  if (kind === 'app-breaks') {
    return judge('client', order, reader, { bytesMin: 0, bytesMax: bytesFromApp, ends: RESET })
  }
  return judge('client', order, reader, all(bytesFromApp, isToBeReset ? RESET : IN_ORDER))
}

/** Question after question, with pauses in which nobody says anything. */
async function ask(end: End, mine: ScaleBytes, reader: Reader, order: Order): Promise<void> {
  for (let asked = ASK_BYTES; asked <= order.bytesFromClient && reader.end === ''; asked += ASK_BYTES) {
    await say(end, mine, ASK_BYTES, false)
    await reader.until(asked)
    await pause(order.pauseMs, 'nobody says anything')
  }
}

/** Holds a conversation from the app's end, as the first line says. */
export async function serve(socket: Socket): Promise<{ readonly order: Order; readonly problem: Verdict }> {
  const { order, front } = await readOrder(socket)
  return { order, problem: await carryOut(socket, order, front) }
}

async function carryOut(socket: Socket, order: Order, front: Buffer): Promise<Verdict> {
  const end = { socket, raw: socket }
  const { id, kind, bytesFromClient, bytesFromApp } = order
  const mine = new ScaleBytes(id, 'app')
  const reader = new Reader(end, new ScaleBytes(id, 'client'), order.appReads, front)
  if (kind === 'app-breaks') return await breakOff('app', end, mine, reader, order)
  if (kind === 'ask') await answerAll(end, mine, reader, order)
  else {
    if (kind === 'client-first') await reader.until(Number.POSITIVE_INFINITY)
    await say(end, mine, bytesFromApp, order.appIsUrgent)
  }
  if (kind === 'app-reset') {
    await reader.until(bytesFromClient)
    await reset(end)
    return judge('app', order, reader, all(bytesFromClient, OWN))
  }
  const isToBeReset = kind === 'client-reset' || kind === 'client-breaks'
  if (!isToBeReset) socket.end()
  await reader.until(Number.POSITIVE_INFINITY)
  if (isToBeReset) socket.destroy()
  if (kind === 'client-breaks') {
    return judge('app', order, reader, { bytesMin: 0, bytesMax: bytesFromClient, ends: RESET })
  }
  return judge('app', order, reader, all(bytesFromClient, isToBeReset ? RESET : IN_ORDER))
}

async function answerAll(end: End, mine: ScaleBytes, reader: Reader, order: Order): Promise<void> {
  for (let asked = ASK_BYTES; asked <= order.bytesFromClient && reader.end === ''; asked += ASK_BYTES) {
    await reader.until(asked)
    await say(end, mine, ASK_BYTES, false)
  }
}

async function readOrder(socket: Socket): Promise<{ readonly order: Order; readonly front: Buffer }> {
  const bytes = await new Promise<Buffer>((resolve) => {
    let line = Buffer.alloc(0)
    const take = (chunk: Buffer): void => {
      line = Buffer.concat([line, chunk])
      if (!line.includes(LINE_FEED)) return
      socket.off('data', take)
      socket.pause()
      resolve(line)
    }
    socket.on('data', take)
  })
  setImmediate(() => socket.resume())
  const at = bytes.indexOf(LINE_FEED)
  return { order: JSON.parse(bytes.toString('latin1', 0, at)) as Order, front: bytes.subarray(at + 1) }
}
