import {
  describeFirewall,
  type Firewall,
  type FirewallState,
  loadFirewall,
  PLAIN_FIREWALL,
  readFirewall,
} from './firewall.ts'
import { type Family, formatRule, type PolicyRule } from './policy-rules.ts'
import { publishedPortNotes } from './published-ports.ts'
import {
  addRoute,
  familyName,
  hasFamily,
  IPV6_OFF,
  putRules,
  readRouting,
  removeRoute,
  routeWords,
  ruleWords,
} from './routing.ts'
import { type SetupOptions, wantedFirewall } from './setup-options.ts'
import { readSetupState, type SetupState, writeSetupState } from './setup-state.ts'
import { readSysctl, TCP_MIGRATE_REQ, writeSysctl } from './sysctl.ts'
import { HostError } from './tools.ts'

const OWN_CONNECTIONS = 'connections that an app begins to the address of a client reach services of this host'

/** What became of a set-up: a line for each change and, below, for what an operator has to know of this host. */
export type AppliedSetup = { readonly changes: readonly string[]; readonly notes: readonly string[] }

type Step = { readonly text: string; readonly run: () => unknown; readonly undo: () => unknown }

/**
 * Puts everything in place that is not there yet, or nothing at all; what this host does not have is left out, with a
 * note.
 *
 * @throws HostError
 */
export async function applyHostSetup(options: SetupOptions): Promise<AppliedSetup> {
  const families = options.families.filter(hasFamily)
  if (families.length === 0) {
    throw new HostError(
      'IPv6 is switched off on this host; switch it on with "sysctl net.ipv6.conf.lo.disable_ipv6=0", ' +
        'or leave it out with --family ipv4',
    )
  }
  const asked = await wantedFirewall(options)
  // All questions come before the first change.
  const routing = await Promise.all(families.map((family) => routingSteps(family, options.table)))
  const state = readSetupState()
  const firewall = asked ?? state.firewall ?? PLAIN_FIREWALL
  const { steps: firewallPart, problem } = await firewallSteps(firewall, asked !== undefined)
  const setting = settingStep()
  const newState = {
    ...state,
    ...(setting === undefined ? {} : { earlierTcpMigrateReq: readSysctl(TCP_MIGRATE_REQ) }),
    ...(problem === undefined ? { firewall } : {}),
  }
  const steps = [
    stateStep(state, newState),
    ...(setting === undefined ? [] : [setting]),
    ...routing.flatMap(({ steps }) => steps),
    ...firewallPart,
  ]
  await runAll(steps)
  return {
    changes: steps.map(({ text }) => text).filter((text) => text !== ''),
    notes: [
      ...(families.length < options.families.length ? [IPV6_OFF] : []),
      ...routing.flatMap(({ notes }) => notes),
      ...(problem === undefined ? [] : [problem]),
      ...(await publishedPortNotes(options.appPorts)),
    ],
  }
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

type RoutingPart = { readonly steps: readonly Step[]; readonly notes: readonly string[] }

async function routingSteps(family: Family, table: number): Promise<RoutingPart> {
  const { hasRoute, rulePriorities, otherRoutes, newPriority, freePriority, inFront } = await readRouting(family, table)
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
  const priority = rulePriorities.length === 0 ? freePriority : newPriority
  if (priority !== undefined) {
    const words = ['ip', `-${family}`, 'rule', 'add', 'priority', String(priority), ...ruleWords(family, table)]
    const moved = rulePriorities.length === 0 ? '' : `, instead of priority ${rulePriorities.join(', ')}`
    steps.push({
      text: `${words.join(' ')}${moved}`,
      run: () => putRules(family, table, [priority]),
      undo: () => putRules(family, table, rulePriorities),
    })
  }
  // Behind the local table at priority 0, the kernel puts each rule after those that are there.
  const isStuck = inFront.some((rule) => Number(rule['priority']) === 0)
  const notes = isStuck ? [`${stuckRules(inFront)}: give it another priority, or answers to clients may leave`] : []
  return { steps, notes }
}

function stuckRules(rules: readonly PolicyRule[]): string {
  return `no rule can come before "${rules.map(formatRule).join('", "')}"`
}

type FirewallPart = { readonly steps: readonly Step[]; readonly problem: string | undefined }

/**
 * `isAsked`: the operator wants a part of it that has to be there. Otherwise a host without nftables has its routing all
 * the same, and is told what that means.
 */
async function firewallSteps(firewall: Firewall, isAsked: boolean): Promise<FirewallPart> {
  let found: FirewallState
  try {
    found = await readFirewall()
  } catch (error) {
    if (isAsked || !(error instanceof HostError)) throw error
    return { steps: [], problem: `${OWN_CONNECTIONS}: ${error.message}` }
  }
  if (found.kind === 'present' && found.isAs(firewall)) return { steps: [], problem: undefined }
  if (found.kind === 'no-nft') {
    if (isAsked) {
      throw new HostError('--app-port and --agent-user need the program "nft"; install the Debian package nftables')
    }
    const remedy = 'install the Debian package nftables, and run this again'
    return { steps: [], problem: `${OWN_CONNECTIONS}, because there is no program "nft"; ${remedy}` }
  }
  // The last step, and one transaction: nothing that comes after it could fail, so there is nothing to undo.
  const step = { text: `nft ${describeFirewall(firewall)}`, run: () => loadFirewall(firewall), undo: () => undefined }
  return { steps: [step], problem: undefined }
}
