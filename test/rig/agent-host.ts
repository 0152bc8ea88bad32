import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { request } from 'node:http'
import type { Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseEndpoint } from '../../src/address/endpoint.ts'
import type { Host } from '../../src/lab/host.ts'
import { Lab } from '../../src/lab/lab.ts'
import type { Program } from '../../src/lab/program.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { native } from '../../src/linux/native.ts'
import { bindTo, close, connectTo, openStream, setReuseAddress } from '../../src/linux/socket.ts'

/** The program as a user starts it. */
export const TRUEPEER = fileURLToPath(new URL('../../../bin/truepeer', import.meta.url))

/** The edge's addresses towards the backend: what an app would see without an agent. */
export const EDGE = '35.191.0.9'
export const EDGE6 = '2001:db8:35::9'
/** The backend host's own addresses. */
export const BACKEND = '10.128.0.2'
export const BACKEND6 = '2001:db8:10::2'
/** Where the agent listens, and where the app does. */
export const AGENT = `${BACKEND}:110`
export const AGENT6 = `[${BACKEND6}]:110`
export const APP = '127.0.0.1:112'
export const APP6 = '[::1]:112'
/** A client that is nowhere in the lab: its address is only in headers. */
export const CLIENT = '209.52.88.4'
export const CLIENT6 = '2001:db8:209::4'

/** Two linked hosts: `edge` sends headers, `backend` has the routing of guide step 21 and runs agent and app. */
export type AgentHosts = { readonly lab: Lab; readonly edge: Host; readonly backend: Host }

/** Builds the two hosts; they are removed when the test ends. */
export async function agentHosts(t: TestContext): Promise<AgentHosts> {
  const lab = new Lab()
  t.after(() => lab.close())
  const edge = await lab.addHost('edge')
  const backend = await lab.addHost('backend')
  await lab.link(
    { host: edge, addresses: [`${EDGE}/16`, `${EDGE6}/64`], routes: ['10.128.0.0/20', '2001:db8:10::/64'] },
    { host: backend, addresses: [`${BACKEND}/20`, `${BACKEND6}/64`], routes: ['35.191.0.0/16', '2001:db8:35::/64'] },
  )
  await backend.ip('rule add from 127.0.0.0/8 iif lo lookup 100')
  await backend.ip('route add local 0.0.0.0/0 dev lo table 100')
  await backend.ip('-6 rule add from ::1/128 iif lo lookup 100')
  await backend.ip('-6 route add local ::/0 dev lo table 100')
  return { lab, edge, backend }
}

/** Most tests look at one thing for a moment: half a second of the processor for each start would be wasted. */
export const COLD: readonly string[] = ['--warm-up', 'off']

/** A running edge or agent, with the values of its metrics. */
export type Running = {
  readonly program: Program
  /** The value of a metric as it is written in the exposition, such as `truepeer_x_total{reason="y"}`. */
  metric(name: string): Promise<number>
  /** What the admin server answers. */
  read(path: string): Promise<string>
}

/** PIDs are not unique: two runs of the tests on one machine have PID namespaces of their own, but one /tmp. */
function freshAdminPath(): string {
  return join(tmpdir(), `truepeer-test-${randomUUID()}.sock`)
}

/** Starts `truepeer COMMAND args` on a host and waits until it listens. */
export async function startTruepeer(
  host: Host,
  command: 'agent' | 'edge',
  args: readonly string[],
  warmUp = COLD,
): Promise<Running> {
  const adminPath = freshAdminPath()
  const program = host.start(TRUEPEER, [command, ...args, ...warmUp, '--admin', `unix:${adminPath}`])
  await program.waitForLine(/"msg":"listening"/)
  return {
    program,
    read: (path) => readAdmin(adminPath, path),
    async metric(name) {
      const line = (await readMetrics(adminPath)).split('\n').find((text) => text.startsWith(`${name} `))
      assert.ok(line, `there is no metric ${name}`)
      return Number(line.slice(name.length))
    },
  }
}

