// The clients of scale.full.test.ts, all in one program of its own: node scale-client.js JSON
//
// One run is one round: it prints a line for each step that has been reached (see `Step`), checks every byte it
// receives, and ends with exit code 1 and a sentence when one is wrong or a connection ends as it must not.
import { connect, type Socket } from 'node:net'
import { ID_BYTES, ORDER_BYTES, ScaleBytes } from './scale-bytes.ts'

/** What a round is made of. */
export type ScaleRound = {
  /** Where to connect; connections take turns. `from`: what the header says, `undefined`: there is no header. */
  readonly targets: readonly { readonly host: string; readonly port: number; readonly header?: 'TCP4' | 'TCP6' }[]
  /** Each connection has a number of its own, counted from here. */
  readonly firstId: number
  readonly connections: number
  /** How many of them carry bytes, and how many bytes each way. */
  readonly busy: number
  readonly bytesEach: number
}

/** What a round prints, as JSON. */
export type Step =
  /** All connections are open at once, and the app has seen each with its client's own address. */
  | { readonly step: 'open'; readonly connections: number }
  /** The busy ones have carried their bytes both ways and ended; as many new ones were opened. */
  | { readonly step: 'exchanged'; readonly sentBytes: number; readonly receivedBytes: number }
  /** The new ones carry bytes without end: the moment to kill the app. */
  | { readonly step: 'streaming' }
  /** Every connection has ended with an error; the errors' codes, and what the streams had received. */
  | { readonly step: 'broken'; readonly codes: Readonly<Record<string, number>>; readonly receivedBytes: number }
  /** New connections, opened while the app was not there, were served. */
  | { readonly step: 'served'; readonly connections: number }

/** Each of the streams has carried so many bytes when the app may be killed. */
const STREAMED_BYTES = 256 * 1024
/** How often a client whose peer has sent FIN too early tries to go on. */
const GO_ON_MS = 20
const NUMBER_LINE_BYTES_MAX = 64

function stop(problem: string): never {
  console.log(problem)
  process.exit(1)
}

function say(step: Step): void {
  console.log(JSON.stringify(step))
}

/** One client. Its app may die: how a connection ended is a result here, and the caller decides whether it is right. */
class Client {
  readonly id: number
  receivedBytes = 0
  /** Settles when the app has answered with the right address. */
  readonly greeted: Promise<void>
  /** `FIN`, or the code of the error with which the connection ended. */
  readonly ended: Promise<string>
  readonly #socket: Socket
  readonly #fromApp: ScaleBytes
  readonly #header: { readonly text: string; readonly peer: string } | undefined
  #answer = ''
  #isGreeted = false
  #onGreeted = (): void => {}
  #onReceived = (): void => {}

  constructor(id: number, target: ScaleRound['targets'][number]) {
    this.id = id
    this.#fromApp = new ScaleBytes(id, 'app')
    this.#header = headerOf(id, target.header)
    this.#socket = connect({ host: target.host, port: target.port, allowHalfOpen: true })
    const number = Buffer.alloc(ID_BYTES)
    number.writeUInt32BE(id)
    // One segment: the header, if we are the edge ourselves, and the client's first bytes.
    this.#socket.write(Buffer.concat([Buffer.from(this.#header?.text ?? ''), number]))
    this.#socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    this.greeted = new Promise((resolve) => {
      this.#onGreeted = resolve
    })
    this.ended = new Promise((resolve) => {
      this.#socket.once('end', () => resolve('FIN'))
      this.#socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    })
  }

  /** Carries bytes both ways at once; resolves when all of them have arrived and both sides have ended. */
  async exchange(bytes: number): Promise<void> {
    this.#order(bytes, () => this.#socket.end())
    const how = await this.ended
    if (how !== 'FIN') stop(`connection ${this.id} ended with ${how} after ${this.receivedBytes} bytes`)
    if (this.receivedBytes !== bytes) stop(`connection ${this.id}: FIN after ${this.receivedBytes} of ${bytes} bytes`)
  }

  /** Carries bytes both ways until the connection breaks; resolves when some have arrived. */
  async stream(): Promise<void> {
    this.#order(Number.POSITIVE_INFINITY, () => {})
    await new Promise<void>((resolve) => {
      this.#onReceived = () => {
        if (this.receivedBytes >= STREAMED_BYTES) resolve()
      }
    })
  }

  /**
   * Resolves with the error's code when the connection breaks.
   *
   * A kernel ends the connection of a killed program with FIN if the program had read everything. Nothing is an error
   * then until the other side sends something, so this side does.
   */
  async broken(): Promise<string> {
    const how = await this.ended
    if (how !== 'FIN') return how
    const timer = setInterval(() => this.#socket.write('?'), GO_ON_MS)
    return await new Promise<string>((resolve) => {
      this.#socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    }).finally(() => clearInterval(timer))
  }

  #order(bytes: number, onSent: () => void): void {
    const order = Buffer.alloc(ORDER_BYTES)
    order.writeDoubleBE(bytes, 0)
    order.writeDoubleBE(bytes, 8)
    this.#socket.write(order)
    new ScaleBytes(this.id, 'client').send(this.#socket, bytes, onSent)
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
    if (this.#answer.length > NUMBER_LINE_BYTES_MAX) stop(`connection ${this.id}: the app answers ${this.#answer}`)
    if (end < 0) return Buffer.alloc(0)
    const peer = this.#header?.peer ?? `${this.#socket.localAddress} ${this.#socket.localPort}`
    if (this.#answer !== peer) stop(`connection ${this.id} of ${peer}: the app sees ${this.#answer}`)
    this.#isGreeted = true
    this.#onGreeted()
    return chunk.subarray(end + 1)
  }
}

/** A header with an address and a port that no other connection has, and how the app is to show them. */
function headerOf(id: number, version: 'TCP4' | 'TCP6' | undefined): { text: string; peer: string } | undefined {
  if (version === undefined) return undefined
  const port = 1_024 + (id % 60_000)
  const host = id % 10_000
  const address =
    version === 'TCP4'
      ? `198.18.${Math.floor(host / 250)}.${1 + (host % 250)}`
      : `2001:db8:209::${(host + 1).toString(16)}`
  const destination = version === 'TCP4' ? '203.0.113.10' : '2001:db8:203::10'
  return { text: `PROXY ${version} ${address} ${destination} ${port} 110\r\n`, peer: `${address} ${port}` }
}

async function runRound({ targets, firstId, connections, busy, bytesEach }: ScaleRound): Promise<void> {
  let nextId = firstId
  const open = async (count: number): Promise<Client[]> => {
    const clients = Array.from({ length: count }, () => {
      const id = nextId++
      return new Client(id, targets[id % targets.length])
    })
    await Promise.all(
      clients.map(async (client) => {
        const early = await Promise.race([client.greeted, client.ended])
        if (early !== undefined) stop(`connection ${client.id} ended with ${early} before the app had answered`)
      }),
    )
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
  await Promise.all(streaming.map((client) => client.stream()))
  say({ step: 'streaming' })

  const codes: Record<string, number> = {}
  for (const code of await Promise.all(broken)) codes[code] = (codes[code] ?? 0) + 1
  say({ step: 'broken', codes, receivedBytes: received(streaming) })

  const served = await open(busy)
  await Promise.all(served.map((client) => client.exchange(STREAMED_BYTES)))
  say({ step: 'served', connections: served.length })
}

await runRound(JSON.parse(process.argv[2]) as ScaleRound)
