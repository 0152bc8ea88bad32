// What an agent needs of its host, beside itself: routing for the app's answers, a kernel setting, a firewall.
import { type AppliedSetup, applyHostSetup } from './apply-setup.ts'
import { CAP_NET_ADMIN, hasCapability } from './capabilities.ts'
import { findingsToJson, formatFindings, isAllRight } from './finding.ts'
import { keepHostSetup } from './keep-setup.ts'
import { removeHostSetup } from './remove-setup.ts'
import type { SetupOptions } from './setup-options.ts'
import { hostSetupStatus } from './setup-status.ts'
import { HostError } from './tools.ts'

/** What the command line of `truepeer host-setup` says. */
export type HostSetupOptions = SetupOptions & {
  readonly action: 'apply' | 'remove' | 'status'
  /** Go on after `apply`, and put back what others take away. */
  readonly isKept: boolean
  readonly json: boolean
}

/**
 * Runs `truepeer host-setup`; `print` takes its standard output, and `tellReady` is called when
 * everything is in place and is kept there.
 *
 * @returns the exit status: 1 when `status` finds something missing
 * @throws HostError; what this call had changed is as before then
 */
export async function runHostSetup(
  options: HostSetupOptions,
  print: (text: string) => void,
  tellReady: () => void,
): Promise<number> {
  if (options.action === 'status') {
    const findings = await hostSetupStatus(options)
    print(options.json ? findingsToJson(findings) : formatFindings(findings))
    return isAllRight(findings) ? 0 : 1
  }
  if (!hasCapability(CAP_NET_ADMIN)) {
    throw new HostError(`host-setup ${options.action} changes the network of this host; run it as root`)
  }
  const tell = (applied: AppliedSetup, nothing: string): void =>
    print(options.json ? `${JSON.stringify(applied)}\n` : formatSetup(applied, nothing))
  if (options.action === 'remove') {
    tell({ changes: await removeHostSetup(options), notes: [] }, 'There was nothing to remove.')
    return 0
  }
  tell(await applyHostSetup(options), 'Everything was in place already.')
  if (options.isKept) {
    tellReady()
    await keepHostSetup(
      options,
      (applied) => tell(applied, ''),
      (problem) => print(options.json ? `${JSON.stringify({ problem })}\n` : `${problem}\n`),
    )
  }
  return 0
}

function formatSetup({ changes, notes }: AppliedSetup, nothing: string): string {
  const lines = [...(changes.length === 0 ? [nothing] : changes), ...notes.map((note) => `Note: ${note}`)]
  return `${lines.join('\n')}\n`
}
