import type { Endpoint } from '../address/endpoint.ts'
import { type DataPlaneSettings, dataPlaneFlags, dataPlaneSettings, WORKERS_MAX } from './data-plane-flags.ts'
import { parseFlags, switchFlag, UsageError, valueFlag } from './flags.ts'
import {
  integerBetween,
  oneOf,
  parseAddressPort,
  parseDuration,
  parsePositiveDuration,
  parseText,
  targetOf,
} from './values.ts'

const LOCAL_MODES = ['forward', 'check'] as const
const SOURCE_PORT_MODES = ['preserve-or-ephemeral', 'preserve', 'ephemeral'] as const

/** The flags of `truepeer agent`. Those of go-mmproxy have its names, defaults and meaning. */
export const agentFlags = {
  listen: valueFlag('l', 'ADDR:PORT', 'Where edges connect to', parseAddressPort, '0.0.0.0:8443'),
  target4: valueFlag('4', 'ADDR:PORT', 'The app for IPv4 clients', targetOf(4), '127.0.0.1:443'),
  target6: valueFlag('6', 'ADDR:PORT', 'The app for IPv6 clients', targetOf(6), '[::1]:443'),
  protocol: valueFlag('p', 'tcp|udp', 'The protocol; UDP is not there yet', oneOf(['tcp', 'udp']), 'tcp'),
  allowedSubnets: valueFlag(
    'allowed-subnets',
    'FILE',
    'The subnets of trusted edges, one per line, "#" starts a comment. Mandatory; read again on SIGHUP',
    parseText,
  ),
  allowAllSubnets: switchFlag('allow-all-subnets', 'Trust headers from everyone who can reach the port'),
  workers: valueFlag(
    'listeners',
    'N',
    'Worker threads, each with a listening socket of its own',
    integerBetween(1, WORKERS_MAX),
    '1',
  ),
  mark: valueFlag('mark', 'N', 'Firewall mark of packets to the app; 0: none', integerBetween(0, 0x7fff_ffff), '0'),
  closeAfter: valueFlag('close-after', 'SECONDS', 'For UDP, which is not there yet', integerBetween(0, 86_400), '60'),
  sourcePort: valueFlag(
    'source-port',
    SOURCE_PORT_MODES.join('|'),
    "The port the app sees: the client's own if it is free, only that, or any",
    oneOf(SOURCE_PORT_MODES),
    'preserve-or-ephemeral',
  ),
  denyPrivateSources: switchFlag('deny-private-sources', 'Refuse headers whose source is a private address'),
  local: valueFlag(
    'local',
    LOCAL_MODES.join('|'),
    'Connections without a client (LOCAL, UNKNOWN: mostly health checks): forward them to the app with the address of the edge, or answer them without the app: closed while it listens, reset while it does not',
    oneOf(LOCAL_MODES),
    'forward',
  ),
  headerLengthMax: valueFlag(
    'header-length-max',
    'BYTES',
    'Longest version 2 header, counted behind its first 16 bytes',
    integerBetween(216, 60_000),
    '4096',
  ),
  headerTimeout: valueFlag('header-timeout', 'TIME', 'From accept to the complete header', parsePositiveDuration, '5s'),
  idleTimeout: valueFlag('idle-timeout', 'TIME', 'Silence in both directions; 0: for ever', parseDuration, '0s'),
  ...dataPlaneFlags,
} as const

/** What the command line of an agent says; times in milliseconds. */
export type AgentCommand = DataPlaneSettings & {
  readonly listen: Endpoint
  readonly target4: Endpoint
  readonly target6: Endpoint
  /** undefined: everyone is trusted. */
  readonly allowedSubnetsFile: string | undefined
  readonly workers: number
  readonly mark: number
  readonly sourcePort: (typeof SOURCE_PORT_MODES)[number]
  readonly denyPrivateSources: boolean
  readonly local: (typeof LOCAL_MODES)[number]
  readonly headerLengthMax: number
  readonly headerTimeoutMs: number
  readonly idleTimeoutMs: number
}

/** Reads the arguments behind `truepeer agent`. @throws UsageError */
export function parseAgent(argv: readonly string[]): AgentCommand {
  const values = parseFlags(argv, agentFlags)
  if (values.protocol[0] === 'udp') throw new UsageError('-p udp is not there yet; TCP is the default')
  return {
    ...dataPlaneSettings(values),
    listen: values.listen[0],
    target4: values.target4[0],
    target6: values.target6[0],
    allowedSubnetsFile: trustedEdges(values.allowedSubnets[0], values.allowAllSubnets.length > 0),
    workers: values.workers[0],
    mark: values.mark[0],
    sourcePort: values.sourcePort[0],
    denyPrivateSources: values.denyPrivateSources.length > 0,
    local: values.local[0],
    headerLengthMax: values.headerLengthMax[0],
    headerTimeoutMs: values.headerTimeout[0],
    idleTimeoutMs: values.idleTimeout[0],
  }
}

function trustedEdges(file: string | undefined, isEveryone: boolean): string | undefined {
  if (file !== undefined && isEveryone) {
    throw new UsageError('--allowed-subnets and --allow-all-subnets contradict each other; give one of them')
  }
  if (file === undefined && !isEveryone) {
    throw new UsageError(
      'Whose headers are trusted? Give --allowed-subnets FILE with the subnets of your edges, or --allow-all-subnets',
    )
  }
  return file
}
