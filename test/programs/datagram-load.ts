// Clients that send datagrams at an even pace, and an app that sends each back, as programs of their own:
//
//   node datagram-load.js echo ADDRESS:PORT
//   node datagram-load.js send JSON
//
// Both take and send many with one system call, so that what is between them is busy before they are. Of each flow the
// answers are told apart by the number that its datagrams begin with; the app puts the port and the IPv4 address that it
// has seen behind them. Prints DatagramLoadResult as the last line.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Endpoint, parseEndpoint } from '../../src/address/endpoint.ts'
import { DATAGRAMS_PER_BATCH, DatagramBatch, openDatagrams, openPort, PEER_INTS } from '../../src/linux/datagram.ts'
import { EAGAIN, ECONNREFUSED, errnoName } from '../../src/linux/errno.ts'
import { connectTo } from '../../src/linux/socket.ts'
import { writeProxyV2 } from '../../src/proxy-protocol/write-v2.ts'

export type DatagramLoadOrder = {
  readonly target: string
  readonly flows: number
  /** All flows together. */
  readonly perSecond: number
  readonly seconds: number
  readonly bytes: number
  /** An address of a client without its last part, such as "198.51": all flows use one socket, and have headers. */
  readonly headersFrom?: string
}

export type DatagramLoadResult = {
  readonly sent: number
  readonly answered: number
  /** Answers that belong to another flow. */
  readonly strayed: number
  /** Answers of an app that has seen somebody else than the client of the header. */
  readonly misnamed: number
  /** Flows that have got no answer at all. */
  readonly silent: number
}

const HEADER_BYTES_MAX = 64
/** How long the last answers may take. */
const LAST_MS = 2_000
const NUMBER_BYTES = 4
/** Of a sockaddr_in, behind its family: the port and the address. */
const SEEN_BYTES = 6

async function echo(at: string): Promise<never> {
  const fd = openPort(endpointOf(at))
  const batch = new DatagramBatch()
  const peer = new Int32Array(PEER_INTS)
  const seen = new Uint8Array(peer.buffer, 2, SEEN_BYTES)
  console.log('echoing')
  for (;;) {
    const count = batch.receive(fd, 0, DATAGRAMS_PER_BATCH)
    for (let slot = 0; slot < count; slot++) {
      const end = batch.end(slot)
      batch.copyPeer(slot, peer, 0)
      batch.bytes.set(seen, end)
      batch.setRange(slot, batch.start(slot), end + SEEN_BYTES)
      batch.enqueue(slot, fd, false)
    }
    if (count > 0) sendAll(batch, count)
    else await sleep(1)
  }
}

/** What the kernel has no room for is lost. */
function sendAll(batch: DatagramBatch, count: number): void {
  batch.sendAll()
  for (let slot = 0; slot < count; slot++) {
    const result = batch.result(slot)
    if (result < 0 && result !== EAGAIN && result !== ECONNREFUSED) throw new Error(`sendmmsg: ${errnoName(result)}`)
  }
}

async function send(load: DatagramLoadOrder): Promise<DatagramLoadResult> {
  const { flows, perSecond, seconds } = load
  const sockets = Array.from({ length: load.headersFrom === undefined ? flows : 1 }, () => open(load.target))
  const datagrams = Array.from({ length: flows }, (_, number) => datagramOf(number, load))
  const tally = new Tally(load)
  const batch = new DatagramBatch()
  const startedMs = performance.now()
  let sent = 0
  for (let nowMs = 0; nowMs < seconds * 1_000; nowMs = performance.now() - startedMs) {
    const due = Math.min(Math.floor((perSecond * nowMs) / 1_000), sent + perSecond / 10)
    while (sent < due) sent += sendSome(batch, sockets, datagrams, sent, due)
    tally.receive(batch, sockets)
    await sleep(1)
  }
  for (const untilMs = performance.now() + LAST_MS; tally.answered < sent && performance.now() < untilMs; ) {
    tally.receive(batch, sockets)
    await sleep(1)
  }
  const { answered, strayed, misnamed } = tally
  return { sent, answered, strayed, misnamed, silent: tally.silent() }
}

