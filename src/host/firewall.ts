// The optional nftables table (nft(8), libnftables-json(5)): the app's ports closed to the outside, spoofed sources kept
// inside.
import { isDeepStrictEqual } from 'node:util'
import { HostError, isNotPermitted, runTool, runToolChecked } from './tools.ts'

/** What the table does. */
export type Firewall = {
  /** Ports of the app that only this host itself may reach. */
  readonly appPorts: readonly number[]
  /** The user whose packets may leave this host only with an address of this host; undefined: nobody is held to it. */
  readonly agentUid: number | undefined
}

const TABLE = { family: 'inet', name: 'truepeer' } as const
const PLACE = { family: TABLE.family, table: TABLE.name } as const
const PORTS = 'app_ports'

type Rule = { readonly chain: string; readonly expr: readonly object[] }

const fromOutside = { match: { op: '!=', left: { meta: { key: 'iifname' } }, right: 'lo' } }
const toOutside = { match: { op: '!=', left: { meta: { key: 'oifname' } }, right: 'lo' } }
const foreignSource = { match: { op: '!=', left: { fib: { result: 'type', flags: ['saddr'] } }, right: 'local' } }
const counter = { counter: { packets: 0, bytes: 0 } }
const drop = { drop: null }

function rulesOf(firewall: Firewall): Rule[] {
  const toAppPort = (protocol: 'tcp' | 'udp') => ({
    match: { op: '==', left: { payload: { protocol, field: 'dport' } }, right: `@${PORTS}` },
  })
  const ports: Rule[] = (['tcp', 'udp'] as const).map((protocol) => ({
    chain: 'input',
    expr: [fromOutside, toAppPort(protocol), counter, drop],
  }))
  if (firewall.agentUid === undefined) return ports
  const ofAgent = { match: { op: '==', left: { meta: { key: 'skuid' } }, right: firewall.agentUid } }
  return [...ports, { chain: 'output', expr: [toOutside, ofAgent, foreignSource, counter, drop] }]
}

/** Replaces the whole table in one transaction of the kernel: there is no moment without it. @throws HostError */
export async function loadFirewall(firewall: Firewall): Promise<void> {
  const hook = (name: string, prio: number) => ({
    add: { chain: { ...PLACE, name, type: 'filter', hook: name, prio, policy: 'accept' } },
  })
  // An empty list of elements is no valid set.
  const elements = firewall.appPorts.length > 0 ? { elem: [...firewall.appPorts] } : {}
  await load([
    { add: { table: TABLE } },
    { delete: { table: TABLE } },
    { add: { table: TABLE } },
    { add: { set: { ...PLACE, name: PORTS, type: 'inet_service', ...elements } } },
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
  const found = rules.map(({ chain, expr }) => ({ chain, expr: withoutCounter(expr as readonly object[]) }))
  const wanted = rulesOf(firewall).map(({ chain, expr }) => ({ chain, expr: withoutCounter(expr) }))
  return isDeepStrictEqual(sorted(ports ?? []), sorted(firewall.appPorts)) && isDeepStrictEqual(found, wanted)
}

function withoutCounter(expr: readonly object[]): object[] {
  return expr.filter((statement) => !('counter' in statement))
}

function sorted(ports: readonly number[]): number[] {
  return [...new Set(ports)].sort((a, b) => a - b)
}
