import { runProgram } from '../linux/run.ts'
import type { Firewall } from './firewall.ts'
import type { Family } from './policy-rules.ts'
import { HostError } from './tools.ts'

/** What a set-up consists of. */
export type SetupOptions = {
  readonly table: number
  readonly families: readonly Family[]
  readonly appPorts: readonly number[]
  /** A user's name or number. */
  readonly agentUser: string | undefined
}

/** The firewall that the operator asks for; undefined: no more than there is. @throws HostError */
export async function wantedFirewall(options: SetupOptions): Promise<Firewall | undefined> {
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
