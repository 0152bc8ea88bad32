// Ports of containers that are published on this host: by the kernel, which translates addresses, or by a program that
// passes bytes on. In both cases an app behind a local address is not on this host.
import { readdirSync } from 'node:fs'
import type { Protocol } from '../address/endpoint.ts'
import { readSysctl } from './sysctl.ts'
import { HostError, runTool } from './tools.ts'

/** Programs that pass bytes on to a container and connect to it by themselves; /proc cuts names at 15 characters. */
const FORWARDERS = [
  ...['docker-proxy', 'rootlessport', 'rootlesskit', 'slirp4netns', 'pasta', 'passt', 'gvproxy'],
  ...['systemd-socket-', 'svclb'],
]
/** What helps an app that is not where its target says. */
export const IN_CONTAINER =
  'run the agent in the network namespace of the app, or the app in that of the host ("docker run --network host")'

/** Reports whether a program of this name passes connections on to an app that is somewhere else. */
export function isForwarder(program: string): boolean {
  return FORWARDERS.some((name) => program.startsWith(name))
}

/** Interfaces whose neighbours, or containers, reach 127.0.0.0/8 (ip-sysctl, route_localnet). */
export function routeLocalnetInterfaces(): string[] {
  const isOn = (name: string): boolean => readSysctl(`net.ipv4.conf.${name}.route_localnet`) === '1'
  return interfaceNames().filter((name) => name !== 'lo' && name !== 'default' && isOn(name))
}

function interfaceNames(): string[] {
  try {
    return readdirSync('/proc/sys/net/ipv4/conf')
  } catch {
    return []
  }
}

/**
 * Reports whether the firewall translates what comes to a port of this host, as containers have them published;
 * `false` also where this user may not look.
 */
export async function isTranslated(port: number, protocol: Protocol): Promise<boolean> {
  return (await nftTranslates(port, protocol)) || (await iptablesTranslates(port, protocol))
}

/** What an operator has to know of this host once the routing is there. */
export async function publishedPortNotes(appPorts: readonly number[]): Promise<string[]> {
  const notes: string[] = []
  const interfaces = routeLocalnetInterfaces()
  if (interfaces.length > 0) {
    notes.push(
      `route_localnet is on (${interfaces.join(', ')}): what is translated from 127.0.0.1 to a container does not get ` +
        'there from loopback, because the routing keeps it on this host; run the agent in the network of the container',
    )
  }
  for (const port of appPorts) {
    for (const protocol of ['tcp', 'udp'] as const) {
      if (!(await isTranslated(port, protocol))) continue
      notes.push(`port ${port} (${protocol}) is translated to another address: ${IN_CONTAINER}`)
    }
  }
  return notes
}

type Json = Readonly<Record<string, unknown>>

async function nftTranslates(port: number, protocol: Protocol): Promise<boolean> {
  const output = await outputOf('nft', ['-j', 'list', 'ruleset'])
  if (output === undefined || output.trim() === '') return false
  const { nftables } = JSON.parse(output) as { readonly nftables: readonly Json[] }
  const sets = nftables.flatMap(({ set }) => (set === undefined ? [] : [set as Json]))
  return nftables.some(({ rule }) => rule !== undefined && nftRuleTranslates(rule as Json, sets, port, protocol))
}

/** Reads a rule as libnftables-json(5) has it. */
export function nftRuleTranslates(
  { expr, table }: Json,
  sets: readonly Json[],
  port: number,
  protocol: Protocol,
): boolean {
  const statements = expr as readonly Json[]
  const translation = statements.find((statement) => 'dnat' in statement || 'redirect' in statement)
  if (translation === undefined) return false
  const matches = statements.flatMap(({ match }) => {
    const { op, left, right } = (match ?? {}) as Json
    return match === undefined ? [] : [{ op, left: JSON.stringify(left ?? null), right }]
  })
  const other: Protocol = protocol === 'tcp' ? 'udp' : 'tcp'
  if (
    matches.some(({ left, right }) => left.includes(`"${other}"`) || (left.includes('"l4proto"') && right === other))
  ) {
    return false
  }
  const ports = matches.filter(({ left }) => left.includes('"dport"'))
  // Without a port of its own, a rule is about all of them, or a map inside the translation tells them apart.
  if (ports.length === 0) return !JSON.stringify(translation).includes('"dport"') || mentions(translation, port)
  return ports.every(({ op, right }) => covers(right, port, table, sets) === (op !== '!='))
}

function mentions(value: unknown, port: number): boolean {
  return new RegExp(`\\b${port}\\b`).test(JSON.stringify(value))
}

/** A number, a range, a set of these, or the name of one. */
function covers(value: unknown, port: number, table: unknown, sets: readonly Json[]): boolean {
  if (typeof value === 'number') return value === port
  if (Array.isArray(value)) return value.some((one) => covers(one, port, table, sets))
  if (typeof value === 'string') {
    const named = sets.find((set) => `@${set['name']}` === value && set['table'] === table)
    return named !== undefined && covers(named['elem'] ?? [], port, table, sets)
  }
  const { range, set, elem } = (value ?? {}) as { range?: [number, number]; set?: unknown; elem?: { val: unknown } }
  if (range !== undefined) return range[0] <= port && port <= range[1]
  return covers(set ?? elem?.val ?? [], port, table, sets)
}

async function iptablesTranslates(port: number, protocol: Protocol): Promise<boolean> {
  for (const tool of ['iptables-save', 'ip6tables-save'] as const) {
    const output = (await outputOf(tool, ['-t', 'nat'])) ?? ''
    if (output.split('\n').some((line) => iptablesRuleTranslates(line, port, protocol))) return true
  }
  return false
}

/** Reads a line of iptables-save(8). */
export function iptablesRuleTranslates(line: string, port: number, protocol: Protocol): boolean {
  const [, asked = protocol] = / -p (\S+)/.exec(line) ?? []
  if (!/ -j (DNAT|REDIRECT)\b/.test(line) || asked !== protocol) return false
  const [, not, ports] = /(! )?--dports? (\S+)/.exec(line) ?? []
  if (ports === undefined) return true
  const isIn = ports.split(',').some((part) => {
    const [first, last = first] = part.split(':').map(Number)
    return first <= port && port <= last
  })
  return isIn === (not === undefined)
}

/** undefined where the program is missing, or does not tell this user. */
async function outputOf(tool: Parameters<typeof runTool>[0], args: readonly string[]): Promise<string | undefined> {
  try {
    const { exitCode, stdout } = await runTool(tool, args)
    return exitCode === 0 ? stdout : undefined
  } catch (error) {
    if (error instanceof HostError) return undefined
    throw error
  }
}
