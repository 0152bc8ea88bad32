// Policy routing that keeps the app's answers on this host (ip-rule(8), ip-route(8)): they are addressed to clients out
// on the internet, and belong to the agent's transparent sockets.
import { HostError, isNotPermitted, runTool, runToolChecked } from './tools.ts'

const RULE_FIELDS = new Set(['priority', 'src', 'srclen', 'iif', 'table', 'protocol'])

export type Family = 4 | 6

/** What one family's routing consists of. */
const ROUTING = {
  4: { name: 'IPv4', source: '127.0.0.0/8', everywhere: '0.0.0.0/0', probe: ['192.0.2.1', '127.0.0.1'] },
  6: { name: 'IPv6', source: '::1/128', everywhere: '::/0', probe: ['2001:db8::1', '::1'] },
} as const

/** "IPv4" or "IPv6". */
export function familyName(family: Family): string {
  return ROUTING[family].name
}

/** The words of `ip` behind `rule add` and `rule del`. */
export function ruleWords(family: Family, table: number): string[] {
  return ['from', ROUTING[family].source, 'iif', 'lo', 'lookup', String(table)]
}

/** The words of `ip` behind `route add` and `route del`. */
export function routeWords(family: Family, table: number): string[] {
  return ['local', ROUTING[family].everywhere, 'dev', 'lo', 'table', String(table)]
}

/** What the kernel holds for one family and table. */
export type RoutingState = {
  /** Priorities of the rules that are exactly ours, whoever made them: one for each duplicate. */
  readonly rulePriorities: readonly number[]
  readonly hasRoute: boolean
  /** Other routes in the table, which would divert some answers; as ip-route(8) would name them. */
  readonly otherRoutes: readonly string[]
  /** Other rules that look the table up: somebody else needs its route as well. */
  readonly isTableShared: boolean
  /** Tables for which a rule like ours exists: agents with another table. */
  readonly otherTables: readonly string[]
}

/** Asks the kernel for the routing of one family. Needs no privilege. @throws HostError */
export async function readRouting(family: Family, table: number): Promise<RoutingState> {
  // -N: the table by number, though it may have a name in /etc/iproute2/rt_tables.
  const rules = parseRules(await runToolChecked('ip', ['-N', '-j', `-${family}`, 'rule', 'show']))
  const routes = await readRoutes(family, table)
  const name = String(table)
  const alike = rules.filter((rule) => isLocalAnswersRule(rule, family))
  return {
    rulePriorities: alike.filter((rule) => rule.table === name).map((rule) => Number(rule.priority)),
    hasRoute: routes.some(isLocalEverywhere),
    otherRoutes: routes.filter((route) => !isLocalEverywhere(route)).map(formatRoute),
    isTableShared: rules.some((rule) => rule.table === name && !isLocalAnswersRule(rule, family)),
    otherTables: alike.filter((rule) => rule.table !== name).map((rule) => String(rule.table)),
  }
}

type Fields = Readonly<Record<string, unknown>>

function parseRules(json: string): readonly Fields[] {
  return json.trim() === '' ? [] : (JSON.parse(json) as readonly Fields[])
}

/** Exactly "from LOOPBACK iif lo lookup TABLE": one more selector, "not" among them, makes it somebody else's. */
export function isLocalAnswersRule(rule: Fields, family: Family): boolean {
  const isSource =
    family === 4
      ? rule['src'] === '127.0.0.0' && rule['srclen'] === 8
      : rule['src'] === '::1' && (rule['srclen'] ?? 128) === 128
  return isSource && rule['iif'] === 'lo' && Object.keys(rule).every((field) => RULE_FIELDS.has(field))
}

async function readRoutes(family: Family, table: number): Promise<readonly Fields[]> {
  const args = ['-j', `-${family}`, 'route', 'show', 'table', String(table)]
  const { exitCode, stdout, stderr } = await runTool('ip', args)
  if (exitCode === 0) return parseRules(stdout)
  // A table exists from its first route on.
  if (stderr.includes('FIB table does not exist')) return []
  throw new HostError(`"ip ${args.join(' ')}" failed: ${stderr.trim()}`)
}

function isLocalEverywhere(route: Fields): boolean {
  return route['type'] === 'local' && route['dst'] === 'default' && route['dev'] === 'lo' && !('gateway' in route)
}

function formatRoute(route: Fields): string {
  const gateway = 'gateway' in route ? ` via ${route['gateway']}` : ''
  const device = 'dev' in route ? ` dev ${route['dev']}` : ''
  return `${'type' in route ? `${route['type']} ` : ''}${route['dst']}${gateway}${device}`
}

/**
 * Reports whether an answer from `from` to a client somewhere else stays on this host, whatever rules make it so.
 *
 * @param from an address of this host; default: the loopback address
 * @returns undefined when it does, otherwise what the kernel would do instead
 */
export async function whereAnswersLeave(family: Family, from?: string): Promise<string | undefined> {
  const [client, loopback] = ROUTING[family].probe
  const { exitCode, stdout, stderr } = await runTool('ip', [
    ...['-j', `-${family}`, 'route', 'get', client, 'from', from ?? loopback],
  ])
  if (exitCode !== 0) return stderr.trim().split('\n')[0]
  const [route] = parseRules(stdout)
  return route !== undefined && route['type'] === 'local' ? undefined : formatRoute(route ?? {})
}

/** Adds the rule, so that there is one. @throws HostError */
export async function addRule(family: Family, table: number): Promise<void> {
  await changed(family, ['rule', 'add', ...ruleWords(family, table)])
  // Without a priority the kernel takes a duplicate, which another set-up at the same moment may have made.
  const { rulePriorities } = await readRouting(family, table)
  await removeRules(family, table, [...rulePriorities].sort((a, b) => a - b).slice(1))
}

/** Removes rules by their priorities; one that is gone already is no error. @throws HostError */
export async function removeRules(family: Family, table: number, priorities: readonly number[]): Promise<void> {
  for (const priority of priorities) {
    // "ip rule del" without the priority takes the first rule that resembles it, "not from" included.
    await changed(family, ['rule', 'del', 'priority', String(priority), ...ruleWords(family, table)])
  }
}

/** Adds the route; one that is there already is no error. @throws HostError */
export async function addRoute(family: Family, table: number): Promise<void> {
  await changed(family, ['route', 'add', ...routeWords(family, table)])
}

/** Removes the route; one that is gone already is no error. @throws HostError */
export async function removeRoute(family: Family, table: number): Promise<void> {
  await changed(family, ['route', 'del', ...routeWords(family, table)])
}

async function changed(family: Family, words: readonly string[]): Promise<void> {
  const args = [`-${family}`, ...words]
  const { exitCode, stderr } = await runTool('ip', args)
  if (exitCode === 0 || /File exists|No such file|No such process/.test(stderr)) return
  const remedy = isNotPermitted(stderr)
    ? 'run this as root or with CAP_NET_ADMIN'
    : `check that ${familyName(family)} is switched on, or leave it out with --family`
  throw new HostError(`"ip ${args.join(' ')}" failed: ${stderr.trim().replaceAll('\n', '; ')}; ${remedy}`)
}
