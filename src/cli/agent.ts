import type { Cidr } from '../address/cidr.ts'
import { type Endpoint, formatEndpoint, type Protocol } from '../address/endpoint.ts'
import { messageOf } from '../text/error-message.ts'
import { agentControllerFlags, agentControllerSettings } from './agent-controller.ts'
import {
  CONNECTIONS_MAX,
  type ListenerSettings,
  listenerFlags,
  listenerSettings,
  type ProcessSettings,
  processFlags,
  processSettings,
  WORKERS_MAX,
} from './data-plane-flags.ts'
import { type FlagValues, isFlag, parseFlags, switchFlag, UsageError, valueFlag } from './flags.ts'
import type { FollowerSettings } from './follower-flags.ts'
import {
  integerBetween,
  oneOf,
  parseAddressPort,
  parseDuration,
  parsePositiveDuration,
  parseProtocols,
  parseText,
  targetOf,
} from './values.ts'

const TARGET4_DEFAULT = '127.0.0.1:443'
const TARGET6_DEFAULT = '[::1]:443'
const TARGET_METAVAR = 'ADDR:PORT|none'
const NO_TARGET =
  'none: these clients are refused at once, which is also the default in a file that names the other target only'
const LOCAL_MODES = ['forward', 'check'] as const
const SOURCE_PORT_MODES = ['preserve-or-ephemeral', 'preserve', 'ephemeral'] as const
const UDP_HEADERS = ['every', 'first', 'alone', 'spp'] as const
const CLOSE_AFTER_SECONDS_MAX = 86_400
const APP_CHECKS = ['none', 'close-port', 'on-demand'] as const

/** The flags of one listening port of an agent. Those of go-mmproxy have its names, defaults and meaning. */
export const agentListenerFlags = {
  listen: valueFlag(
    'l',
    'ADDR:PORT',
    'The address on which the agent accepts connections, or receives datagrams, from edges',
    parseAddressPort,
    '0.0.0.0:8443',
  ),
  protocol: valueFlag('p', 'tcp|udp|tcp,udp', 'The protocol, or both on one port', parseProtocols, 'tcp'),
  target4: valueFlag('4', TARGET_METAVAR, `The app for IPv4 clients. ${NO_TARGET}`, targetOf(4), TARGET4_DEFAULT),
  target6: valueFlag('6', TARGET_METAVAR, `The app for IPv6 clients. ${NO_TARGET}`, targetOf(6), TARGET6_DEFAULT),
  allowedSubnetsFile: valueFlag(
    'allowed-subnets',
    'FILE',
    'Required without --controller and --allow-all-subnets: a file with the subnets of trusted edges, one per line; "#" starts a comment. SIGHUP reads it again',
    parseText,
  ),
  allowAllSubnets: switchFlag('allow-all-subnets', 'Trust headers from everyone who can reach the port'),
  mark: valueFlag('mark', 'N', 'Firewall mark of packets to the app; 0 sets none', integerBetween(0, 0x7fff_ffff), '0'),
  sourcePort: valueFlag(
    'source-port',
    SOURCE_PORT_MODES.join('|'),
    "The port that the app sees: the client's own if it is free, only the client's own, or any",
    oneOf(SOURCE_PORT_MODES),
    'preserve-or-ephemeral',
  ),
  denyPrivateSources: switchFlag('deny-private-sources', 'Refuse headers whose source is a private address'),
  local: valueFlag(
    'local',
    LOCAL_MODES.join('|'),
    'What to do with connections whose header names no client (LOCAL, UNKNOWN; mostly health checks): forward them to the app with the address of the edge, or answer them here, by closing the connection while the app listens and by resetting it otherwise. Datagrams without a client are then dropped, but for the question of an edge for the load',
    oneOf(LOCAL_MODES),
    'forward',
  ),
  appCheck: valueFlag(
    'app-check',
    APP_CHECKS.join('|'),
    'What to do while nothing listens on the targets (those given, or both defaults). none: warn at the start; close-port: close the port meanwhile, for load balancers that check by connecting; on-demand: nothing, because the app listens only now and then, as on the passive ports of FTP',
    oneOf(APP_CHECKS),
    'none',
  ),
  udpHeader: valueFlag(
    'udp-header',
    UDP_HEADERS.join('|'),
    'With -p udp, where edges put the client. every: a version 2 header in front of every datagram; first: in front of the first one of each socket of the edge; alone: as a datagram of its own in front of those; spp: the Simple Proxy Protocol in front of every datagram, answers too. With first and alone, clients can name any source where the edge remembers a client longer than --close-after',
    oneOf(UDP_HEADERS),
    'every',
  ),
  closeAfter: valueFlag(
    'close-after',
    'SECONDS',
    'With -p udp: how long a client and the app may both be silent before the agent forgets the client',
    integerBetween(1, CLOSE_AFTER_SECONDS_MAX),
    '60',
  ),
  headerLengthMax: valueFlag(
    'header-length-max',
    'BYTES',
    'Maximum length of a version 2 header, without its first 16 bytes',
    integerBetween(216, 60_000),
    '4096',
  ),
  headerTimeout: valueFlag(
    'header-timeout',
    'TIME',
    'Maximum time from accepting a connection to the end of its header',
    parsePositiveDuration,
    '5s',
  ),
  idleTimeout: valueFlag(
    'idle-timeout',
    'TIME',
    'How long a connection may be silent in both directions before it is closed; 0 sets no limit',
    parseDuration,
    '0s',
  ),
  ...listenerFlags,
} as const

