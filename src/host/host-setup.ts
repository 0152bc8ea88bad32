// What an agent needs of its host, beside itself: routing for the app's answers, a kernel setting, a firewall.
import { runProgram } from '../linux/run.ts'
import { CAP_NET_ADMIN, hasCapability } from './capabilities.ts'
import { type Finding, fail, findingsToJson, formatFindings, isAllRight, ok, warn } from './finding.ts'
import { deleteFirewall, type Firewall, type FirewallState, loadFirewall, readFirewall } from './firewall.ts'
import {
  addRoute,
  addRule,
  type Family,
  familyName,
  type RoutingState,
  readRouting,
  removeRoute,
  removeRules,
  routeWords,
  ruleWords,
  whereAnswersLeave,
} from './routing.ts'
import { readSetupState, type SetupState, writeSetupState } from './setup-state.ts'
import { readSysctl, TCP_MIGRATE_REQ, writeSysctl } from './sysctl.ts'
import { HostError } from './tools.ts'

/** What the command line of `truepeer host-setup` says. */
export type HostSetupOptions = {
  readonly action: 'apply' | 'remove' | 'status'
  readonly table: number
  readonly families: readonly Family[]
  readonly appPorts: readonly number[]
  /** A user's name or number. */
  readonly agentUser: string | undefined
  readonly json: boolean
}

/**
 * Runs `truepeer host-setup`; `print` takes its standard output.
 *
 * @returns the exit status: 1 when `status` finds something missing
 * @throws HostError; what this call had changed is as before then
 */
export async function runHostSetup(options: HostSetupOptions, print: (text: string) => void): Promise<number> {
  if (options.action === 'status') {
    const findings = await hostSetupStatus(options)
    print(options.json ? findingsToJson(findings) : formatFindings(findings))
    return isAllRight(findings) ? 0 : 1
  }
  if (!hasCapability(CAP_NET_ADMIN)) {
    throw new HostError(`host-setup ${options.action} changes the network of this host; run it as root`)
  }
  const changes = options.action === 'apply' ? await applyHostSetup(options) : await removeHostSetup(options)
  const nothing = options.action === 'apply' ? 'Everything was in place already.' : 'There was nothing to remove.'
  if (options.json) print(`${JSON.stringify({ changes })}\n`)
  else print(`${(changes.length === 0 ? [nothing] : changes).join('\n')}\n`)
  return 0
}

type Step = { readonly text: string; readonly run: () => unknown; readonly undo: () => unknown }

/**
 * Puts everything in place that is not there yet, or nothing at all.
 *
 * @returns what was changed, a line each
 */
export async function applyHostSetup(options: Omit<HostSetupOptions, 'action' | 'json'>): Promise<string[]> {
  const firewall = await wantedFirewall(options)
  // All questions come before the first change.
  const routing = await Promise.all(options.families.map((family) => routingSteps(family, options.table)))
  const state = readSetupState()
  const firewallState = firewall === undefined ? undefined : await readFirewall()
  const setting = settingStep()
  const newState = {
    ...state,
    ...(setting === undefined ? {} : { earlierTcpMigrateReq: readSysctl(TCP_MIGRATE_REQ) }),
    ...(firewall === undefined ? {} : { firewall }),
  }
  const steps = [
    stateStep(state, newState),
    ...(setting === undefined ? [] : [setting]),
    ...routing.flat(),
    ...(firewall === undefined ? [] : firewallSteps(firewall, firewallState)),
  ]
  await runAll(steps)
  return steps.map(({ text }) => text).filter((text) => text !== '')
}

async function runAll(steps: readonly Step[]): Promise<void> {
  const done: Step[] = []
  try {
    for (const step of steps) {
      await step.run()
      done.push(step)
    }
  } catch (error) {
    for (const step of done.reverse()) await step.undo()
    throw error
  }
}

/** The state first: a change that is not written down could not be taken back. */
function stateStep(before: SetupState, after: SetupState): Step {
  return { text: '', run: () => writeSetupState(after), undo: () => writeSetupState(before) }
}

function settingStep(): Step | undefined {
  const before = readSysctl(TCP_MIGRATE_REQ)
  // Kernels before 5.14 do not have it; an agent works without.
  if (before === undefined || before === '1') return undefined
  return {
    text: `sysctl ${TCP_MIGRATE_REQ}=1`,
    run: () => writeSysctl(TCP_MIGRATE_REQ, '1'),
    undo: () => writeSysctl(TCP_MIGRATE_REQ, before),
  }
}

