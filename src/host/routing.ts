// Policy routing that keeps the app's answers on this host (ip-rule(8), ip-route(8)): they are addressed to clients out
// on the internet, and belong to the agent's transparent sockets.
import { formatIpAddress, type IpAddress, parseIpAddress } from '../address/ip-address.ts'
import {
  type AnswerFlow,
  answerThrough,
  type Family,
  formatRule,
  isLocalAnswersRule,
  isOutOfPlace,
  type PolicyRule,
  rulesInFront,
  wantedPriority,
} from './policy-rules.ts'
import { readSysctl } from './sysctl.ts'
import { HostError, isNotPermitted, runTool, runToolChecked } from './tools.ts'

/** What one family's routing consists of. */
const ROUTING = {
  4: { name: 'IPv4', source: '127.0.0.0/8', everywhere: '0.0.0.0/0', probe: ['192.0.2.1', '127.0.0.1'] },
  6: { name: 'IPv6', source: '::1/128', everywhere: '::/0', probe: ['2001:db8::1', '::1'] },
} as const

/** "IPv4" or "IPv6". */
export function familyName(family: Family): string {
  return ROUTING[family].name
}

/** Reports whether the host has the family at all: IPv6 may be switched off, on loopback or in the kernel. */
export function hasFamily(family: Family): boolean {
  return family === 4 || readSysctl('net.ipv6.conf.lo.disable_ipv6') === '0'
}

/** Says of a family that the host does not have what follows from it. */
export const IPV6_OFF = 'IPv6 is switched off on this host: clients with IPv6 addresses cannot be served'

/** The words of `ip` behind `rule add` and `rule del`, but for the priority. */
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
  /** Rules of others that the kernel asks first. */
  readonly inFront: readonly PolicyRule[]
  /** The priority that ours has to have; undefined: it is well where it is. */
  readonly newPriority: number | undefined
  /** The priority for one that is new. */
  readonly freePriority: number
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
    rulePriorities: alike.filter((rule) => rule['table'] === name).map((rule) => Number(rule['priority'])),
    inFront: rulesInFront(rules, family, table),
    newPriority: isOutOfPlace(rules, family, table) ? wantedPriority(rules, family) : undefined,
    hasRoute: routes.some(isLocalEverywhere),
    otherRoutes: routes.filter((route) => !isLocalEverywhere(route)).map(formatRoute),
    isTableShared: rules.some((rule) => rule['table'] === name && !isLocalAnswersRule(rule, family)),
    freePriority: wantedPriority(rules, family),
    otherTables: alike.filter((rule) => rule['table'] !== name).map((rule) => String(rule['table'])),
  }
}

function parseRules(json: string): readonly PolicyRule[] {
  return json.trim() === '' ? [] : (JSON.parse(json) as readonly PolicyRule[])
}

async function readRoutes(family: Family, table: number): Promise<readonly PolicyRule[]> {
  const args = ['-j', `-${family}`, 'route', 'show', 'table', String(table)]
  const { exitCode, stdout, stderr } = await runTool('ip', args)
  if (exitCode === 0) return parseRules(stdout)
  // A table exists from its first route on.
  if (stderr.includes('FIB table does not exist')) return []
  throw new HostError(`"ip ${args.join(' ')}" failed: ${stderr.trim()}`)
}

function isLocalEverywhere(route: PolicyRule): boolean {
  return route['type'] === 'local' && route['dst'] === 'default' && route['dev'] === 'lo' && !('gateway' in route)
}

function formatRoute(route: PolicyRule): string {
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
export async function whereAnswersLeave(
  family: Family,
  from?: string,
  flow: AnswerFlow = {},
): Promise<string | undefined> {
  const [, loopback] = ROUTING[family].probe
  const { route, problem } = await routeOfAnswers(family, from ?? loopback, flow)
  if (problem !== undefined) return `the kernel has no route for them (${problem})`
  return route['type'] === 'local' ? undefined : formatRoute(route)
}

/**
 * The address that an answer over UDP leaves from, where the app does not say which; undefined: the kernel has no route
 * for it.
 */
export async function sourceOfAnswers(family: Family, fromPort: number): Promise<IpAddress | undefined> {
  const { route } = await routeOfAnswers(family, undefined, { protocol: 'udp', fromPort })
  return typeof route['prefsrc'] === 'string' ? parseIpAddress(route['prefsrc']) : undefined
}

/** What the kernel would do with an answer. @param from undefined: the app leaves the choice to the kernel */
async function routeOfAnswers(
  family: Family,
  from: string | undefined,
  flow: AnswerFlow,
): Promise<{ readonly route: PolicyRule; readonly problem: string | undefined }> {
  const to = flow.to === undefined ? ROUTING[family].probe[0] : formatIpAddress(flow.to)
  const { exitCode, stdout, stderr } = await runTool('ip', [
    ...['-j', `-${family}`, 'route', 'get', to],
    ...(from === undefined ? [] : ['from', from]),
    ...(flow.tos === undefined ? [] : ['tos', flow.tos]),
    ...(flow.mark === undefined ? [] : ['mark', String(flow.mark)]),
    ...(flow.uid === undefined ? [] : ['uid', String(flow.uid)]),
    ...['ipproto', flow.protocol ?? 'tcp'],
    ...(flow.fromPort === undefined ? [] : ['sport', String(flow.fromPort)]),
    ...(flow.toPort === undefined ? [] : ['dport', String(flow.toPort)]),
  ])
  if (exitCode !== 0) {
    const [problem] = stderr
      .trim()
      .replace(/^RTNETLINK answers: /, '')
      .split('\n')
    return { route: {}, problem }
  }
  return { route: parseRules(stdout)[0] ?? {}, problem: undefined }
}

/**
 * As {@link whereAnswersLeave}, also for the answers that the rules `inFront` are about, each as far as it goes with
 * what is known of the app in `app`.
 */
export async function whereAnyAnswersLeave(
  family: Family,
  inFront: readonly PolicyRule[],
  from?: string,
  app: AnswerFlow = {},
): Promise<string | undefined> {
  const plain = await whereAnswersLeave(family, from, app)
  if (plain !== undefined) return plain
  for (const rule of inFront) {
    const flow = answerThrough(rule)
    if (flow === undefined) continue
    const elsewhere = await whereAnswersLeave(family, from, { ...flow, ...app })
    if (elsewhere !== undefined) return `${elsewhere} (by the rule "${formatRule(rule)}")`
  }
  return undefined
}

/**
 * Adds the rule at each of the priorities, and removes it at all others; one that is there already is no error.
 *
 * @throws HostError
 */
export async function putRules(family: Family, table: number, priorities: readonly number[]): Promise<void> {
  // The new ones first: in between there are more of them, which does no harm. At one priority the kernel takes only one.
  for (const priority of priorities) {
    await changed(family, ['rule', 'add', 'priority', String(priority), ...ruleWords(family, table)])
  }
  const { rulePriorities } = await readRouting(family, table)
  await removeRules(
    family,
    table,
    rulePriorities.filter((priority) => !priorities.includes(priority)),
  )
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
    : `check that ${familyName(family)} is enabled, or leave it out with --family`
  throw new HostError(`"ip ${args.join(' ')}" failed: ${stderr.trim().replaceAll('\n', '; ')}; ${remedy}`)
}
