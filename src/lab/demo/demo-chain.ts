import { parseIpAddress } from '../../address/ip-address.ts'
import type { Host } from '../host.ts'
import type { Program } from '../program.ts'
import type { DemoAddresses, DemoHosts } from './demo-hosts.ts'
import type { DemoResult, Transcript } from './demo-transcript.ts'

const SUBNETS_FILE = '/run/lb-subnets'
const GREETING = 'Hello, world'
const APP_FILE = '/run/app'
// What ncat does with each connection: log the first line of it, and answer with the address of its peer.
const APP_SCRIPT = 'read line; echo "$line" >&2; echo "Welcome, $NCAT_REMOTE_ADDR"'

/** What the app's answers need to come back to the agent instead of leaving the host (ip-rule(8), ip-route(8)). */
const ROUTING = {
  IPv4: ['ip rule add from 127.0.0.0/8 iif lo lookup 100', 'ip route add local 0.0.0.0/0 dev lo table 100'],
  IPv6: ['ip -6 rule add from ::1/128 iif lo lookup 100', 'ip -6 route add local ::/0 dev lo table 100'],
}

/** The chain of the demo, client to app: what is typed on its hosts, and what the app says it saw. */
export class DemoChain {
  readonly #hosts: DemoHosts
  readonly #transcript: Transcript
  readonly #checkout: string
  /** All that was started in the background, for its output. */
  readonly programs: { readonly name: string; readonly program: Program }[] = []

  /** @param checkout the directory in which commands run: that of `bin/truepeer` */
  constructor(hosts: DemoHosts, transcript: Transcript, checkout: string) {
    this.#hosts = hosts
    this.#transcript = transcript
    this.#checkout = checkout
  }

  /** The app listens where the edge connects: it sees the edge, and the PROXY line is the first thing it reads. */
  async runWithoutAgent(addresses: DemoAddresses): Promise<DemoResult> {
    const app = await this.#startApp(addresses.backend, 110)
    await this.#startProxy(
      this.#hosts.edge,
      `bin/truepeer edge --listen ${endpoint(addresses.edge, 110)} --backend ${endpoint(addresses.backend, 110)}`,
    )
    const version = addresses.family === 'IPv4' ? 'TCP4' : 'TCP6'
    const header = new RegExp(`^PROXY ${version} ${addresses.client} ${addresses.edge} [0-9]+ 110\\r?$`)
    const peer = await this.#greet(app, addresses, header)
    return { run: `${addresses.family} without agent`, peer, expected: addresses.edgeSource }
  }

  /** Writes the app: a script that ncat runs for each connection. */
  async writeApp(): Promise<void> {
    await this.#type(this.#hosts.backend, `echo '${APP_SCRIPT}' > ${APP_FILE}`)
  }

  /** Writes the file of the networks that agents take headers from: the load balancer's. */
  async allowSubnets(): Promise<void> {
    const subnets = '35.191.0.0/16 130.211.0.0/22 2001:db8:35::/64'
    await this.#type(this.#hosts.backend, `printf '%s\\n' ${subnets} > ${SUBNETS_FILE}`)
  }

  /** The agent listens there instead, and connects to the app from the client's own address. */
  async runWithAgent(addresses: DemoAddresses): Promise<DemoResult> {
    for (const command of ROUTING[addresses.family]) await this.#type(this.#hosts.backend, command)
    await this.#startProxy(
      this.#hosts.backend,
      `bin/truepeer agent -l ${endpoint(addresses.backend, 110)} -4 127.0.0.1:112 -6 '[::1]:112' \\\n` +
        `--allowed-subnets ${SUBNETS_FILE}`,
    )
    const app = await this.#startApp(addresses.app, 112)
    const peer = await this.#greet(app, addresses, new RegExp(`^${GREETING}$`))
    return { run: `${addresses.family} with agent`, peer, expected: addresses.client }
  }

  async #type(host: Host, commandLine: string): Promise<string> {
    this.#transcript.command(host.name, commandLine)
    const { exitCode, stdout, stderr } = await host.run('sh', ['-c', commandLine], { workingDirectory: this.#checkout })
    if (exitCode !== 0) {
      this.#transcript.output(host.name, `${stdout}${stderr}`.trimEnd().split('\n'))
      throw new Error(`exit code ${exitCode} on ${host.name}`)
    }
    return stdout
  }

  #startInBackground(host: Host, commandLine: string): Program {
    this.#transcript.command(host.name, `${commandLine} &`)
    const program = host.start('sh', ['-c', `exec ${commandLine}`], { workingDirectory: this.#checkout })
    this.programs.push({ name: commandLine.split(' -')[0], program })
    return program
  }

  async #startProxy(host: Host, commandLine: string): Promise<void> {
    const program = this.#startInBackground(host, commandLine)
    await program.waitForLine(/"msg":"listening"/)
  }

  async #startApp(address: string, port: number): Promise<Program> {
    const app = this.#startInBackground(this.#hosts.backend, `ncat -v -l -k ${address} ${port} -c 'sh ${APP_FILE}'`)
    await app.waitForLine(/Listening on/)
    return app
  }

  /**
   * The client sends its line, and the app ends.
   *
   * @returns the peer in the app's log
   * @throws Error when the app's first line does not match `firstLine` or the client is not answered
   */
  async #greet(app: Program, addresses: DemoAddresses, firstLine: RegExp): Promise<string> {
    const from = app.output.length
    const client = this.#hosts.client
    const answer = await this.#type(client, `echo "${GREETING}" | ncat --no-shutdown ${addresses.edge} 110`)
    this.#transcript.output('client', answer.trimEnd().split('\n'))
    const received = await app.waitForLine(/^(?!Ncat: )./, { from })
    // The last that was started on this host, also for whoever types it; otherwise it keeps the port.
    this.#transcript.command(this.#hosts.backend.name, 'kill $!')
    await app.stop()
    const log = app.texts(from)
    this.#transcript.output("app's log", log)
    const peer = peerInLog(log)
    if (!firstLine.test(received)) throw new Error(`the app read "${received}", which does not match ${firstLine}`)
    if (answer !== `Welcome, ${peer}\n`) throw new Error(`the client was not answered "Welcome, ${peer}"`)
    return peer
  }
}

/** The address in ncat's first "Connection from" line; newer versions of ncat append the port. */
function peerInLog(log: readonly string[]): string {
  const match = log.map((line) => /^Ncat: Connection from (.*)\.$/.exec(line)).find((found) => found !== null)
  const text = match?.[1] ?? 'no connection'
  if (parseIpAddress(text) !== undefined) return text
  return text.replace(/:[0-9]+$/, '').replace(/^\[(.*)\]$/, '$1')
}

function endpoint(address: string, port: number): string {
  return address.includes(':') ? `'[${address}]:${port}'` : `${address}:${port}`
}
