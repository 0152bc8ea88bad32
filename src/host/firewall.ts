// The nftables table (nft(8), libnftables-json(5)): connections of the app's own to clients' addresses refused; where asked
// for, the app's ports closed to the network and spoofed sources kept inside.
import { isDeepStrictEqual } from 'node:util'
import { HostError, isNotPermitted, runTool, runToolChecked } from './tools.ts'

/** What the table does, beside what it always does. */
export type Firewall = {
  /** Ports of the app that only this host itself may reach. */
  readonly appPorts: readonly number[]
  /** The user whose packets may leave this host only with an address of this host; undefined: nobody is held to it. */
  readonly agentUid: number | undefined
}

/** The table where nothing else is asked for. */
export const PLAIN_FIREWALL: Firewall = { appPorts: [], agentUid: undefined }

const TABLE = { family: 'inet', name: 'truepeer' } as const
const PLACE = { family: TABLE.family, table: TABLE.name } as const
const PORTS = 'app_ports'

/** `comment` says what the rule is: each version of nft(8) shows an expression in its own way, a comment in only one. */
type Rule = { readonly chain: string; readonly comment: string; readonly expr: readonly object[] }

const fromOutside = { match: { op: '!=', left: { meta: { key: 'iifname' } }, right: 'lo' } }
const toOutside = { match: { op: '!=', left: { meta: { key: 'oifname' } }, right: 'lo' } }
const foreignSource = { match: { op: '!=', left: { fib: { result: 'type', flags: ['saddr'] } }, right: 'local' } }
const counter = { counter: { packets: 0, bytes: 0 } }
const drop = { drop: null }

const LOOPBACK = { ip: { prefix: { addr: '127.0.0.0', len: 8 } }, ip6: '::1' } as const
const PROTOCOLS = ['ip', 'ip6'] as const

/** From a loopback address to one that is none: an app's answer to a client, or what it begins itself. */
function fromLoopbackAway(protocol: (typeof PROTOCOLS)[number]): object[] {
  const field = (name: string, op: string) => ({
    match: { op, left: { payload: { protocol, field: name } }, right: LOOPBACK[protocol] },
  })
  return [field('saddr', '=='), field('daddr', '!=')]
}

/**
 * The routing leads whatever an app sends from loopback back to this host. For its answers that is right; a connection
 * that it begins would reach a service of this host, as one from loopback. SYN without ACK begins one.
 */
function ownConnections(protocol: (typeof PROTOCOLS)[number]): Rule {
  const flags = { '&': [{ payload: { protocol: 'tcp', field: 'flags' } }, ['syn', 'ack']] }
  const begins = { match: { op: '==', left: flags, right: 'syn' } }
  const expr = [...fromLoopbackAway(protocol), begins, counter, { reject: { type: 'tcp reset' } }]
  return { chain: 'output', comment: `${protocol}: no connections of the app to clients`, expr }
}

/** The same for datagrams. None of them begins anything, so it counts who would get one: only a transparent socket may. */
function ownDatagrams(protocol: (typeof PROTOCOLS)[number]): Rule {
  const isUdp = { match: { op: '==', left: { meta: { key: 'l4proto' } }, right: 'udp' } }
  const ordinary = { match: { op: '==', left: { socket: { key: 'transparent' } }, right: 0 } }
  const refuse = { reject: { type: 'icmpx', expr: 'port-unreachable' } }
  const expr = [...fromLoopbackAway(protocol), isUdp, ordinary, counter, refuse]
  return { chain: 'input', comment: `${protocol}: no datagrams of the app to clients`, expr }
}

function rulesOf(firewall: Firewall): Rule[] {
  const toAppPort = (protocol: 'tcp' | 'udp') => ({
    match: { op: '==', left: { payload: { protocol, field: 'dport' } }, right: `@${PORTS}` },
  })
  const closed = firewall.appPorts.length === 0 ? [] : (['tcp', 'udp'] as const)
  const ports: Rule[] = closed.map((protocol) => ({
    chain: 'input',
    comment: `${protocol}: ports of the app closed to the network`,
    expr: [fromOutside, toAppPort(protocol), counter, drop],
  }))
  const rules = [...ports, ...PROTOCOLS.map(ownDatagrams), ...PROTOCOLS.map(ownConnections)]
  const { agentUid } = firewall
  if (agentUid === undefined) return rules
  const ofAgent = { match: { op: '==', left: { meta: { key: 'skuid' } }, right: agentUid } }
  const comment = `foreign sources of user ${agentUid} kept inside`
  return [...rules, { chain: 'output', comment, expr: [toOutside, ofAgent, foreignSource, counter, drop] }]
}

