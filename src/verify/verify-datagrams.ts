import { createSocket, type Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import { parseIpAddress, unmapAddress } from '../address/ip-address.ts'
import { writeProxyV2 } from '../proxy-protocol/write-v2.ts'
import { PINGS, peerIn } from './whoami-protocol.ts'
import { type Latency, latencyOf, type Seen, seenBy, whoamiProblems } from './whoami-seen.ts'

/** Datagrams get lost; the first one also opens a flow on the way. */
const ATTEMPTS = 3
const ANSWER_MS = 1_000
/** Payloads to try: what every network takes, a full packet of Ethernet, and one that is cut into many. */
const SIZES = [1_200, 1_472, 60_000] as const
/** A longest header of version 2 without TLVs. */
const HEADER_BYTES_MAX = 52

/** What answers behind the frontend, as far as a client can see. */
export type DatagramApp =
  /** Nothing came back. */
  | { readonly kind: 'silent' }
  /** The host said that nobody receives at this port. */
  | { readonly kind: 'refused' }
  /** Something else than whoami answers. */
  | { readonly kind: 'other' }
  | (Seen & {
      readonly kind: 'whoami'
      /** undefined: none of them was answered. */
      readonly latencyMs: Latency | undefined
      /** Of how many datagrams the answer came back. */
      readonly answered: { readonly count: number; readonly of: number }
      /** The longest of some payloads that came back; 0: not even the shortest. */
      readonly bytesMax: number
    })

/** All that `truepeer verify -p udp` has found out. */
export type DatagramResult = {
  readonly target: string
  /** Who this client is to the other side: the address of this host, or what a header said. */
  readonly client: string
  readonly app: DatagramApp
  /** What is wrong, a sentence with a remedy each; empty: nothing. */
  readonly problems: readonly string[]
}

/** What is asked, and how. */
export type DatagramTarget = {
  /** A name or an address, without brackets. */
  readonly host: string
  readonly port: number
  /** Send a PROXY header that names this client, as an edge does; undefined: none. */
  readonly as: Endpoint | undefined
  readonly isClientFirst: boolean
}

/** Sends datagrams to a frontend, or with a header to an agent, and finds out what a client sees. @throws Error */
export async function verifyDatagrams({ host, port, as, isClientFirst }: DatagramTarget): Promise<DatagramResult> {
  const { address, family } = await lookup(host)
  const destination = parseIpAddress(address)
  if (destination === undefined)
    throw new Error(`"${host}" is a name of "${address}", which is not an address to send to`)
  const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6' })
  try {
    socket.connect(port, address)
    await once(socket, 'connect')
    const own = localEndpoint(socket)
    const client = as ?? own
    const header = as === undefined ? Buffer.alloc(0) : headerFor(as, { address: destination, port })
    const app = await lookAtApp(new Questions(socket, header), client)
    const target = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
    return {
      target,
      client: formatEndpoint(client),
      app,
      problems: problemsOf(app, formatEndpoint(client), isClientFirst),
    }
  } finally {
    socket.close()
  }
}

function headerFor(source: Endpoint, destination: Endpoint): Buffer {
  const header = Buffer.alloc(HEADER_BYTES_MAX)
  return header.subarray(0, writeProxyV2(header, 0, source, destination, { transport: 'dgram' }))
}

async function lookAtApp(questions: Questions, client: Endpoint): Promise<DatagramApp> {
  const first = await questions.ask('whoami', ATTEMPTS, () => true)
  if (first === undefined) return { kind: questions.isRefused ? 'refused' : 'silent' }
  const sees = peerIn(first.line)
  if (sees === undefined) return { kind: 'other' }
  const times: number[] = []
  for (let count = 0; count < PINGS; count++) {
    const startedMs = performance.now()
    const answer = await questions.ask(`ping ${count}`, 1, (line) => line === `pong ${count}`)
    if (answer !== undefined) times.push(performance.now() - startedMs)
  }
  return {
    kind: 'whoami',
    ...seenBy(sees, client, first.header),
    latencyMs: times.length === 0 ? undefined : latencyOf(times),
    answered: { count: times.length, of: PINGS },
    bytesMax: await longestPayload(questions),
  }
}

async function longestPayload(questions: Questions): Promise<number> {
  let bytesMax = 0
  for (const bytes of SIZES) {
    const text = 'x'.repeat(bytes - 'ping '.length)
    if ((await questions.ask(`ping ${text}`, ATTEMPTS, (line) => line === `pong ${text}`)) === undefined) break
    bytesMax = bytes
  }
  return bytesMax
}

function problemsOf(app: DatagramApp, client: string, isClientFirst: boolean): string[] {
  switch (app.kind) {
    case 'refused':
      return [
        'Nobody receives datagrams at this port; is it the address of a frontend, and does the frontend have UDP?',
      ]
    case 'silent': {
      if (isClientFirst) return []
      const remedy = 'is a backend healthy, does its agent trust the sender, and is the app "truepeer whoami"?'
      return [`Nothing came back within ${(ATTEMPTS * ANSWER_MS) / 1_000} s; ${remedy}`]
    }
    case 'other':
      return []
    case 'whoami':
      return [...whoamiProblems(app, client), ...lengthProblems(app.bytesMax)]
  }
}

function lengthProblems(bytesMax: number): string[] {
  if (bytesMax >= SIZES[1]) return []
  const short = SIZES.find((bytes) => bytes > bytesMax)
  return [
    `Datagrams of ${short} bytes do not come back: with the header they become fragments, and something drops those; ` +
      'let the network take longer packets, or the app send shorter ones',
  ]
}

function localEndpoint(socket: Socket): Endpoint {
  const { address: text, port } = socket.address()
  const address = parseIpAddress(text)
  if (address === undefined) throw new Error(`This host sends from "${text}", which is not an address`)
  return { address: unmapAddress(address), port }
}

type Answer = { readonly line: string; readonly header: string | undefined }

/** Asks over a connected socket, one question after the other. */
class Questions {
  /** The last question met a closed port. */
  isRefused = false
  readonly #socket: Socket
  readonly #header: Buffer
  #hear: (answer: Answer | undefined) => void = () => {}

  constructor(socket: Socket, header: Buffer) {
    this.#socket = socket
    this.#header = header
    socket.on('message', (datagram) => this.#hear(answerIn(datagram.toString('latin1'))))
    socket.on('error', () => {
      this.isRefused = true
      this.#hear(undefined)
    })
  }

  /** The first answer that is wanted; undefined: none came, each time in a second. */
  async ask(text: string, attempts: number, isWanted: (line: string) => boolean): Promise<Answer | undefined> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const answer = await this.#askOnce(text, isWanted)
      if (answer !== undefined) return answer
    }
    return undefined
  }

  #askOnce(text: string, isWanted: (line: string) => boolean): Promise<Answer | undefined> {
    return new Promise((resolve) => {
      // A closed port answers at once, and may be an app that is just being started.
      const timer = setTimeout(() => resolve(undefined), ANSWER_MS)
      this.#hear = (answer) => {
        if (answer === undefined || !isWanted(answer.line)) return
        clearTimeout(timer)
        this.isRefused = false
        resolve(answer)
      }
      this.#socket.send(Buffer.concat([this.#header, Buffer.from(text, 'latin1')]), (error) => {
        if (error !== null) this.isRefused = true
      })
    })
  }
}

/** What a header has made whoami say comes first. */
function answerIn(text: string): Answer {
  const [, header, line] = /^header (.*)\n(.*)$/s.exec(text) ?? []
  return line === undefined ? { line: text, header: undefined } : { line, header }
}
