import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Host } from '../src/lab/host.ts'
import { Lab } from '../src/lab/lab.ts'
import type { Program } from '../src/lab/program.ts'
import { runChecked } from '../src/linux/run.ts'
import { allowedCpus, cpuTimeUs, isListening, residentKib, stealUs } from './process-cost.ts'
import type { Point } from './result.ts'
import { APP_PORT, PROXY_PORT, type Target, TLS_FILES } from './targets.ts'
import type { Workload } from './workloads.ts'

/** Where bench/load.c is compiled to: without TLS, and with it. */
export const LOAD_PROGRAM = fileURLToPath(new URL('../../build/bench-load', import.meta.url))
export const TLS_LOAD_PROGRAM = fileURLToPath(new URL('../../build/bench-load-tls', import.meta.url))

/** What a measurement says, but for where it belongs. */
export type Measurement = Pick<Point, 'cost' | 'rate' | 'p50Us' | 'p99Us' | 'errorCount' | 'stealShare'>

type LoadReport = { operations: number; seconds: number; errors: number; p50Us: number; p99Us: number }

const LISTEN_TIMEOUT_MS = 15_000
const SET_UP_TIMEOUT_MS = 65_000
const FINISH_TIMEOUT_MS = 25_000
/** For the proxy to finish what the client no longer waits for. */
const SETTLE_MS = 50
const POLL_MS = 10
// node compiles what is hot during the first second.
const FIRST_WARM_UP = { command: 'pingpong', count: 64, seconds: 1 }
const WARM_UP_SECONDS = 0.3
const BYTES_PER_MB = 1_000_000

// Linux reuses ports in TIME_WAIT only within limits; connections by the ten thousand need room.
const SETTINGS = ['net.ipv4.ip_local_port_range=1024 65535', 'net.ipv4.tcp_tw_reuse=1', 'net.core.somaxconn=16384']
const ROUTING = ['rule add from 127.0.0.0/8 iif lo lookup 100', 'route add local 0.0.0.0/0 dev lo table 100']

/** Two CPUs: one for the proxy, one for the load and the app. Undefined on a machine with one. */
export const cpus = ((): { readonly proxy: number; readonly load: number } | undefined => {
  const allowed = allowedCpus()
  return allowed.length < 2 ? undefined : { proxy: allowed[allowed.length - 1], load: allowed[0] }
})()

/** A proxy that runs, with the app behind it, on a host of its own; whoever starts one closes it. */
export class Rig {
  readonly target: Target
  readonly #lab = new Lab()
  readonly #directory: string
  #host: Host | undefined
  #proxy: Program | undefined

  private constructor(target: Target, directory: string) {
    this.target = target
    this.#directory = directory
  }

  /** Starts app and proxy and checks that the app learns the right address. @throws Error with what went wrong */
  static async start(target: Target): Promise<Rig> {
    const rig = new Rig(target, await mkdtemp(join(tmpdir(), 'truepeer-bench-')))
    try {
      await rig.#start()
      return rig
    } catch (error) {
      await rig.close()
      throw error
    }
  }