async function routingSteps(family: Family, table: number): Promise<Step[]> {
  const { hasRoute, rulePriorities, otherRoutes } = await readRouting(family, table)
  if (otherRoutes.length > 0) {
    throw new HostError(
      `Routing table ${table} already has the ${familyName(family)} route "${otherRoutes.join('", "')}"; ` +
        'give another table with --table, or remove the route',
    )
  }
  const steps: Step[] = []
  // The route first: a rule alone would change nothing, but for a moment in which it looks right.
  if (!hasRoute) {
    steps.push({
      text: ['ip', `-${family}`, 'route', 'add', ...routeWords(family, table)].join(' '),
      run: () => addRoute(family, table),
      undo: () => removeRoute(family, table),
    })
  }
  if (rulePriorities.length === 0) {
    steps.push({
      text: ['ip', `-${family}`, 'rule', 'add', ...ruleWords(family, table)].join(' '),
      run: () => addRule(family, table),
      undo: async () => removeRules(family, table, (await readRouting(family, table)).rulePriorities),
    })
  }
  return steps
}

function firewallSteps(firewall: Firewall, found: FirewallState | undefined): Step[] {
  if (found?.kind === 'present' && found.isAs(firewall)) return []
  if (found?.kind === 'no-nft') {
    throw new HostError('--app-port and --agent-user need the program "nft"; install the Debian package nftables')
  }
  // The last step, and one transaction: nothing that comes after it could fail, so there is nothing to undo.
  return [{ text: `nft ${describe(firewall)}`, run: () => loadFirewall(firewall), undo: () => undefined }]
}

function describe({ appPorts, agentUid }: Firewall): string {
  const ports = appPorts.length > 0 ? `; ports ${appPorts.join(', ')} closed to the outside` : ''
  const user = agentUid === undefined ? '' : `; foreign sources of user ${agentUid} kept inside`
  return `table inet truepeer${ports}${user}`
}

async function wantedFirewall(
  options: Pick<HostSetupOptions, 'appPorts' | 'agentUser'>,
): Promise<Firewall | undefined> {
  const { appPorts, agentUser } = options
  if (appPorts.length === 0 && agentUser === undefined) return undefined
  return { appPorts, agentUid: agentUser === undefined ? undefined : await uidOf(agentUser) }
}

async function uidOf(user: string): Promise<number> {
  if (/^\d{1,10}$/.test(user)) return Number(user)
  const { exitCode, stdout } = await runProgram('id', ['-u', '--', user])
  if (exitCode !== 0) {
    throw new HostError(`--agent-user: there is no user "${user}"; create it with "adduser --system --group ${user}"`)
  }
  return Number(stdout)
}

/**
 * Removes what {@link applyHostSetup} puts in place, whoever put it there; what is not there is no error.
 *
 * The kernel setting and the nftables table serve all agents of a host: they go with the last routing rule.
 *
 * @returns what was changed, a line each
 */
export async function removeHostSetup(options: Pick<HostSetupOptions, 'table' | 'families'>): Promise<string[]> {
  const { table } = options
  const before = await Promise.all(([4, 6] as const).map((family) => readRoutingIfOn(family, table)))
  const changes: string[] = []
  let isStillUsed = false
  for (const { family, state } of before) {
    if (state === undefined) continue
    if (options.families.includes(family)) changes.push(...(await removeRouting(family, table, state)))
    else isStillUsed ||= state.rulePriorities.length > 0
    isStillUsed ||= state.otherTables.length > 0
  }
  return isStillUsed ? changes : [...changes, ...(await removeShared())]
}

async function readRoutingIfOn(family: Family, table: number): Promise<{ family: Family; state?: RoutingState }> {
  // Without IPv6 in the kernel there is nothing to remove.
  if (family === 6 && readSysctl('net.ipv6.conf.lo.disable_ipv6') === undefined) return { family }
  return { family, state: await readRouting(family, table) }
}

