import { isIP } from 'node:net'
import type { Endpoint, Protocol } from '../address/endpoint.ts'
import { parseFlags, quoted, switchFlag, takeWord, UsageError, valueFlag } from './flags.ts'
import { oneOf, parseAddressPort, parseText } from './values.ts'

const HOST_NAME_LENGTH_MAX = 253
const HOST_NAME = /^[A-Za-z0-9_]([-A-Za-z0-9_]{0,62})(\.[A-Za-z0-9_][-A-Za-z0-9_]{0,62})*$/

/** The flags of `truepeer verify`. */
export const verifyFlags = {
  protocol: valueFlag(
    'p',
    'tcp|udp',
    'The protocol. Over UDP the app has to be "truepeer whoami", which also shows how many datagrams come back, and of which length',
    oneOf(['tcp', 'udp'] as const),
    'tcp',
  ),
  client: valueFlag(
    'client',
    'ADDR:PORT',
    'With -p udp: send a PROXY header of version 2 that names this client, as an edge does; for an agent that trusts this host',
    parseAddressPort,
  ),
  tls: switchFlag('tls', 'Speak TLS, and verify the certificate'),
  ca: valueFlag(
    'ca',
    'FILE',
    "A PEM file with the authorities that may have signed the certificate; without this flag, node's own list",
    parseText,
  ),
  servername: valueFlag(
    'servername',
    'NAME',
    'The name to ask for (SNI), which the certificate must have; without this flag, the name of the target',
    parseServerName,
  ),
  clientFirst: switchFlag(
    'client-first',
    'The app waits for its client to speak, as HTTP does, or for something else than a question of verify: its silence is not a problem',
  ),
  json: switchFlag('json', 'Print JSON instead of text'),
} as const

/** What the command line of `truepeer verify` says. */
export type VerifyCommand = {
  /** A name or an address, without brackets. */
  readonly host: string
  readonly port: number
  readonly protocol: Protocol
  /** Whom a header is to name, over UDP alone; undefined: no header. */
  readonly client: Endpoint | undefined
  readonly hasTls: boolean
  readonly caPath: string | undefined
  readonly serverName: string | undefined
  readonly isClientFirst: boolean
  readonly json: boolean
}

/** Reads the arguments behind `truepeer verify`. @throws UsageError */
export function parseVerify(argv: readonly string[]): VerifyCommand {
  const { word: target, rest } = takeWord(argv, verifyFlags)
  if (target === undefined) throw new UsageError('verify needs an ADDR:PORT, such as 203.0.113.10:110')
  const values = parseFlags(rest, verifyFlags)
  const [caPath] = values.ca
  const [serverName] = values.servername
  const hasTls = values.tls.length > 0
  if (!hasTls && (caPath !== undefined || serverName !== undefined)) {
    throw new UsageError('--ca and --servername are for TLS; give --tls with them')
  }
  const [protocol] = values.protocol
  const [client] = values.client
  if (protocol === 'udp' && hasTls) throw new UsageError('--tls cannot be used with -p udp; leave one of them out')
  if (protocol === 'tcp' && client !== undefined) throw new UsageError('--client is for UDP; give -p udp with it')
  return {
    ...parseTargetName(target),
    protocol,
    client,
    hasTls,
    caPath,
    serverName,
    isClientFirst: values.clientFirst.length > 0,
    json: values.json.length > 0,
  }
}

/** A host name, which is never an address (RFC 6066 §3). */
function parseServerName(text: string, flag: string): string {
  if (text.length <= HOST_NAME_LENGTH_MAX && HOST_NAME.test(text) && isIP(text) === 0) return text
  throw new UsageError(`${flag} ${quoted(text)} is not a host name; write one such as app.example`)
}

function parseTargetName(text: string): { host: string; port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  const isSound = bracketed === undefined ? host !== undefined : isIP(bracketed) === 6
  if (!isSound || host === undefined || !(port >= 1 && port <= 65_535)) {
    throw new UsageError(`${quoted(text)} is not ADDR:PORT; write 203.0.113.10:110, [2001:db8::1]:110 or a name`)
  }
  return { host, port }
}

/** Where the app of the README listens. */
const WHOAMI_LISTENS = ['127.0.0.1:112', '[::1]:112']

/** The flags of `truepeer whoami`. */
export const whoamiFlags = {
  listen: valueFlag(
    'listen',
    'ADDR:PORT',
    'The address to listen on, over TCP and UDP, such as that of an app behind an agent. Without this flag: 127.0.0.1:112 and [::1]:112',
    parseAddressPort,
  ),
} as const

/** Reads the arguments behind `truepeer whoami`; more than one address is the default. @throws UsageError */
export function parseWhoami(argv: readonly string[]): readonly Endpoint[] {
  const [listen] = parseFlags(argv, whoamiFlags).listen
  return listen === undefined ? WHOAMI_LISTENS.map((text) => parseAddressPort(text, '--listen')) : [listen]
}