/** Replaces the whole table in one transaction of the kernel: there is no moment without it. @throws HostError */
export async function loadFirewall(firewall: Firewall): Promise<void> {
  const hook = (name: string, prio: number) => ({
    add: { chain: { ...PLACE, name, type: 'filter', hook: name, prio, policy: 'accept' } },
  })
  const set = { ...PLACE, name: PORTS, type: 'inet_service', elem: [...firewall.appPorts] }
  await load([
    { add: { table: TABLE } },
    { delete: { table: TABLE } },
    { add: { table: TABLE } },
    ...(firewall.appPorts.length > 0 ? [{ add: { set } }] : []),
    hook('input', -10),
    hook('output', 0),
    ...rulesOf(firewall).map((rule) => ({ add: { rule: { ...PLACE, ...rule } } })),
  ])
}

/** Removes the table. @throws HostError */
export async function deleteFirewall(): Promise<void> {
  // "add" first: deleting a table that is not there would be an error.
  await load([{ add: { table: TABLE } }, { delete: { table: TABLE } }])
}

async function load(commands: readonly object[]): Promise<void> {
  // As an argument: nft opens /dev/stdin by name, which fails for the socket that node gives a program as its input.
  await runToolChecked('nft', ['-j', JSON.stringify({ nftables: commands })])
}

/** What is known of the table: nft(8) may be missing, and shows nothing to ordinary users. */
export type FirewallState =
  | { readonly kind: 'present'; readonly isAs: (firewall: Firewall) => boolean }
  | { readonly kind: 'absent' | 'no-nft' | 'not-permitted' }

/** Asks the kernel for the table. @throws HostError when nft fails in an unknown way */
export async function readFirewall(): Promise<FirewallState> {
  const result = await runTool('nft', ['-j', 'list', 'table', TABLE.family, TABLE.name]).catch((error: unknown) => {
    if (error instanceof HostError) return undefined
    throw error
  })
  if (result === undefined) return { kind: 'no-nft' }
  const { exitCode, stdout, stderr } = result
  if (exitCode === 0) return { kind: 'present', isAs: (firewall) => isSame(JSON.parse(stdout), firewall) }
  if (stderr.includes('No such file or directory')) return { kind: 'absent' }
  if (isNotPermitted(stderr)) return { kind: 'not-permitted' }
  throw new HostError(`"nft list table inet truepeer" failed: ${stderr.trim()}`)
}

type Listing = { readonly nftables: readonly Readonly<Record<string, Readonly<Record<string, unknown>>>>[] }

function isSame(listing: Listing, firewall: Firewall): boolean {
  const set = listing.nftables.find(({ set: found }) => found?.['name'] === PORTS)?.['set']
  const ports = set === undefined ? undefined : ((set['elem'] ?? []) as readonly number[])
  const rules = listing.nftables.flatMap(({ rule }) => (rule === undefined ? [] : [rule]))
  const found = rules.map(({ chain, comment }) => ({ chain, comment }))
  const wanted = rulesOf(firewall).map(({ chain, comment }) => ({ chain, comment }))
  return isDeepStrictEqual(sorted(ports ?? []), sorted(firewall.appPorts)) && isDeepStrictEqual(found, wanted)
}

function sorted(ports: readonly number[]): number[] {
  return [...new Set(ports)].sort((a, b) => a - b)
}

/** What the table does, for people. */
export function describeFirewall({ appPorts, agentUid }: Firewall): string {
  const ports = appPorts.length > 0 ? `; ports ${appPorts.join(', ')} closed to the network` : ''
  const user = agentUid === undefined ? '' : `; foreign source addresses of user ${agentUid} are kept on this host`
  return `table inet truepeer: connections of the app to clients refused${ports}${user}`
}
