import { type AgentListenerCommand, agentFlags, parseAgent } from './agent.ts'
import { splitAgentArgv } from './agent-argv.ts'
import { switchFlag, UsageError } from './flags.ts'
import { familiesOf, familyFlag } from './host-setup.ts'

const ownFlags = {
  family: { ...familyFlag, help: 'Address families of the clients that the agent is for' },
  json: switchFlag('json', 'Print JSON instead of text'),
} as const

/** The flags of `truepeer doctor agent`: its own, and all of `truepeer agent`. */
export const doctorFlags = { ...ownFlags, ...agentFlags } as const

/** What the command line of `truepeer doctor agent` says. */
export type DoctorCommand = AgentListenerCommand & {
  /** The file of trusted edges; undefined: everyone is trusted. */
  readonly allowedSubnetsFile: string | undefined
  readonly maxConnections: number
  readonly families: readonly (4 | 6)[]
  readonly json: boolean
}

/** Reads the arguments behind `truepeer doctor`. @throws UsageError */
export function parseDoctor(argv: readonly string[]): DoctorCommand {
  const [subject, ...rest] = argv
  if (subject !== 'agent') {
    throw new UsageError('truepeer doctor needs "agent" first, and then the flags that the agent is started with')
  }
  const { agentArgv, own } = splitAgentArgv(rest, ownFlags)
  const { listeners, maxConnections } = parseAgent(agentArgv)
  const [listener] = listeners
  return {
    ...listener,
    allowedSubnetsFile: listener.trust.kind === 'file' ? listener.trust.path : undefined,
    maxConnections,
    families: familiesOf(own.family[0]),
    json: own.json.length > 0,
  }
}
