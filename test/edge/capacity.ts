// Two hosts of backends, as two agents on one host: each sees a load of its own.
import { closeSync, openSync, writeSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { IPV4 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { loadQuestion, parseLoadReport } from '../../src/proxy-protocol/load-report.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually } from '../rig/eventually.ts'
import { edgeHosts, routeForAgent } from '../rig/hosts.ts'
import { startLineApps } from '../rig/line-app.ts'
import { resources } from '../rig/resources.ts'
import { TRUEPEER } from '../rig/truepeer.ts'

/** Where clients of the two hosts connect to. */
export const FRONTEND = `${IPV4.edge}:110`
const HOSTS = [
  { instance: 'first', address: '10.128.0.2', app: '127.0.0.1:112' },
  { instance: 'second', address: '10.128.0.3', app: '127.0.0.1:113' },
] as const
/** What the apps behind the two agents are called. */
export const [FIRST, SECOND] = HOSTS.map(({ app }) => app)

/** The two hosts as groups of these zones, each with a target of 80 %. */
export function configuration(zones: readonly [string, string]): object[] {
  const balancing = { balancingMode: 'UTILIZATION', maxUtilization: 0.8 }
  const group = (at: number) => {
    const { instance, address } = HOSTS[at]
    return { zone: zones[at], instances: { [instance]: address }, port: 110, balancing }
  }
  return resources({
    frontends: { rule: { listen: FRONTEND, service: 'app', proxy: { proxyHeader: 'PROXY_V1' } } },
    services: { app: { groups: { one: group(0), two: group(1) }, healthCheck: {} } },
  })
}

/** Starts both agents, which begin with these loads. */
export async function buildAgents(t: TestContext, utilizations: readonly [number, number]) {
  const hosts = await edgeHosts(t)
  const { backend } = hosts
  await backend.ip('address add 10.128.0.3/20 dev eth0')
  await routeForAgent(backend)
  await startLineApps(backend, [FIRST, SECOND])
  const loads = utilizations.map((utilization) => new MadeLoad(t, utilization))
  await Promise.all(
    HOSTS.map(({ address, app }, at) =>
      startLoadedAgent(backend, loads[at], { listen: `${address}:110`, target: app }),
    ),
  )
  return { ...hosts, loads }
}

const TICK_MS = 100
const DIGITS = 12

/** The load of a host as its programs read it in /proc/stat, which the test decides. */
export class MadeLoad {
  /** Part of the processors in use from now on. */
  utilization: number
  readonly file: string
  readonly #fd: number
  readonly #timer: NodeJS.Timeout
  #busy = 0
  #idle = 0

  constructor(t: TestContext, utilization: number) {
    this.utilization = utilization
    this.file = join(testDirectory(t), 'stat')
    this.#fd = openSync(this.file, 'w')
    this.#write()
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
    t.after(() => {
      clearInterval(this.#timer)
      closeSync(this.#fd)
    })
  }

  #tick(): void {
    const ticks = 100
    this.#busy += Math.round(ticks * this.utilization)
    this.#idle += ticks - Math.round(ticks * this.utilization)
    this.#write()
  }

  // Always as long as before, and in one call: whoever reads meanwhile gets one or the other.
  #write(): void {
    const [busy, idle] = [this.#busy, this.#idle].map((value) => `${value}`.padStart(DIGITS, '0'))
    const cpu = (name: string): string => `${name} ${busy} 0 0 ${idle} 0 0 0 0 0 0\n`
    writeSync(this.#fd, `${cpu('cpu ')}${cpu('cpu0')}`, 0)
  }
}

/** Starts an agent that takes `load` for that of its host, and waits until it says so. */
export async function startLoadedAgent(
  backend: Host,
  load: MadeLoad,
  { listen, target, target6 }: { readonly listen: string; readonly target: string; readonly target6?: string },
): Promise<void> {
  const targets = target6 === undefined ? `-4 ${target}` : `-4 ${target} -6 ${target6}`
  const agent = `exec "$0" agent -l ${listen} ${targets} --allow-all-subnets`
  const script = `mount --bind ${load.file} /proc/stat && ${agent}`
  const program = backend.start('unshare', ['--mount', 'sh', '-c', script, TRUEPEER])
  await program.waitForLine(/"msg":"listening"/)
  await eventually('the agent knows the load', async () => {
    const report = await askForLoad(backend, listen)
    return report !== undefined && Math.abs(report - load.utilization) < 0.05
  })
}

async function askForLoad(from: Host, agent: string): Promise<number | undefined> {
  const socket = await from.connect({ to: agent })
  socket.end(loadQuestion())
  const answer = await readToEnd(socket)
  socket.destroy()
  return parseLoadReport(answer.toString())?.cpu_utilization
}

/** Keeps so many processors busy, with what other programs leave of them, until the result is called. */
export async function burnProcessors(t: TestContext, host: Host, count: number): Promise<() => void> {
  const file = join(testDirectory(t), 'burn.js')
  await writeFile(file, 'while (true) {}\n')
  const programs = Array.from({ length: count }, () => host.start('nice', ['-n', '19', process.execPath, file]))
  return () => {
    for (const program of programs) program.kill()
  }
}