/** How many clients an agent serves by UDP at once. */
export const flowFlags = {
  maxFlows: valueFlag(
    'max-flows',
    'N',
    'With -p udp: maximum number of clients at once in all workers; for one more, the client that was silent the longest is forgotten, of the edge that has the most, and one that has never answered the app before others. 0 means as many as the limit of open files allows',
    integerBetween(0, CONNECTIONS_MAX),
    '0',
  ),
  maxFlowsPerEdge: valueFlag(
    'max-flows-per-edge',
    'N',
    'With -p udp: maximum number of clients of one address of an edge; for one more, another one of that edge is forgotten. 0 means that only the limit for all edges applies',
    integerBetween(0, CONNECTIONS_MAX),
    '0',
  ),
} as const

/** The flags of `truepeer agent`. */
export const agentFlags = {
  ...agentListenerFlags,
  workers: valueFlag('listeners', 'N', 'Number of worker threads', integerBetween(1, WORKERS_MAX), '1'),
  ...flowFlags,
  ...agentControllerFlags,
  ...processFlags,
} as const

const configFlag = {
  config: valueFlag(
    'config',
    'FILE',
    'A YAML file with all settings, and with several listening ports, in place of the other flags',
    parseText,
  ),
} as const

const checkFlag = {
  check: switchFlag('check', 'Check the settings, print what is wrong with them or that they are valid, and exit'),
} as const

/** What an agent is started with, for every command that is about one; {@link readAgent} says what goes together. */
export const agentStartFlags = { ...agentFlags, ...configFlag } as const

/** All that may follow `truepeer agent`. */
export const agentHelpFlags = { ...agentStartFlags, ...checkFlag } as const

/** One listening port of an agent. */
export type AgentListenerCommand = ListenerSettings & {
  readonly listen: Endpoint
  /** null: clients of this address family are refused; not both are null. */
  readonly target4: Endpoint | null
  readonly target6: Endpoint | null
  readonly trust:
    | { readonly kind: 'everyone' }
    | { readonly kind: 'subnets'; readonly subnets: readonly Cidr[] }
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'controller' }
  readonly mark: number
  readonly sourcePort: (typeof SOURCE_PORT_MODES)[number]
  readonly denyPrivateSources: boolean
  readonly local: (typeof LOCAL_MODES)[number]
  readonly appCheck: (typeof APP_CHECKS)[number]
  /** What {@link appCheck} looks for: a target that was left at its default is somebody else's port. */
  readonly appTargets: readonly Endpoint[]
  readonly headerLengthMax: number
  readonly protocols: readonly Protocol[]
  readonly udpHeader: (typeof UDP_HEADERS)[number]
  readonly closeAfterMs: number
}

/** What the command line of an agent, or its configuration file, says. */
export type AgentCommand = ProcessSettings & {
  /** 0: as many as open files allow, and no limit. */
  readonly flows: { readonly max: number; readonly perEdgeMax: number }
  readonly listeners: readonly AgentListenerCommand[]
  readonly controller?: FollowerSettings
}

/** Reads the arguments behind `truepeer agent`, but for `--config`. @throws UsageError */
export function parseAgent(argv: readonly string[]): AgentCommand {
  const values = parseFlags(argv, agentFlags)
  const controller = agentControllerSettings(values)
  const trust = trustedEdges(values.allowedSubnetsFile[0], values.allowAllSubnets.length > 0, controller !== undefined)
  return {
    ...processSettings(values, values.workers[0]),
    flows: flowSettings(values),
    listeners: [agentListener(values, trust)],
    ...(controller === undefined ? {} : { controller }),
  }
}

/** Reads and checks an agent's configuration file. @throws UsageError */
export type ReadAgentConfig = (path: string) => AgentCommand

/** Reads the arguments behind `truepeer agent`: its flags, or its configuration file. @throws UsageError */
export function readAgent(argv: readonly string[], readConfig: ReadAgentConfig): AgentCommand {
  const file = agentConfigFile(argv)
  return file === undefined ? parseAgent(argv) : readConfig(file)
}

