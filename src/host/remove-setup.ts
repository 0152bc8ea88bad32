import { deleteFirewall, readFirewall } from './firewall.ts'
import type { Family } from './policy-rules.ts'
import { type RoutingState, readRouting, removeRoute, removeRules, routeWords, ruleWords } from './routing.ts'
import type { SetupOptions } from './setup-options.ts'
import { readSetupState, writeSetupState } from './setup-state.ts'
import { readSysctl, TCP_MIGRATE_REQ, writeSysctl } from './sysctl.ts'
import { HostError } from './tools.ts'

/**
 * Removes what `truepeer host-setup apply` puts in place, whoever put it there; what is not there is no error.
 *
 * The kernel setting and the nftables table serve all agents of a host: they go with the last routing rule.
 *
 * @returns what was changed, a line each
 */
export async function removeHostSetup(options: Pick<SetupOptions, 'table' | 'families'>): Promise<string[]> {
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
