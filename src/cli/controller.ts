import { classifyAddress } from '../address/address-class.ts'
import { type Cidr, formatCidr } from '../address/cidr.ts'
import { type Endpoint, parseEndpoint } from '../address/endpoint.ts'
import { formatIpAddress, type IpAddress, parseIpAddress } from '../address/ip-address.ts'
import type { ListenAddress } from '../telemetry/listen.ts'
import { parseAdmin } from './data-plane-flags.ts'
import { listFlag, parseFlags, quoted, switchFlag, takeAction, UsageError, valueFlag } from './flags.ts'
import { table } from './table.ts'
import { NOT_CONNECTABLE, oneOf, parseCidrs, parseResourceName, parseSocketPath, parseText } from './values.ts'

const FLAGS_OF = { create: ', --create, --user and --role', list: ' only', revoke: ' and --id' } as const

const ROLES = ['viewer', 'operator', 'admin', 'edge', 'agent'] as const
const LISTEN_DEFAULT = '127.0.0.1:8080'

const data = valueFlag('data', 'DIR', 'The directory in which the controller stores everything. Required', parseText)

const create = switchFlag(
  'create',
  'Create a new store if --data has none; without this flag, a directory that is wrong or not mounted is an error',
)

/** The flags of `truepeer controller`. */
export const controllerFlags = {
  data,
  create,
  listen: listFlag(
    'listen',
    'ADDR:PORT',
    `The address on which to serve the API: on loopback, where every user of the host can change resources, or with tokens and TLS (--tls-cert). Without this flag and --unix: ${LISTEN_DEFAULT}`,
    parseListen,
  ),
  unix: listFlag(
    'unix',
    'PATH',
    'Serve the API on a UNIX socket, for the user of the controller only: edges of this host may follow there without a token',
    parseSocketPath,
  ),
  tlsCert: valueFlag(
    'tls-cert',
    'FILE',
    "A file with the certificate chain in PEM, the server's certificate first; SIGHUP reads it again",
    parseText,
  ),
  tlsKey: valueFlag('tls-key', 'FILE', 'A file with the private key in PEM, which only its owner can read', parseText),
  project: listFlag(
    'project',
    'NAME',
    'A project to serve; the first one is used by requests that name none. Without this flag: truepeer',
    parseResourceName,
  ),
  addressPool: listFlag(
    'address-pool',
    'CIDR,...',
    'Subnets from which load balancers get addresses, IPv4 or IPv6',
    parsePools,
  ),
  addresses: listFlag(
    'addresses',
    'IP,...',
    'Single addresses for load balancers, taken before those of the pools',
    parseAddresses,
  ),
  allowLocalBackends: switchFlag(
    'allow-local-backends',
    "Take backends at loopback and link-local addresses, which lead to the edges' own hosts; the edges need the flag, too",
  ),
  admin: valueFlag(
    'admin',
    'HOST:PORT|unix:PATH',
    'Serve /metrics, /healthz and /readyz here; TCP only on loopback, a UNIX socket is for its owner only',
    parseAdmin,
  ),
} as const

/** What the command line of `truepeer controller` says. */
export type ControllerCommand = {
  readonly directory: string
  /** Whether a store is begun where there is none. */
  readonly creates: boolean
  readonly addresses: readonly (
    | { readonly kind: 'tcp'; readonly endpoint: Endpoint }
    | { readonly kind: 'unix'; readonly path: string }
  )[]
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined
  readonly projects: readonly string[]
  /** CIDR texts. */
  readonly addressPools: readonly string[]
  readonly poolAddresses: readonly string[]
  readonly allowsLocalBackends: boolean
  readonly admin: ListenAddress | undefined
}

/** Reads the arguments behind `truepeer controller`. @throws UsageError */
export function parseController(argv: readonly string[]): ControllerCommand {
  const values = parseFlags(argv, controllerFlags)
  const [certFile] = values.tlsCert
  const [keyFile] = values.tlsKey
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new UsageError('--tls-cert and --tls-key belong together; give both or neither')
  }
  const open = values.listen.find(({ address }) => classifyAddress(address) !== 'loopback')
  if (open !== undefined && certFile === undefined) {
    throw new UsageError(
      `--listen ${quoted(formatIpAddress(open.address))} is not loopback; give --tls-cert and --tls-key, or listen on 127.0.0.1`,
    )
  }
  const isNoneGiven = values.listen.length + values.unix.length === 0
  const endpoints = isNoneGiven ? [parseListen(LISTEN_DEFAULT, '--listen')] : values.listen
  return {
    directory: dataOf(values.data),
    creates: values.create.length > 0,
    addresses: [
      ...endpoints.map((endpoint) => ({ kind: 'tcp', endpoint }) as const),
      ...values.unix.map((path) => ({ kind: 'unix', path }) as const),
    ],
    tls: certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile },
    projects: values.project.length === 0 ? ['truepeer'] : [...new Set(values.project)],
    addressPools: values.addressPool.flat().map(formatCidr),
    poolAddresses: values.addresses.flat().map(formatIpAddress),
    allowsLocalBackends: values.allowLocalBackends.length > 0,
    admin: values.admin[0],
  }
}

/** The flags of `truepeer controller backup`. */
export const backupFlags = {
  data,
  to: valueFlag('to', 'FILE', 'The file to write, which must not exist yet. Required', parseText),
} as const

