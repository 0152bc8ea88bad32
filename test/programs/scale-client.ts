// The clients of scale.full.test.ts, all in one program of its own: node scale-client.js JSON
//
// One run is one round: it prints a line for each step that has been reached (see `Step`), checks every byte it
// receives, and ends with exit code 1 and a sentence when one is wrong or a connection ends as it must not.
import { connect, type Socket } from 'node:net'
import { ID_BYTES, ScaleBytes, writeOrder } from './scale-bytes.ts'

/** Where to connect; with `header` this program is the edge itself and writes a header for each connection. */
export type ScaleTarget = { readonly host: string; readonly port: number; readonly header?: 'TCP4' | 'TCP6' }

/** What a round is made of. */
export type ScaleRound = {
  /** The connections take turns. */
  readonly targets: readonly ScaleTarget[]
  /** Each connection has a number of its own, counted from here. */
  readonly firstId: number
  /** How many are open at once. */
  readonly connections: number
  /** How many of them carry bytes. */
  readonly busy: number
  /** How many bytes each of those carries each way, all of them together. */
  readonly bytesEach: number
  /** The pace of those that carry bytes until the app is killed; see `Order`. */
  readonly pauseMs: number
}

/** What a round prints, as JSON. */
export type Step =
  /** All connections are open at once, and the app has seen each of them with its client's own address and port. */
  | { readonly step: 'open'; readonly connections: number }
  /** The busy ones have carried their bytes both ways and ended. */
  | { readonly step: 'exchanged'; readonly sentBytes: number; readonly receivedBytes: number }
  /** As many new ones have been opened and carry bytes without end: the moment to kill the app. */
  | { readonly step: 'streaming'; readonly connections: number }
  /** Every connection has ended with an error (by its code); new ones are being opened while there is no app. */
  | { readonly step: 'broken'; readonly codes: Readonly<Record<string, number>>; readonly receivedBytes: number }
  /** The new ones were served, and more of them, as many as there were at once before. */
  | { readonly step: 'served'; readonly connections: number }

/** Each stream has received so many bytes when the app may be killed. */
const STREAMED_BYTES = 256 * 1024
const SERVED_BYTES = 4 * 1024
/** How often a client whose peer has sent FIN too early tries to go on. */
const GO_ON_MS = 20
const ANSWER_LENGTH_MAX = 64

function stop(problem: string): never {
  console.log(problem)
  process.exit(1)
}

function say(step: Step): void {
  console.log(JSON.stringify(step))
}

/** One connection. */
class Client {
  readonly id: number
  receivedBytes = 0
  /** Settles when the app has answered with the right address. */
  readonly greeted: Promise<void>
  /** `FIN`, or the code of the error with which the connection ended. */
  readonly #ended: Promise<string>
  readonly #socket: Socket
  readonly #fromApp: ScaleBytes
  /** The peer that the app must see; undefined: this socket's own address. */
  readonly #peer: string | undefined
  #answer = ''
  #isGreeted = false
  #onGreeted = (): void => {}
  #onReceived = (): void => {}

