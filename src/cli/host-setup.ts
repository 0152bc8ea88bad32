import { listFlag, parseFlags, switchFlag, takeAction, UsageError, valueFlag } from './flags.ts'
import { integerBetween, oneOf, parseText } from './values.ts'

const ACTIONS = ['apply', 'remove', 'status'] as const
const FAMILIES = { both: [4, 6], ipv4: [4], ipv6: [6] } as const
const FAMILY_NAMES = ['both', 'ipv4', 'ipv6'] as const

/** The flag by which commands about a host leave one address family out. */
export const familyFlag = valueFlag(
  'family',
  FAMILY_NAMES.join('|'),
  'The address families to set up',
  oneOf(FAMILY_NAMES),
  'both',
)

/** The routing table that holds the route for the app's answers. */
export const tableFlag = valueFlag('table', 'N', 'Number of the routing table to use', parseTable, '100')

/** The flags of `truepeer host-setup`. */
export const hostSetupFlags = {
  table: tableFlag,
  family: familyFlag,
  appPorts: listFlag(
    'app-port',
    'PORT',
    'Close a port of the app to the network, for TCP and UDP, with nftables; repeat the flag for each port',
    integerBetween(1, 65_535),
  ),
  agentUser: valueFlag(
    'agent-user',
    'NAME',
    'Stop packets of this user that carry a foreign source address from leaving this host, with nftables',
    parseText,
  ),
  watch: switchFlag(
    'watch',
    'With "apply": go on, and put the set-up back when a VPN, a firewall or anybody else has changed rules',
  ),
  json: switchFlag('json', 'Print JSON instead of text'),
} as const

/** What the command line of `truepeer host-setup` says. */
export type HostSetupCommand = {
  readonly action: (typeof ACTIONS)[number]
  readonly table: number
  readonly families: readonly (4 | 6)[]
  readonly appPorts: readonly number[]
  /** A user's name or number. */
  readonly agentUser: string | undefined
  /** Go on after `apply`, and put back what others take away. */
  readonly isKept: boolean
  readonly json: boolean
}

/** Reads the arguments behind `truepeer host-setup`. @throws UsageError */
export function parseHostSetup(argv: readonly string[]): HostSetupCommand {
  const [word, ...rest] = argv
  const action = takeAction('host-setup', word, ACTIONS)
  const values = parseFlags(rest, hostSetupFlags)
  const isKept = values.watch.length > 0
  if (isKept && action !== 'apply') throw new UsageError(`--watch can only be used with "apply", not with "${action}"`)
  return {
    action,
    table: values.table[0],
    families: familiesOf(values.family[0]),
    appPorts: [...new Set(values.appPorts)].sort((a, b) => a - b),
    agentUser: values.agentUser[0],
    isKept,
    json: values.json.length > 0,
  }
}

/** The families that a value of {@link familyFlag} names. */
export function familiesOf(name: (typeof FAMILY_NAMES)[number]): readonly (4 | 6)[] {
  return FAMILIES[name]
}

function parseTable(text: string, flag: string): number {
  const table = integerBetween(1, 0x7fff_ffff)(text, flag)
  // rt_tables: default, main and local are the kernel's own.
  if (table >= 253 && table <= 255) {
    throw new UsageError(`${flag} ${table} is a table that the kernel uses itself; give another one, such as 100`)
  }
  return table
}
