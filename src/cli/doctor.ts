import {
  type AgentListenerCommand,
  agentConfigFile,
  agentStartFlags,
  type ReadAgentConfig,
  readAgent,
} from './agent.ts'
import { splitAgentArgv } from './agent-argv.ts'
import { type EdgeCommand, edgeFlags, parseEdge } from './edge.ts'
import { parseFlags, switchFlag, UsageError } from './flags.ts'
import type { FollowerSettings } from './follower-flags.ts'
import { familiesOf, familyFlag } from './host-setup.ts'

const jsonFlag = { json: switchFlag('json', 'Print JSON instead of text') } as const
const ownFlags = {
  family: { ...familyFlag, help: 'The address families of the clients' },
  ...jsonFlag,
} as const

const { check: _check, ...edgeStartFlags } = edgeFlags
/** The flags of `truepeer doctor edge`: its own, and all that an edge is started with. */
export const edgeDoctorFlags = { ...jsonFlag, ...edgeStartFlags } as const

/** The flags of `truepeer doctor agent`: its own, and all that an agent is started with. */
export const doctorFlags = { ...ownFlags, ...agentStartFlags } as const

/** What the command line of `truepeer doctor agent` says. */
export type DoctorCommand = {
  readonly listeners: readonly AgentListenerCommand[]
  readonly flows: { readonly max: number }
  readonly controller: FollowerSettings | undefined
  /** The agent is started with `--config`. */
  readonly hasConfigFile: boolean
  readonly maxConnections: number
  readonly families: readonly (4 | 6)[]
  readonly json: boolean
}

/** Reads the arguments behind `truepeer doctor`, and the configuration file that they name. @throws UsageError */
export function parseDoctor(argv: readonly string[], readConfig: ReadAgentConfig): DoctorCommand {
  const [subject, ...rest] = argv
  if (subject !== 'agent') {
    throw new UsageError('doctor needs "agent", and then the flags that the agent is started with')
  }
  const { agentArgv, own } = splitAgentArgv(rest, ownFlags)
  const { listeners, controller, maxConnections, flows } = readAgent(agentArgv, readConfig)
  return {
    listeners,
    flows,
    controller,
    hasConfigFile: agentConfigFile(agentArgv) !== undefined,
    maxConnections,
    families: familiesOf(own.family[0]),
    json: own.json.length > 0,
  }
}

/** Reads the arguments behind `truepeer doctor edge`. @throws UsageError */
export function parseEdgeDoctor(argv: readonly string[]): { readonly edge: EdgeCommand; readonly json: boolean } {
  const { json } = parseFlags(argv, edgeDoctorFlags)
  return { edge: parseEdge(argv.filter((word) => !/^--?json$/.test(word))), json: json.length > 0 }
}
