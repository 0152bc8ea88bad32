import type { Server, Socket } from 'node:net'
import type { Host } from '../../src/lab/host.ts'

/**
 * Answers every line of a connection with its own name and the line; a PROXY line is handed to `onHeader` instead.
 *
 * `onClient` is called with the first line: a health check says nothing.
 */
export function serveLines(
  socket: Socket,
  name: string,
  onClient: () => void = () => {},
  onHeader: (header: string) => void = () => {},
): void {
  let rest = ''
  let hasSpoken = false
  socket.on('error', () => {})
  socket.on('end', () => socket.end())
  socket.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('latin1')).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line.startsWith('PROXY ')) {
        onHeader(line.trimEnd())
        continue
      }
      if (!hasSpoken) onClient()
      hasSpoken = true
      socket.write(`${name} ${line}\n`)
    }
  })
}

/** An app that can come and go. */
export class LineApp {
  readonly endpoint: string
  /** Connections, those of health checks included. */
  accepted = 0
  /** Connections that have said a line. */
  clients = 0
  /** PROXY lines, in the order of their arrival. */
  readonly headers: string[] = []
  readonly #host: Host
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined

  constructor(host: Host, endpoint: string) {
    this.#host = host
    this.endpoint = endpoint
  }

  async open(): Promise<this> {
    this.#server = await this.#host.listen(this.endpoint, (socket) => {
      this.accepted += 1
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      serveLines(
        socket,
        this.endpoint,
        () => {
          this.clients += 1
        },
        (header) => this.headers.push(header),
      )
    })
    return this
  }

  /** Nobody listens from now on, and open connections are reset. */
  close(): void {
    this.#server?.close()
    this.#server = undefined
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }
}

/** Starts an app on each of `endpoints`. */
export function startLineApps(host: Host, endpoints: readonly string[]): Promise<LineApp[]> {
  return Promise.all(endpoints.map((endpoint) => new LineApp(host, endpoint).open()))
}

/** A client that talks with an app of lines over one connection. */
export class Conversation {
  readonly socket: Socket
  /** `FIN`, or the code of the error with which the connection ended. */
  readonly ended: Promise<string>
  #end: string | undefined
  #received = ''
  #onChange: () => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    this.ended = new Promise((resolve) => {
      const finish = (how: string): void => {
        this.#end ??= how
        this.#onChange()
        resolve(this.#end)
      }
      socket.on('end', () => finish('FIN'))
      socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message))
    })
    socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('latin1')
      this.#onChange()
    })
  }

  static async open(from: Host, to: string): Promise<Conversation> {
    return new Conversation(await from.connect({ to }))
  }

  /** How the connection has ended; undefined: it goes on. */
  get end(): string | undefined {
    return this.#end
  }

  /** Says a line and returns the name of the app that answers it; the code of an error when it is not answered. */
  async ask(line: string): Promise<string> {
    this.socket.write(`${line}\n`)
    while (!this.#received.includes('\n')) {
      if (this.#end !== undefined) return this.#end
      await new Promise<void>((resolve) => {
        this.#onChange = resolve
      })
    }
    const at = this.#received.indexOf('\n')
    const answer = this.#received.slice(0, at)
    this.#received = this.#received.slice(at + 1)
    return answer.endsWith(` ${line}`) ? answer.slice(0, -line.length - 1) : `a wrong answer: ${answer}`
  }
}

/** Asks over a connection of its own: the name of the app that answers, or the code of an error. */
export async function whoAnswers(from: Host, to: string, line = 'who are you?'): Promise<string> {
  let conversation: Conversation
  try {
    conversation = await Conversation.open(from, to)
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code ?? error)
  }
  const name = await conversation.ask(line)
  conversation.socket.end()
  conversation.socket.destroySoon()
  return name
}

/** How often each app answers when asked so many times, one after the other. */
export async function answersOf(from: Host, to: string, times: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (let time = 0; time < times; time++) {
    const name = await whoAnswers(from, to)
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}
