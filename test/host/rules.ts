// Rules of others in front of ours: what VPNs, multi-homed hosts and firewalls put there, before and after the set-up.
import assert from 'node:assert/strict'
import type { Host } from '../../src/lab/host.ts'
import { shell } from '../rig/shell.ts'
import { NEEDS_ROOT } from '../rig/skip.ts'
import { truepeer } from './bare-hosts.ts'

/** `ip rule` of wg-quick(8) for "AllowedIPs = 0.0.0.0/0, ::/0": without a priority, and so always in front. */
export const WG_QUICK = ['rule add not fwmark 51820 table 51820', 'rule add table main suppress_prefixlength 0']
/** What tailscaled has, with an exit node. */
const TAILSCALE = [
  'rule add priority 5210 fwmark 0x80000/0xff0000 lookup main',
  'rule add priority 5230 fwmark 0x80000/0xff0000 lookup default',
  'rule add priority 5250 fwmark 0x80000/0xff0000 unreachable',
  'rule add priority 5270 lookup 52',
]

type Case = {
  readonly what: string
  readonly rules: (family: 4 | 6) => readonly string[]
  /** The table whose route leads away; undefined: the rule needs none. */
  readonly table?: number
}

const net = (family: 4 | 6): string => (family === 4 ? '198.51.100.0/24' : '2001:db8:51::/48')

/** What others put in front of ours. */
export const CASES: readonly Case[] = [
  { what: "tailscale's rules", rules: () => TAILSCALE, table: 52 },
  { what: "wg-quick's two rules", rules: () => WG_QUICK, table: 51820 },
  { what: 'a rule by mark that is negated', rules: () => ['rule add not fwmark 0x1/0xff lookup 300'], table: 300 },
  // A user namespace has no other users.
  ...(NEEDS_ROOT.skip === false
    ? [{ what: 'a rule by user', rules: () => ['rule add uidrange 4000-4999 lookup 300'], table: 300 }]
    : []),
  { what: 'a rule by another user', rules: () => ['rule add not uidrange 0-0 lookup 300'], table: 300 },
  { what: "a rule by the app's port", rules: () => ['rule add ipproto tcp sport 112 lookup 300'], table: 300 },
  { what: 'a rule about UDP alone', rules: () => ['rule add ipproto udp sport 53 lookup 300'], table: 300 },
  { what: 'a rule by ports of clients', rules: () => ['rule add ipproto tcp dport 1024-65000 lookup 300'], table: 300 },
  { what: 'a rule by destination', rules: (family) => [`rule add to ${net(family)} lookup 300`], table: 300 },
  { what: 'a rule that looks main up', rules: () => ['rule add lookup main'] },
  { what: 'a rule that refuses', rules: (family) => [`rule add to ${net(family)} prohibit`] },
]

/** The tables that the rules look up, each with a route that leads away. */
export async function addTables(host: Host): Promise<void> {
  for (const table of new Set(CASES.flatMap((one) => one.table ?? []))) {
    await host.ip(`-4 route add default via 35.191.0.9 table ${table}`)
    await host.ip(`-6 route add default via 2001:db8:35::9 table ${table}`)
  }
}

/** Adds the rules of a case, as somebody else does. */
export async function addRules(host: Host, { rules }: Case, family: 4 | 6): Promise<void> {
  for (const words of rules(family)) await host.ip(`-${family} ${words}`)
}

/** The rules in front of ours, without the one of the local table; nothing but these lines may differ. */
export async function inFront(host: Host, family: 4 | 6): Promise<readonly string[]> {
  const lines = (await shell(host, `ip -${family} rule`)).trim().split('\n')
  const ours = lines.findIndex((line) => /from (127\.0\.0\.0\/8|::1) iif lo lookup 100/.test(line))
  assert.notEqual(ours, -1, lines.join('\n'))
  return lines.slice(0, ours).filter((line) => !line.endsWith('lookup local'))
}

/** What `host-setup status` prints. */
export async function status(host: Host): Promise<string> {
  return (await truepeer(host, 'host-setup status')).stdout
}
