// Name servers of others, and dig(1): over UDP and TCP at one address and port, as everybody knows it. They answer the
// client of the demo, and nobody else.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import type { Program } from '../../src/lab/program.ts'
import { testDirectory } from '../rig/directory.ts'

/** The name that is asked for, and its address. */
export const NAME = 'www.app.example'
export const ANSWER = '192.0.2.53'
const START_TIMEOUT_MS = 30_000
/** A name server that runs. */
export type NameServer = {
  readonly program: Program
  /** What it has logged of queries by a client: a line each. */
  readonly queriesOf: (client: string) => readonly string[]
}

/** Unbound; without `readsHeaders` it is the app of an agent, on loopback. */
export async function startUnbound(
  t: TestContext,
  host: Host,
  port: number,
  { readsHeaders = true, allowed = [] }: { readonly readsHeaders?: boolean; readonly allowed?: readonly string[] } = {},
): Promise<NameServer> {
  const directory = testDirectory(t)
  const at = (family: typeof IPV4): string => (readsHeaders ? family.backend : family.app)
  const file = join(directory, 'unbound.conf')
  const allow = [IPV4.client, IPV6.client, ...allowed].map((client) => `  access-control: ${client} allow\n`).join('')
  writeFileSync(
    file,
    `server:
  interface: ${at(IPV4)}@${port}
  interface: ${at(IPV6)}@${port}
${readsHeaders ? `  proxy-protocol-port: ${port}\n` : ''}  username: ""
  chroot: ""
  directory: "${directory}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  log-queries: yes
  module-config: "iterator"
  access-control: 0.0.0.0/0 refuse
  access-control: ::/0 refuse
${allow}  local-zone: "app.example." static
  local-data: "${NAME}. A ${ANSWER}"
remote-control:
  control-enable: no
`,
  )
  const program = host.start('unbound', ['-d', '-c', file])
  await program.waitForLine(/start of service/, { timeoutMs: START_TIMEOUT_MS })
  return { program, queriesOf: (client) => program.texts().filter((line) => line.includes(` ${client} ${NAME}. `)) }
}

/** dnsdist in front of a server that is told of clients by headers. */
export async function startDnsdist(t: TestContext, host: Host, listen: string, server: string): Promise<Program> {
  const file = join(testDirectory(t), 'dnsdist.conf')
  writeFileSync(
    file,
    `setSecurityPollSuffix('')
setACL({ '0.0.0.0/0', '::/0' })
addLocal('${listen}')
newServer({ address = '${server}', useProxyProtocol = true, checkName = '${NAME}', checkInterval = 1 })
`,
  )
  const program = host.start('dnsdist', ['--supervised', '--disable-syslog', '-C', file])
  await program.waitForLine(/Marking downstream .* as 'up'/, { timeoutMs: START_TIMEOUT_MS })
  return program
}

/** What dig(1) has heard: the status, such as NOERROR or REFUSED, and the data of the answer; nothing of silence. */
export type Heard = { readonly status: string | undefined; readonly answer: string }

/** Asks a server once. */
export async function dig(
  client: Host,
  server: string,
  port: number,
  {
    from,
    isTcp = false,
    name = NAME,
    type = 'A',
  }: {
    readonly from?: string
    readonly isTcp?: boolean
    readonly name?: string
    readonly type?: string
  } = {},
): Promise<Heard> {
  const words = ['+tries=1', '+time=3', '+noall', '+comments', '+answer', ...(isTcp ? ['+tcp'] : [])]
  const source = from === undefined ? [] : ['-b', from]
  const { stdout } = await client.run('dig', [...words, ...source, '-p', String(port), `@${server}`, name, type])
  const answers = stdout.split('\n').filter((line) => line.startsWith(`${name}.`))
  return {
    status: /status: ([A-Z]+)/.exec(stdout)?.[1],
    answer: answers.map((line) => line.split(/\s+/).slice(4).join(' ').replaceAll('"', '')).join(),
  }
}