  async #start(): Promise<void> {
    const { target } = this
    this.#host = await this.#lab.addHost('bench')
    for (const command of ROUTING) await this.#host.ip(command)
    for (const setting of SETTINGS) await this.#host.run('sysctl', ['-qw', setting])
    const takesHeader = target.scenario !== 'agent' && target.kind !== 'floor'
    const app = this.#startPinned(cpus?.load, [LOAD_PROGRAM, 'app', `${APP_PORT}`, ...(takesHeader ? ['header'] : [])])
    await untilListening(app, APP_PORT)
    for (const [name, text] of Object.entries(target.files ?? {})) await writeFile(join(this.#directory, name), text)
    if (target.scenario === 'edge-tls') await makeCertificate(this.#directory)
    this.#proxy = this.#startPinned(cpus?.proxy, target.command)
    await untilListening(this.#proxy, PROXY_PORT)
    await this.#checkAddress()
  }

  /** No figure of a proxy that does not do the work: the app must learn the client's address. */
  async #checkAddress(): Promise<void> {
    if (this.target.kind === 'floor') return
    const expected = this.target.scenario === 'agent' ? '203.0.113.1' : '127.0.0.2'
    const load = this.#startLoad('whoami', 1, 0)
    const seen = await answerOf(load, /^[0-9.]+$/, FINISH_TIMEOUT_MS)
    if (seen !== expected) throw new Error(`the app saw "${seen}" instead of the client's address "${expected}"`)
  }

  #startPinned(cpu: number | undefined, command: readonly string[]): Program {
    if (this.#host === undefined) throw new Error('The rig has not been started')
    const [program, ...args] = cpu === undefined ? command : ['taskset', '-c', `${cpu}`, ...command]
    return this.#host.start(program, args, { workingDirectory: this.#directory })
  }

  #startLoad(command: string, count: number, seconds: number): Program {
    const sendsHeader = this.target.scenario === 'agent' && this.target.kind !== 'floor'
    const words = [command, `${PROXY_PORT}`, `${count}`, `${seconds}`, ...(sendsHeader ? ['header'] : [])]
    const program = this.target.scenario === 'edge-tls' ? TLS_LOAD_PROGRAM : LOAD_PROGRAM
    return this.#startPinned(cpus?.load, [program, ...words])
  }

  /** Keeps a new proxy busy for a second, so that no workload bears the cost of being the first. */
  async warmUp(): Promise<void> {
    const { command, count, seconds } = FIRST_WARM_UP
    const load = this.#startLoad(command, count, seconds)
    await answerOf(load, /^ready$/, SET_UP_TIMEOUT_MS)
    load.signal('SIGUSR1')
    await answerOf(load, /^\{/, seconds * 1_000 + FINISH_TIMEOUT_MS)
    await load.stop()
  }

  /** Runs a workload twice: shortly to warm up, then for `seconds`, and says what it took. */
  async measure(workload: Workload, seconds: number): Promise<Measurement> {
    if (workload.command === 'idle') return await this.#measureIdle(workload)
    await this.#measureActive(workload, Math.min(seconds, WARM_UP_SECONDS))
    return await this.#measureActive(workload, seconds)
  }

  async #measureActive(workload: Workload, seconds: number): Promise<Measurement> {
    const proxyPid = this.#proxy?.pid ?? 0
    const load = this.#startLoad(workload.command, workload.count, seconds)
    await answerOf(load, /^ready$/, SET_UP_TIMEOUT_MS)
    await settle()
    const before = { cpuUs: cpuTimeUs(proxyPid), stealUs: stealUs() }
    load.signal('SIGUSR1')
    const line = await answerOf(load, /^\{/, seconds * 1_000 + FINISH_TIMEOUT_MS)
    await settle()
    const cpuUs = cpuTimeUs(proxyPid) - before.cpuUs
    const stolenUs = stealUs() - before.stealUs
    await load.stop()
    const report = JSON.parse(line) as LoadReport
    const operations = workload.isBulk ? report.operations / BYTES_PER_MB : report.operations
    if (operations === 0) throw new Error(`nothing went through (${report.errors} errors)`)
    return {
      cost: cpuUs / operations,
      rate: operations / report.seconds,
      p50Us: report.p50Us,
      p99Us: report.p99Us,
      errorCount: report.errors,
      stealShare: stolenUs / 1e6 / report.seconds,
    }
  }

  async #measureIdle(workload: Workload): Promise<Measurement> {
    const proxyPid = this.#proxy?.pid ?? 0
    const before = residentKib(proxyPid)
    const load = this.#startLoad('idle', workload.count, 0)
    await answerOf(load, /^ready$/, SET_UP_TIMEOUT_MS)
    await settle()
    const cost = (residentKib(proxyPid) - before) / workload.count
    load.signal('SIGTERM')
    await load.exited
    return { cost, rate: workload.count, p50Us: 0, p99Us: 0, errorCount: 0, stealShare: 0 }
  }

  /** Ends everything; closing twice does no harm. */
  async close(): Promise<void> {
    await this.#lab.close()
    await rm(this.#directory, { recursive: true, force: true })
  }
}

/** A certificate as most have today: ECDSA on P-256, without an intermediate. */
async function makeCertificate(directory: string): Promise<void> {
  const { certificate, key, both } = TLS_FILES
  const [keyKind, subject] = [['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], '/CN=bench.example']
  const args = [
    'req',
    '-x509',
    ...keyKind,
    '-nodes',
    '-days',
    '2',
    '-subj',
    subject,
    '-keyout',
    key,
    '-out',
    certificate,
  ]
  await runChecked('openssl', args, { workingDirectory: directory })
  const parts = await Promise.all([certificate, key].map((name) => readFile(join(directory, name), 'utf8')))
  await writeFile(join(directory, both), parts.join(''), { mode: 0o600 })
}

/** A line of the load; the error is what it said last, without its command. */
async function answerOf(load: Program, pattern: RegExp, timeoutMs: number): Promise<string> {
  try {
    return await load.waitForLine(pattern, { timeoutMs })
  } catch {
    throw new Error(load.texts().at(-1) ?? 'the load does not answer')
  }
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
}

async function untilListening(program: Program, port: number): Promise<void> {
  for (const deadlineMs = Date.now() + LISTEN_TIMEOUT_MS; ; ) {
    if (isListening(program.pid, port)) return
    if (!program.isRunning || Date.now() > deadlineMs) {
      throw new Error(`it does not listen: ${program.texts().slice(-3).join(' | ')}`)
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