/** Starts an agent with the usual addresses that trusts everyone; `args` come last. */
export function startAgent(host: Host, args: readonly string[] = []): Promise<Running> {
  const usual = ['-l', AGENT, '-4', APP, '-6', APP6]
  const trust = args.includes('--allowed-subnets') ? [] : ['--allow-all-subnets']
  return startTruepeer(host, 'agent', [...usual, ...trust, ...args])
}

/** The text that `/metrics` answers on a UNIX socket. */
export function readMetrics(adminPath: string): Promise<string> {
  return readAdmin(adminPath, '/metrics')
}

function readAdmin(adminPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // Without an agent of node's nothing stays open behind the answer: tests count descriptors.
    const asked = request({ socketPath: adminPath, path, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve(Buffer.concat(chunks).toString()))
    })
    asked.on('error', reject)
    asked.end()
  })
}

/** A version 1 header from `source` for the agent's port. */
export function headerFrom(source: string, port = 51_234): string {
  const isIpv6 = source.includes(':')
  return `PROXY ${isIpv6 ? 'TCP6' : 'TCP4'} ${source} ${isIpv6 ? BACKEND6 : BACKEND} ${port} 110\r\n`
}

/** Polls until `isTrue` holds; fails with `what` after `timeoutMs`. */
export async function eventually(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  timeoutMs = 5_000,
): Promise<void> {
  for (const deadlineMs = Date.now() + timeoutMs; ; ) {
    if (await isTrue()) return
    assert.ok(Date.now() < deadlineMs, `not within ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/**
 * Starts `truepeer COMMAND args` as {@link startTruepeer} does, but through another program that executes it in its
 * own place, such as `prlimit --nofile=64:64`.
 */
export async function startTruepeerThrough(
  host: Host,
  through: readonly string[],
  command: 'agent' | 'edge',
  args: readonly string[],
): Promise<Running> {
  const [program, ...before] = through
  const adminPath = freshAdminPath()
  const started = host.start(program, [...before, TRUEPEER, command, ...args, ...COLD, '--admin', `unix:${adminPath}`])
  await eventually('the admin server answers', async () => {
    assert.ok(started.isRunning, started.texts().join('\n'))
    return readMetrics(adminPath).then(
      () => true,
      () => false,
    )
  })
  return {
    program: started,
    read: (path) => readAdmin(adminPath, path),
    metric: (name) => readMetric(adminPath, name),
  }
}

async function readMetric(adminPath: string, name: string): Promise<number> {
  const line = (await readMetrics(adminPath)).split('\n').find((text) => text.startsWith(`${name} `))
  assert.ok(line, `there is no metric ${name}`)
  return Number(line.slice(name.length))
}

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

/** Sends `request` with a header through the agent to an echo app; returns the answer, or the code of an error. */
export async function echoThrough(
  from: Host,
  request: string,
  to = AGENT,
  header = headerFrom(CLIENT, 0),
): Promise<string> {
  try {
    const socket = await from.connect({ to })
    const answer = readToEnd(socket)
    socket.end(`${header}${request}`)
    const text = (await answer).toString()
    socket.destroy()
    return text
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code ?? error)
  }
}

/** The resident memory of a process in bytes (proc(5), VmRSS). */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1024
}

/** How many sockets a process has open, listening ones and those of the admin server included (proc(5)). */
export function openSockets(pid: number): number {
  const directory = `/proc/${pid}/fd`
  return readdirSync(directory).filter((fd) => isSocket(join(directory, fd))).length
}

function isSocket(path: string): boolean {
  try {
    return readlinkSync(path).startsWith('socket:')
  } catch {
    return false
  }
}

/** CPU time of a process so far in milliseconds (proc(5), utime and stime of `stat`, in ticks of 10 ms). */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
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
