// Name servers of others, and dig(1): over UDP and TCP at one address and port, as everybody knows it. They answer the
// client of the demo, and nobody else.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { IPV4, IPV6 } from '../../src/lab/demo/demo-hosts.ts'
import type { Host } from '../../src/lab/host.ts'
import type { Program } from '../../src/lab/program.ts'
import { testDirectory } from '../rig/directory.ts'
import { eventually } from '../rig/eventually.ts'

/** The name that is asked for, and its address. */
export const NAME = 'www.app.example'
export const ANSWER = '192.0.2.53'
/** Of this name, PowerDNS's own server says the address of who asks. */
export const WHOAMI = 'whoami.app.example'
const START_TIMEOUT_MS = 30_000
/** Whom headers are taken from. */
const EDGES = ['35.191.0.0/16', '2001:db8:35::/64']

const ZONE = `$ORIGIN app.example.
$TTL 60
@ SOA ns hostmaster 1 60 60 60 60
@ NS ns
ns A 192.0.2.1
www A ${ANSWER}
`

/** A name server that runs. */
export type NameServer = {
  readonly program: Program
  /** What it has logged of queries by a client: a line each. */
  readonly queriesOf: (client: string) => readonly string[]
}

/** A server of a kind on a port of the backend's addresses, which reads headers. */
export type StartNameServer = (t: TestContext, host: Host, port: number) => Promise<NameServer>

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
  // It asks about who has sent the datagram, too.
  const allow = [IPV4.client, IPV6.client, ...allowed, ...(readsHeaders ? EDGES : [])]
    .map((client) => `  access-control: ${client} allow\n`)
    .join('')
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

/** PowerDNS's resolver. */
export async function startRecursor(t: TestContext, host: Host, port: number): Promise<NameServer> {
  const directory = testDirectory(t)
  writeFileSync(join(directory, 'zone'), ZONE)
  const settings = {
    'local-address': `${IPV4.backend},${IPV6.backend}`,
    'local-port': port,
    'proxy-protocol-from': EDGES.join(),
    'allow-from': `${IPV4.client}/32,${IPV6.client}/128`,
    'auth-zones': `app.example=${join(directory, 'zone')}`,
    'socket-dir': directory,
    'security-poll-suffix': '',
    'hint-file': '',
    'disable-packetcache': 'yes',
    setuid: '',
    setgid: '',
    daemon: 'no',
    'disable-syslog': 'yes',
    quiet: 'no',
    loglevel: 6,
    threads: 1,
  }
  writeFileSync(join(directory, 'recursor.conf'), lines(settings))
  const program = host.start('pdns_recursor', [`--config-dir=${directory}`])
  await untilOpen(host, port)
  return {
    program,
    queriesOf: (client) =>
      program.texts().filter((line) => /Question/.test(line) && line.includes(`remote="${atPort(client)}`)),
  }
}

/** PowerDNS's server of zones, which answers everybody; {@link WHOAMI} says whom it sees. */
export async function startAuthoritative(t: TestContext, host: Host, port: number): Promise<NameServer> {
  const directory = testDirectory(t)
  const zone = join(directory, 'zone')
  writeFileSync(zone, `${ZONE}whoami LUA TXT "who:toString()"\n`)
  writeFileSync(join(directory, 'named.conf'), `zone "app.example" { type master; file "${zone}"; };\n`)
  const settings = {
    launch: 'bind',
    'bind-config': join(directory, 'named.conf'),
    'local-address': `${IPV4.backend},${IPV6.backend}`,
    'local-port': port,
    'proxy-protocol-from': EDGES.join(),
    'socket-dir': directory,
    'security-poll-suffix': '',
    setuid: '',
    setgid: '',
    daemon: 'no',
    guardian: 'no',
    'disable-syslog': 'yes',
    'log-dns-queries': 'yes',
    'log-dns-details': 'yes',
    loglevel: 6,
    'enable-lua-records': 'yes',
    'cache-ttl': 0,
  }
  writeFileSync(join(directory, 'pdns.conf'), lines(settings))
  const program = host.start('pdns_server', [`--config-dir=${directory}`])
  await untilOpen(host, port)
  return { program, queriesOf: (client) => program.texts().filter((line) => line.includes(`(${client}) wants`)) }
}

/** Knot Resolver. */
export async function startKnotResolver(t: TestContext, host: Host, port: number): Promise<NameServer> {
  const directory = testDirectory(t)
  const file = join(directory, 'kresd.conf')
  const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(', ')
  writeFileSync(
    file,
    `net.listen({ ${quoted([IPV4.backend, IPV6.backend])} }, ${port}, { kind = 'dns' })
net.proxy_allowed({ ${quoted(EDGES)} })
trust_anchors.remove('.')
modules = { 'view' }
local answer = policy.ANSWER({ [kres.type.A] = { rdata = kres.str2ip('${ANSWER}'), ttl = 60 } })
local function told(state, req)
  io.stderr:write('query of ' .. tostring(req.qsource.addr) .. '\\n')
  return answer(state, req)
end
view:addr('${IPV4.client}/32', policy.all(told))
view:addr('${IPV6.client}/128', policy.all(told))
view:addr('0.0.0.0/0', policy.all(policy.REFUSE))
view:addr('::/0', policy.all(policy.REFUSE))
`,
  )
  const program = host.start('kresd', ['-n', '-c', file, directory], { workingDirectory: directory })
  await untilOpen(host, port)
  return {
    program,
    queriesOf: (client) => program.texts().filter((line) => line.startsWith(`query of ${client}#`)),
  }
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

function lines(settings: Readonly<Record<string, string | number>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

function atPort(address: string): string {
  return address.includes(':') ? `[${address}]:` : `${address}:`
}

async function untilOpen(host: Host, port: number): Promise<void> {
  await eventually('the name server answers', async () => {
    const { stdout } = await host.run('ss', ['-Hlntu', `sport = :${port}`])
    return /^udp/m.test(stdout) && /^tcp/m.test(stdout)
  })
}
