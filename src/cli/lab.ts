import type { LabStatus } from '../lab/process/lab-status.ts'
import { parseFlags, quoted, switchFlag, takeWord, UsageError, valueFlag } from './flags.ts'
import { table } from './table.ts'
import { parseResourceName } from './values.ts'

/** The control socket below the longest directory is still a path that a UNIX socket takes. */
const NAME_LENGTH_MAX = 40

/** The lab of whoever has only one. */
export const LAB_DEFAULT = 'lab'

const name = valueFlag('name', 'LAB', 'The name of the lab, where there are several', parseLabName, LAB_DEFAULT)

/** The flags of most of `truepeer lab`. */
export const labFlags = { name } as const

/** The flags of `truepeer lab exec` and `shell`. */
export const labEnterFlags = {
  name,
  zone: valueFlag(
    'zone',
    'ZONE',
    'The zone of HOST, an instance, where another host has its name; without it a client or an edge of this name is meant',
    parseResourceName,
  ),
} as const

/** The flags of `truepeer lab status`. */
export const labStatusFlags = { name, json: switchFlag('json', 'Print JSON instead of text') } as const

/** The host from which everything of a guide is tried. */
const HOST_DEFAULT = 'client'

/** Reads the arguments behind `truepeer lab up`, `down`, `reset` and `env`. @throws UsageError */
export function parseLab(argv: readonly string[]): { readonly name: string } {
  return { name: parseFlags(argv, labFlags).name[0] }
}

/** Reads the arguments behind `truepeer lab status`. @throws UsageError */
export function parseLabStatus(argv: readonly string[]): { readonly name: string; readonly json: boolean } {
  const values = parseFlags(argv, labStatusFlags)
  return { name: values.name[0], json: values.json.length > 0 }
}

/** Where to enter a lab, and what to run there; no words: a shell. */
export type LabCommand = {
  readonly name: string
  readonly host: string
  /** Of an instance; undefined: its name is enough. */
  readonly zone?: string | undefined
  readonly command: readonly string[]
}

/** Reads the arguments behind `truepeer lab shell`. @throws UsageError */
export function parseLabShell(argv: readonly string[]): LabCommand {
  const { word, rest } = takeWord(argv, labEnterFlags)
  return { ...parseEnter(rest), host: parseHost(word ?? HOST_DEFAULT), command: [] }
}

/** Reads the arguments behind `truepeer lab exec`. @throws UsageError */
export function parseLabExec(argv: readonly string[]): LabCommand {
  const end = argv.indexOf('--')
  const command = end < 0 ? [] : argv.slice(end + 1)
  const { word, rest } = takeWord(end < 0 ? argv : argv.slice(0, end), labEnterFlags)
  if (word === undefined || command.length === 0) {
    throw new UsageError(
      'lab exec needs a host and, after "--", a command, such as "lab exec client -- ip route"; "lab status" lists the hosts',
    )
  }
  if (command[0] === '') throw new UsageError('The command after "--" is empty; "lab shell HOST" opens a shell')
  return { ...parseEnter(rest), host: parseHost(word), command }
}

function parseEnter(argv: readonly string[]): Pick<LabCommand, 'name' | 'zone'> {
  const values = parseFlags(argv, labEnterFlags)
  return { name: values.name[0], zone: values.zone[0] }
}

function parseLabName(text: string, flag: string): string {
  const checked = parseResourceName(text, flag)
  if (checked.length <= NAME_LENGTH_MAX) return checked
  throw new UsageError(`${flag} ${quoted(text)} has ${text.length} letters; write at most ${NAME_LENGTH_MAX}`)
}

function parseHost(text: string): string {
  return parseResourceName(text, 'The host')
}

/** The hosts of a lab as an aligned table, and what can be typed next. @param program how the user calls the program */
export function formatLab({ name, url, project, pools, noLatency, hosts }: LabStatus, program: string): string {
  const rows = hosts.map((host) => [
    ...[host.name, host.kind, host.zone ?? host.region],
    ...[host.addresses.join(' '), host.state],
  ])
  const flag = name === LAB_DEFAULT ? '' : ` --name ${name}`
  const lab = (action: string): string => `${program} lab ${action}${flag}`
  return [
    table(['HOST', 'KIND', 'PLACE', 'ADDRESSES', 'STATE'], rows),
    '',
    `API               ${url}, project ${project}`,
    `Global addresses  ${pools.join(' and ')}; each client reaches the nearest edge`,
    `Distance          ${noLatency === undefined ? 'packets between regions take as long as between the real ones' : `costs no time: ${noLatency}`}`,
    '',
    'Next:',
    `  eval "$(${lab('env')})"`,
    '  gcloud compute instances create my-backend --zone us-central1-b',
    `  ${lab('exec')} client -- ip route`,
    `  ${lab('shell')} client`,
    `  ${lab('status')}`,
    `  ${lab('down')}`,
    '',
  ].join('\n')
}

/** Lines for a shell, by which gcloud and SDKs that are started from it speak with the lab. */
export function formatLabEnv({ url, project }: LabStatus): string {
  const compute = `${url}/compute/v1/`
  const variables = {
    CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE: compute,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_NETWORKSERVICES: `${url}/ns/`,
    CLOUDSDK_AUTH_DISABLE_CREDENTIALS: 'true',
    CLOUDSDK_CORE_PROJECT: project,
    // Nobody is asked outside of this machine.
    CLOUDSDK_CORE_DISABLE_USAGE_REPORTING: 'true',
    CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK: 'true',
    // Of Google's SDKs, and of Terraform.
    GOOGLE_CLOUD_PROJECT: project,
    GOOGLE_COMPUTE_CUSTOM_ENDPOINT: compute,
    GOOGLE_OAUTH_ACCESS_TOKEN: 'lab',
  }
  return Object.entries(variables)
    .map(([variable, value]) => `export ${variable}=${value}\n`)
    .join('')
}