/** Sends the next datagrams, of one flow after the other; returns how many. */
function sendSome(
  batch: DatagramBatch,
  sockets: readonly number[],
  datagrams: readonly Uint8Array[],
  sent: number,
  due: number,
): number {
  const count = Math.min(DATAGRAMS_PER_BATCH, due - sent)
  for (let slot = 0; slot < count; slot++) {
    const number = (sent + slot) % datagrams.length
    const room = batch.room(slot)
    batch.bytes.set(datagrams[number], room)
    batch.setRange(slot, room, room + datagrams[number].length)
    batch.addressToTarget(slot)
    batch.enqueue(slot, sockets[number % sockets.length], false)
  }
  sendAll(batch, count)
  return count
}

/** What has come back. */
class Tally {
  answered = 0
  strayed = 0
  misnamed = 0
  readonly #perFlow: Uint32Array
  /** Of the headers; undefined: there are none, and each flow has a socket of its own. */
  readonly #clients: readonly Endpoint[] | undefined

  constructor({ flows, headersFrom }: DatagramLoadOrder) {
    this.#perFlow = new Uint32Array(flows)
    if (headersFrom !== undefined) {
      this.#clients = Array.from({ length: flows }, (_, number) => clientOf(number, headersFrom))
    }
  }

  receive(batch: DatagramBatch, sockets: readonly number[]): void {
    for (const [socket, fd] of sockets.entries()) {
      for (let count = DATAGRAMS_PER_BATCH; count === DATAGRAMS_PER_BATCH; ) {
        count = batch.receive(fd, 0, DATAGRAMS_PER_BATCH)
        for (let slot = 0; slot < count; slot++) this.#take(batch, slot, socket)
      }
    }
  }

  #take(batch: DatagramBatch, slot: number, socket: number): void {
    const view = new DataView(batch.bytes.buffer)
    const number = view.getUint32(batch.start(slot))
    this.answered += 1
    if (this.#clients === undefined && number !== socket) this.strayed += 1
    else this.#perFlow[number] += 1
    const client = this.#clients?.[number]
    const seenAt = batch.end(slot) - SEEN_BYTES
    const isIt = view.getUint16(seenAt) === client?.port && view.getInt32(seenAt + 2) === (client.address.w3 | 0)
    if (client !== undefined && !isIt) this.misnamed += 1
  }

  silent(): number {
    return this.#perFlow.filter((count) => count === 0).length
  }
}

function datagramOf(number: number, { bytes, headersFrom, target }: DatagramLoadOrder): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES_MAX)
  let length = 0
  if (headersFrom !== undefined) {
    length = writeProxyV2(header, 0, clientOf(number, headersFrom), endpointOf(target), { transport: 'dgram' })
  }
  const datagram = new Uint8Array(length + Math.max(bytes, NUMBER_BYTES))
  datagram.set(header.subarray(0, length))
  new DataView(datagram.buffer).setUint32(length, number)
  return datagram
}

function clientOf(number: number, headersFrom: string): Endpoint {
  return endpointOf(`${headersFrom}.${(number >> 8) & 0xff}.${number & 0xff}:${4_000 + (number >> 16)}`)
}

function open(target: string): number {
  const endpoint = endpointOf(target)
  const fd = openDatagrams(endpoint.address.family)
  const result = fd < 0 ? fd : connectTo(fd, endpoint)
  if (result < 0) throw new Error(`connect: ${errnoName(result)}`)
  return fd
}

function endpointOf(text: string): Endpoint {
  const endpoint = parseEndpoint(text)
  if (endpoint === undefined) throw new TypeError(`"${text}" is not of the form ADDRESS:PORT`)
  return endpoint
}

const [role, order] = process.argv.slice(2)
if (role === 'echo') await echo(order)
else console.log(JSON.stringify(await send(JSON.parse(order) as DatagramLoadOrder)))
