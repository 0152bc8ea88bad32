import { join } from 'node:path'
import { type ControllerConnection, parseController } from './edge-controller.ts'
import { type FlagValues, UsageError, valueFlag } from './flags.ts'
import { parseResourceName, parseText } from './values.ts'

/** The flags by which an agent learns from a controller whom it trusts. */
export const agentControllerFlags = {
  controller: valueFlag(
    'controller',
    'URL|unix:PATH',
    'Trust the edges of this controller, in place of --allowed-subnets: the addresses from which they connect',
    parseController,
  ),
  instance: valueFlag(
    'instance',
    'NAME',
    'With --controller: how this host is called there. Mandatory then',
    parseResourceName,
  ),
  state: valueFlag(
    'state',
    'DIR',
    'With --controller: where the addresses are kept, with which the agent starts while the controller is away',
    parseText,
    '/var/lib/truepeer',
  ),
  tokenFile: valueFlag(
    'token-file',
    'FILE',
    'With --controller: a file with the token of this agent, of "truepeer controller token create --role agent"',
    parseText,
  ),
  controllerCa: valueFlag(
    'controller-ca',
    'FILE',
    'With --controller: the certificates in PEM that may have signed that of the controller; without it, those of node',
    parseText,
  ),
} as const

/** How an agent follows a controller. */
export type AgentControllerSettings = ControllerConnection & {
  readonly instance: string
  /** Where the last addresses are kept. */
  readonly file: string
}

/** Gathers the values of {@link agentControllerFlags}; undefined: there is no controller. @throws UsageError */
export function agentControllerSettings(
  values: FlagValues<typeof agentControllerFlags>,
): AgentControllerSettings | undefined {
  const [address] = values.controller
  const [instance] = values.instance
  if (address === undefined) {
    const given = [...values.instance, ...values.tokenFile, ...values.controllerCa]
    if (given.length === 0) return undefined
    throw new UsageError('--instance, --token-file and --controller-ca are for an agent with --controller; add it')
  }
  if (instance === undefined) throw new UsageError('--instance is missing; say how the controller shall call this host')
  const [tokenFile] = values.tokenFile
  const [caFile] = values.controllerCa
  return { address, instance, file: join(values.state[0], `agent-${instance}.json`), tokenFile, caFile }
}