/** Reads the arguments behind `truepeer controller backup`. @throws UsageError */
export function parseBackup(argv: readonly string[]): { readonly directory: string; readonly file: string } {
  const values = parseFlags(argv, backupFlags)
  return { directory: dataOf(values.data), file: required(values.to, '--to', 'the file to write') }
}

/** The flags of `truepeer controller restore`. */
export const restoreFlags = {
  data,
  from: valueFlag('from', 'FILE', 'A file that "truepeer controller backup" wrote. Required', parseText),
  overwrite: switchFlag('overwrite', 'Replace the existing store, which is kept as controller.db.replaced'),
} as const

/** Reads the arguments behind `truepeer controller restore`. @throws UsageError */
export function parseRestore(argv: readonly string[]): {
  readonly directory: string
  readonly file: string
  readonly overwrites: boolean
} {
  const values = parseFlags(argv, restoreFlags)
  const file = required(values.from, '--from', 'the backup')
  return { directory: dataOf(values.data), file, overwrites: values.overwrite.length > 0 }
}

/** The flags of `truepeer controller token`. */
export const tokenFlags = {
  data,
  create: { ...create, help: 'create: create a new store if --data has none' },
  user: valueFlag('user', 'NAME', 'create: who will use the token; for an edge or an agent, its name', parseUser),
  role: valueFlag(
    'role',
    ROLES.join('|'),
    'create: what the token allows: viewer reads, operator also changes resources, admin does everything, edge and agent only follow the configuration',
    oneOf(ROLES),
  ),
  id: valueFlag('id', 'ID', 'revoke: the ID of the token, as list shows it', parseText),
} as const

/** What the command line of `truepeer controller token` says. */
export type TokenCommand = { readonly directory: string } & (
  | {
      readonly action: 'create'
      readonly user: string
      readonly role: (typeof ROLES)[number]
      /** Whether a store is begun where there is none. */
      readonly creates: boolean
    }
  | { readonly action: 'list' }
  | { readonly action: 'revoke'; readonly id: string }
)

/** Reads the arguments behind `truepeer controller token`. @throws UsageError */
export function parseToken(argv: readonly string[]): TokenCommand {
  const [word, ...rest] = argv
  const action = takeAction('controller token', word, ['create', 'list', 'revoke'])
  const values = parseFlags(rest, tokenFlags)
  const directory = dataOf(values.data)
  const ofCreate = [...values.user, ...values.role, ...values.create]
  const strays = action === 'create' ? values.id : [...ofCreate, ...(action === 'list' ? values.id : [])]
  if (strays.length > 0) {
    throw new UsageError(`token ${action} takes --data${FLAGS_OF[action]}; leave the other flags out`)
  }
  switch (action) {
    case 'list':
      return { directory, action }
    case 'revoke':
      return { directory, action, id: required(values.id, '--id', 'the token, as list shows it') }
    case 'create': {
      const [role] = values.role
      if (role === undefined) throw new UsageError(`--role is missing; give one of ${ROLES.join(', ')}`)
      const creates = values.create.length > 0
      return { directory, action, role, creates, user: required(values.user, '--user', 'who will use it') }
    }
  }
}

/** Tokens as an aligned table for a terminal. */
export function formatTokens(
  tokens: readonly { readonly id: string; readonly user: string; readonly role: string; readonly created: string }[],
): string {
  const rows = tokens.map(({ id, role, user, created }) => [id, role, user, created])
  return `${table(['ID', 'ROLE', 'USER', 'CREATED'], rows)}\n`
}

function dataOf(given: readonly string[]): string {
  return required(given, '--data', 'the directory of the controller')
}

function required([value]: readonly string[], flag: string, what: string): string {
  if (value === undefined) throw new UsageError(`${flag} is missing; give ${what}`)
  return value
}

/** Port 0 lets the kernel choose. */
function parseListen(text: string, flag: string): Endpoint {
  const endpoint = parseEndpoint(text.replace(/^localhost:/, '127.0.0.1:'))
  if (endpoint !== undefined) return endpoint
  throw new UsageError(`${flag} ${quoted(text)} is not ADDR:PORT; write one such as ${LISTEN_DEFAULT}`)
}

function parseAddresses(text: string, flag: string): readonly IpAddress[] {
  return text.split(',').map((part) => {
    const address = parseIpAddress(part.trim())
    if (address !== undefined && !NOT_CONNECTABLE.has(classifyAddress(address))) return address
    throw new UsageError(
      `${flag} ${quoted(part)} is not an address that clients can connect to; write one such as 203.0.113.10 or 2001:db8::10`,
    )
  })
}

function parsePools(text: string, flag: string): readonly Cidr[] {
  const pools = parseCidrs(text, flag)
  const wrong = pools.find(({ address }) => NOT_CONNECTABLE.has(classifyAddress(address)))
  if (wrong === undefined) return pools
  throw new UsageError(
    `${flag} ${quoted(formatCidr(wrong))} has addresses that no client can connect to; write one such as 203.0.113.0/28`,
  )
}

function parseUser(text: string, flag: string): string {
  if (/^[A-Za-z0-9][-A-Za-z0-9._@]{0,62}$/.test(text)) return text
  throw new UsageError(
    `${flag} ${quoted(text)} is not a name; write letters, digits and "-._@", such as alice@example.com`,
  )
}
