import type * as net from 'node:net'
import {
  type ProgramExit,
  type RunOptions,
  type RunResult,
  runChecked,
  runProgram,
  type StartOptions,
  signalIfAlive,
} from '../linux/run.ts'
import { runInNamespace } from './enter.ts'
import { namespacePath, withNetworkOf } from './network-namespaces.ts'
import { Program } from './program.ts'
import { type ConnectOptions, connectInNamespace, listenInNamespace } from './sockets.ts'

const POLL_MS = 10
const EMPTY_TIMEOUT_MS = 5_000

/** A host of a {@link Lab}: a network namespace with its own interfaces, addresses, routes, ports and programs. */
export class Host {
  readonly name: string
  /** Its name for ip-netns(8): the host's name, made unique. */
  readonly namespace: string
  readonly #programs: Program[] = []
  readonly #sockets = new Set<net.Socket>()
  readonly #servers = new Set<net.Server>()
  #interfaceCount = 0

  constructor(name: string, namespace: string) {
    this.name = name
    this.namespace = namespace
  }

  get #namespacePath(): string {
    return namespacePath(this.namespace)
  }

  /** Claims the name of the next interface: eth0, eth1, … */
  nextInterface(): string {
    return `eth${this.#interfaceCount++}`
  }

  /** Runs ip(8) on this host, one argument per word of `command`: `host.ip('rule add from 127.0.0.0/8 lookup 100')`. */
  async ip(command: string): Promise<string> {
    return await runChecked('ip', ['-netns', this.namespace, ...command.split(' ')])
  }

  /** Starts a program on this host; {@link Lab.close} ends it. Its PID is the program's own. */
  start(program: string, args: readonly string[], options: StartOptions = {}): Program {
    const started = new Program(...this.#inside(program, args), options)
    this.#programs.push(started)
    return started
  }

  /** Runs a program on this host to its end, whatever its exit code (127: there is no such program). */
  async run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return await runProgram(...this.#inside(program, args), options)
  }

  #inside(program: string, args: readonly string[]): readonly [program: string, args: readonly string[]] {
    return withNetworkOf(this.#namespacePath, program, args)
  }

  /** Runs the synchronous `task` with this thread on this host: sockets that it opens belong here. */
  enter<T>(task: () => T): T {
    return runInNamespace(this.#namespacePath, task)
  }

  /**
   * Listens on this host, as "192.0.2.1:80" or "[2001:db8::1]:80"; connections allow half-open.
   *
   * @throws SystemCallError when the endpoint cannot be bound
   */
  async listen(endpoint: string, onConnection: (socket: net.Socket) => void): Promise<net.Server> {
    const server = await listenInNamespace(this.#namespacePath, endpoint, (socket) => {
      this.#keep(socket)
      onConnection(socket)
    })
    this.#servers.add(server)
    return server
  }

  /** Connects from this host; the connection allows half-open. Rejects with node's own error (`code`). */
  async connect(options: ConnectOptions): Promise<net.Socket> {
    const socket = await connectInNamespace(this.#namespacePath, options)
    this.#keep(socket)
    return socket
  }

  #keep(socket: net.Socket): void {
    this.#sockets.add(socket)
    // A connection that a test leaves open is reset when the lab closes; nobody is left to be told.
    socket.on('error', () => {})
    socket.once('close', () => this.#sockets.delete(socket))
  }

  /** Ends every program and connection on this host and waits until they are gone; {@link Lab.close} calls it. */
  async close(): Promise<readonly ProgramExit[]> {
    for (const server of this.#servers) server.close()
    for (const socket of this.#sockets) socket.destroy()
    const deadlineMs = performance.now() + EMPTY_TIMEOUT_MS
    while (true) {
      const pids = (await runChecked('ip', ['netns', 'pids', this.namespace])).split('\n').filter(Boolean).map(Number)
      if (pids.length === 0) break
      if (performance.now() > deadlineMs)
        throw new Error(`Programs on "${this.name}" survive SIGKILL: ${pids.join(', ')}`)
      for (const pid of pids) signalIfAlive(pid, 'SIGKILL')
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
    for (const program of this.#programs) program.kill()
    return await Promise.all(this.#programs.map((program) => program.exited))
  }
}