/** The arguments without `--check`, and whether it was among them. */
export function takeCheck(argv: readonly string[]): {
  readonly isOnlyChecked: boolean
  readonly rest: readonly string[]
} {
  const rest = argv.filter((word) => !/^--?check$/.test(word))
  return { isOnlyChecked: rest.length < argv.length, rest }
}

/** Reports whether the command line has `--config`, rightly or not. */
export function hasAgentConfig(argv: readonly string[]): boolean {
  return argv.some((word) => /^--?config(=|$)/.test(word))
}

/** The file of `--config FILE`, which is given alone; undefined when the command line has no such flag. @throws UsageError */
export function agentConfigFile(argv: readonly string[]): string | undefined {
  if (!hasAgentConfig(argv)) return undefined
  try {
    return parseFlags(argv, configFlag).config[0]
  } catch (error) {
    const key = Object.entries(agentFlags).find(([, flag]) => argv.some((word) => isFlag(word, [flag])))?.[0]
    const remedy = key === undefined ? messageOf(error) : `write "${key}: ..." into ${placeOf(key)}`
    throw new UsageError(`With --config, all other settings belong in the file: ${remedy}`)
  }
}

/** Where the file has the setting of a flag. */
function placeOf(key: string): string {
  return key in agentListenerFlags ? 'each of its listeners' : 'it'
}

/** Gathers the values of {@link agentListenerFlags}. */
export function agentListener(
  values: FlagValues<typeof agentListenerFlags>,
  trust: AgentListenerCommand['trust'],
): AgentListenerCommand {
  const [target4] = values.target4
  const [target6] = values.target6
  if (target4 === null && target6 === null) {
    throw new UsageError('Both targets are none; give the address of the app for one address family at least')
  }
  refuseOfOtherProtocol(values)
  return {
    ...listenerSettings(values, {
      headerTimeoutMs: values.headerTimeout[0],
      idleTimeoutMs: values.idleTimeout[0],
    }),
    listen: values.listen[0],
    target4,
    target6,
    trust,
    mark: values.mark[0],
    sourcePort: values.sourcePort[0],
    denyPrivateSources: values.denyPrivateSources.length > 0,
    local: values.local[0],
    appCheck: values.appCheck[0],
    appTargets: appTargets(target4, target6),
    headerLengthMax: values.headerLengthMax[0],
    protocols: values.protocol[0],
    udpHeader: values.udpHeader[0],
    closeAfterMs: values.closeAfter[0] * 1_000,
  }
}

/** --close-after passes with TCP, where go-mmproxy takes it, too. @throws UsageError */
function refuseOfOtherProtocol(values: FlagValues<typeof agentListenerFlags>): void {
  const [protocols] = values.protocol
  const [udpHeader] = values.udpHeader
  if (!protocols.includes('udp') && udpHeader !== 'every') {
    throw new UsageError(`--udp-header ${udpHeader} is for UDP; make the protocol udp or tcp,udp, or leave it out`)
  }
  if (!protocols.includes('tcp') && values.idleTimeout[0] > 0) {
    throw new UsageError('--idle-timeout is for TCP; with UDP, give the time as --close-after')
  }
}

/** Gathers the values of {@link flowFlags}. */
export function flowSettings(values: FlagValues<typeof flowFlags>): AgentCommand['flows'] {
  return { max: values.maxFlows[0], perEdgeMax: values.maxFlowsPerEdge[0] }
}

function appTargets(target4: Endpoint | null, target6: Endpoint | null): readonly Endpoint[] {
  const targets = [target4, target6].filter((target) => target !== null)
  const given = targets.filter((target) => ![TARGET4_DEFAULT, TARGET6_DEFAULT].includes(formatEndpoint(target)))
  return given.length > 0 ? given : targets
}

function trustedEdges(
  path: string | undefined,
  isEveryone: boolean,
  hasController: boolean,
): AgentListenerCommand['trust'] {
  if (hasController) {
    if (path === undefined && !isEveryone) return { kind: 'controller' }
    throw new UsageError(
      'With --controller, the controller says whom to trust; leave --allowed-subnets and --allow-all-subnets out',
    )
  }
  if (path !== undefined && isEveryone) {
    throw new UsageError('--allowed-subnets and --allow-all-subnets contradict each other; give one of them')
  }
  if (path !== undefined) return { kind: 'file', path }
  if (isEveryone) return { kind: 'everyone' }
  throw new UsageError(
    'Whose headers are trusted? Give --allowed-subnets FILE with the subnets of your edges, or --controller URL that knows them, or --allow-all-subnets',
  )
}