async function removeRouting(family: Family, table: number, state: RoutingState): Promise<string[]> {
  await removeRules(family, table, state.rulePriorities)
  const changes = state.rulePriorities.map(() => `ip -${family} rule del ${ruleWords(family, table).join(' ')}`)
  // Somebody else's rule looks the same route up, such as one by firewall mark.
  if (!state.hasRoute || state.isTableShared) return changes
  for (let left = state; left.hasRoute; left = await readRouting(family, table)) await removeRoute(family, table)
  return [...changes, `ip -${family} route del ${routeWords(family, table).join(' ')}`]
}

async function removeShared(): Promise<string[]> {
  const changes: string[] = []
  const { earlierTcpMigrateReq, firewall } = readSetupState()
  const found = await readFirewall()
  if (found.kind === 'present') {
    await deleteFirewall()
    changes.push('nft delete table inet truepeer')
  } else if (found.kind === 'no-nft' && firewall !== undefined) {
    throw new HostError('Removing the nftables table needs the program "nft"; install the Debian package nftables')
  }
  if (earlierTcpMigrateReq !== undefined && readSysctl(TCP_MIGRATE_REQ) === '1') {
    writeSysctl(TCP_MIGRATE_REQ, earlierTcpMigrateReq)
    changes.push(`sysctl ${TCP_MIGRATE_REQ}=${earlierTcpMigrateReq}`)
  }
  writeSetupState({})
  return changes
}

/** What of the set-up is in place; needs no privilege but for the firewall. @throws HostError */
export async function hostSetupStatus(options: Omit<HostSetupOptions, 'action' | 'json'>): Promise<Finding[]> {
  const remedy = `run "truepeer host-setup apply${options.table === 100 ? '' : ` --table ${options.table}`}" as root`
  const findings: Finding[] = []
  for (const family of options.families) findings.push(...(await routingStatus(family, options.table, remedy)))
  const setting = readSysctl(TCP_MIGRATE_REQ)
  if (setting === undefined) findings.push(ok(TCP_MIGRATE_REQ, 'this kernel does not have it'))
  else if (setting === '1') findings.push(ok(TCP_MIGRATE_REQ, '1'))
  else findings.push(fail(TCP_MIGRATE_REQ, setting, remedy))
  return [...findings, await firewallStatus(options)]
}

async function routingStatus(family: Family, table: number, remedy: string): Promise<Finding[]> {
  const { rulePriorities, hasRoute, otherRoutes } = await readRouting(family, table)
  const name = familyName(family)
  const rule = ruleWords(family, table).join(' ')
  const route = routeWords(family, table).join(' ')
  const count = rulePriorities.length
  const findings = [
    count === 0 ? fail(`rule ${name}`, `missing: ${rule}`, remedy) : ok(`rule ${name}`, rule),
    hasRoute ? ok(`route ${name}`, route) : fail(`route ${name}`, `missing: ${route}`, remedy),
  ]
  if (otherRoutes.length > 0) {
    const text = `table ${table} also has: ${otherRoutes.join(', ')}`
    findings.push(fail(`route ${name}`, text, 'give another table with --table, or remove that route'))
  } else if (count > 0 && hasRoute) {
    const elsewhere = await whereAnswersLeave(family)
    if (elsewhere !== undefined) {
      const text = `in place, but answers to clients go elsewhere: ${elsewhere}`
      findings.push(fail(`rule ${name}`, text, `look for a rule before it with "ip -${family} rule"`))
    }
  }
  if (count > 1) findings.push(warn(`rule ${name}`, `${count} times`, 'harmless; "remove" takes all of them away'))
  return findings
}

async function firewallStatus(options: Pick<HostSetupOptions, 'appPorts' | 'agentUser'>): Promise<Finding> {
  const name = 'nftables'
  const wanted = (await wantedFirewall(options)) ?? readSetupState().firewall
  const found = await readFirewall()
  if (wanted === undefined) return ok(name, found.kind === 'present' ? 'table inet truepeer' : 'not asked for')
  const remedy = 'run "truepeer host-setup apply" as root with --app-port and --agent-user as they should be'
  switch (found.kind) {
    case 'present':
      return found.isAs(wanted) ? ok(name, describe(wanted)) : fail(name, 'table inet truepeer differs', remedy)
    case 'absent':
      return fail(name, 'table inet truepeer is gone', remedy)
    case 'not-permitted':
      return fail(name, 'table inet truepeer: only root can look', 'run this as root')
    case 'no-nft':
      return fail(name, 'there is no program "nft"', 'install the Debian package nftables')
  }
}