  constructor(id: number, target: ScaleTarget) {
    this.id = id
    this.#fromApp = new ScaleBytes(id, 'app')
    const header = headerOf(id, target.header)
    this.#peer = header?.peer
    this.#socket = connect({ host: target.host, port: target.port, allowHalfOpen: true })
    const number = Buffer.alloc(ID_BYTES)
    number.writeUInt32BE(id)
    this.#socket.write(Buffer.concat([Buffer.from(header?.text ?? ''), number]))
    this.#socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    this.#ended = new Promise((resolve) => {
      this.#socket.once('end', () => resolve('FIN'))
      this.#socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    })
    this.greeted = new Promise((resolve) => {
      this.#onGreeted = resolve
      void this.#ended.then((how) => {
        if (!this.#isGreeted) stop(`connection ${id} ended with ${how} before the app had answered`)
      })
    })
  }

  /** Carries bytes both ways at once; resolves when all of them have arrived and both sides have ended. */
  async exchange(bytes: number): Promise<void> {
    this.#order(bytes, 0, () => this.#socket.end())
    const how = await this.#ended
    if (how !== 'FIN') stop(`connection ${this.id} ended with ${how} after ${this.receivedBytes} bytes`)
    if (this.receivedBytes !== bytes) stop(`connection ${this.id}: FIN after ${this.receivedBytes} of ${bytes} bytes`)
  }

  /** Carries bytes both ways until the connection breaks; resolves when some have arrived. */
  async stream(pauseMs: number): Promise<void> {
    this.#order(Number.POSITIVE_INFINITY, pauseMs, () => {})
    await new Promise<void>((resolve) => {
      this.#onReceived = () => {
        if (this.receivedBytes >= STREAMED_BYTES) resolve()
      }
    })
  }

  /**
   * Resolves with the error's code when the connection breaks.
   *
   * The kernel ends the connections of a killed program with FIN if the program had read everything (RFC 1122,
   * 4.2.2.13): to the other side that is no error until it sends something, so this side does.
   */
  async broken(): Promise<string> {
    const how = await this.#ended
    if (how !== 'FIN') return how
    const timer = setInterval(() => this.#socket.write('?'), GO_ON_MS)
    return await new Promise<string>((resolve) => {
      this.#socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    }).finally(() => clearInterval(timer))
  }

  #order(bytes: number, pauseMs: number, onSent: () => void): void {
    this.#socket.write(writeOrder({ bytesFromClient: bytes, bytesFromApp: bytes, pauseMs }))
    new ScaleBytes(this.id, 'client').send(this.#socket, bytes, pauseMs, onSent)
  }

  #onData(chunk: Buffer): void {
    const payload = this.#isGreeted ? chunk : this.#onAnswer(chunk)
    this.receivedBytes += payload.length
    if (!this.#fromApp.isNext(payload)) stop(`connection ${this.id}: a wrong byte before byte ${this.receivedBytes}`)
    this.#onReceived()
  }

  /** Reads the app's line; returns what is behind it. */
  #onAnswer(chunk: Buffer): Buffer {
    const end = chunk.indexOf('\n')
    this.#answer += chunk.toString('latin1', 0, end < 0 ? undefined : end)
    if (this.#answer.length > ANSWER_LENGTH_MAX) stop(`connection ${this.id}: the app answers ${this.#answer}`)
    if (end < 0) return Buffer.alloc(0)
    const peer = this.#peer ?? `${this.#socket.localAddress} ${this.#socket.localPort}`
    if (this.#answer !== peer) stop(`connection ${this.id} of ${peer}: the app sees ${this.#answer}`)
    this.#isGreeted = true
    this.#onGreeted()
    return chunk.subarray(end + 1)
  }
}

/** A header with an address and a port that no other connection has, and how the app is to show the two. */
function headerOf(id: number, version: ScaleTarget['header']): { text: string; peer: string } | undefined {
  if (version === undefined) return undefined
  const host = id % 10_000
  const port = 1_024 + (id % 60_000)
  const [address, destination] =
    version === 'TCP4'
      ? [`198.18.${Math.floor(host / 250)}.${1 + (host % 250)}`, '203.0.113.10']
      : [`2001:db8:209::${(1 + host).toString(16)}`, '2001:db8:203::10']
  return { text: `PROXY ${version} ${address} ${destination} ${port} 110\r\n`, peer: `${address} ${port}` }
}

async function runRound({ targets, firstId, connections, busy, bytesEach, pauseMs }: ScaleRound): Promise<void> {
  let nextId = firstId
  const open = async (count: number): Promise<Client[]> => {
    const clients: Client[] = []
    for (; clients.length < count; nextId++) clients.push(new Client(nextId, targets[nextId % targets.length]))
    await Promise.all(clients.map((client) => client.greeted))
    return clients
  }
  const received = (clients: readonly Client[]) => clients.reduce((sum, { receivedBytes }) => sum + receivedBytes, 0)

  const waiting = await open(connections)
  say({ step: 'open', connections: waiting.length })

  const exchanging = waiting.splice(0, busy)
  await Promise.all(exchanging.map((client) => client.exchange(bytesEach)))
  say({ step: 'exchanged', sentBytes: busy * bytesEach, receivedBytes: received(exchanging) })

  const streaming = await open(busy)
  const broken = [...waiting, ...streaming].map((client) => client.broken())
  await Promise.all(streaming.map((client) => client.stream(pauseMs)))
  say({ step: 'streaming', connections: broken.length })

  const codes: Record<string, number> = {}
  for (const code of await Promise.all(broken)) codes[code] = (codes[code] ?? 0) + 1
  say({ step: 'broken', codes, receivedBytes: received(streaming) })

  let servedCount = 0
  for (; servedCount < connections; servedCount += busy) {
    const served = await open(busy)
    await Promise.all(served.map((client) => client.exchange(SERVED_BYTES)))
  }
  say({ step: 'served', connections: servedCount })
}

await runRound(JSON.parse(process.argv[2]) as ScaleRound)
