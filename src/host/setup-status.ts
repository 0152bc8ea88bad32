import { type Finding, fail, ok, warn } from './finding.ts'
import { describeFirewall, PLAIN_FIREWALL, readFirewall } from './firewall.ts'
import { type Family, formatRule } from './policy-rules.ts'
import {
  familyName,
  hasFamily,
  IPV6_OFF,
  type RoutingState,
  readRouting,
  routeWords,
  ruleWords,
  whereAnyAnswersLeave,
} from './routing.ts'
import { type SetupOptions, wantedFirewall } from './setup-options.ts'
import { readSetupState } from './setup-state.ts'
import { readSysctl, TCP_MIGRATE_REQ } from './sysctl.ts'

/** What of the set-up is in place; needs no privilege but for the firewall. @throws HostError */
export async function hostSetupStatus(options: SetupOptions): Promise<Finding[]> {
  const remedy = `run "truepeer host-setup apply${options.table === 100 ? '' : ` --table ${options.table}`}" as root`
  const findings: Finding[] = []
  for (const family of options.families) {
    if (hasFamily(family)) findings.push(...(await routingStatus(family, options.table, remedy)))
    else findings.push(ok(familyName(family), IPV6_OFF))
  }
  const setting = readSysctl(TCP_MIGRATE_REQ)
  if (setting === undefined) findings.push(ok(TCP_MIGRATE_REQ, 'this kernel does not have it'))
  else if (setting === '1') findings.push(ok(TCP_MIGRATE_REQ, '1'))
  else findings.push(fail(TCP_MIGRATE_REQ, setting, remedy))
  return [...findings, await firewallStatus(options)]
}

async function routingStatus(family: Family, table: number, remedy: string): Promise<Finding[]> {
  const state = await readRouting(family, table)
  return [await ruleStatus(family, table, state, remedy), routeStatus(family, table, state, remedy)]
}

function routeStatus(family: Family, table: number, { hasRoute, otherRoutes }: RoutingState, remedy: string): Finding {
  const name = `route ${familyName(family)}`
  const route = routeWords(family, table).join(' ')
  if (!hasRoute) return fail(name, `missing: ${route}`, remedy)
  if (otherRoutes.length === 0) return ok(name, route)
  const text = `table ${table} also has: ${otherRoutes.join(', ')}`
  return fail(name, text, 'give another table with --table, or remove that route')
}

/** The worst that is wrong with the rule: one line says it. */
async function ruleStatus(
  family: Family,
  table: number,
  { rulePriorities, hasRoute, otherRoutes, inFront }: RoutingState,
  remedy: string,
): Promise<Finding> {
  const name = `rule ${familyName(family)}`
  const rule = ruleWords(family, table).join(' ')
  if (rulePriorities.length === 0) return fail(name, `missing: ${rule}`, remedy)
  if (hasRoute && otherRoutes.length === 0) {
    const elsewhere = await whereAnyAnswersLeave(family, inFront)
    const rules = inFront.map(formatRule).join('", "')
    const inFrontOf = inFront.length === 0 ? remedy : `${remedy}, which puts it in front of "${rules}"`
    if (elsewhere !== undefined)
      return fail(name, `in place, but answers to clients go elsewhere: ${elsewhere}`, inFrontOf)
    if (inFront.length > 0) return warn(name, `in place, but others come before it: "${rules}"`, remedy)
  }
  if (rulePriorities.length === 1) return ok(name, rule)
  return warn(name, `${rulePriorities.length} times: ${rule}`, 'harmless; "remove" takes all of them away')
}

async function firewallStatus(options: SetupOptions): Promise<Finding> {
  const name = 'nftables'
  const asked = (await wantedFirewall(options)) ?? readSetupState().firewall
  const wanted = asked ?? PLAIN_FIREWALL
  const found = await readFirewall()
  const again = 'run "truepeer host-setup apply" as root'
  const remedy = asked === undefined ? again : `${again} with the --app-port and --agent-user that you want`
  switch (found.kind) {
    case 'present':
      return found.isAs(wanted) ? ok(name, describeFirewall(wanted)) : fail(name, 'table inet truepeer differs', remedy)
    case 'absent':
      return fail(name, 'table inet truepeer is missing', remedy)
    case 'not-permitted':
      return fail(name, 'table inet truepeer: only root can look', 'run this as root')
    case 'no-nft':
      return fail(name, 'there is no program "nft"', 'install the Debian package nftables')
  }
}
