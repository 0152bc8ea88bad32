import { join } from 'node:path'
import { classifyAddress } from '../address/address-class.ts'
import { parseIpAddress } from '../address/ip-address.ts'
import { type FlagValues, quoted, UsageError, valueFlag } from './flags.ts'
import { parseResourceName, parseText } from './values.ts'

/** The flags by which the load balancer comes from a controller. */
export const edgeControllerFlags = {
  controller: valueFlag(
    'controller',
    'URL|unix:PATH',
    'Follow this controller: serve what its resources say, and apply every change',
    parseController,
  ),
  name: valueFlag(
    'name',
    'NAME',
    'With --controller: how this edge is called there. Mandatory then',
    parseResourceName,
  ),
  state: valueFlag(
    'state',
    'DIR',
    'With --controller: where the last configuration is kept, with which the edge starts while the controller is away',
    parseText,
    '/var/lib/truepeer',
  ),
  tokenFile: valueFlag(
    'token-file',
    'FILE',
    'With --controller: a file with the token of this edge, of "truepeer controller token create --role edge"',
    parseText,
  ),
  controllerCa: valueFlag(
    'controller-ca',
    'FILE',
    'With --controller: the certificates in PEM that may have signed that of the controller; without it, those of node',
    parseText,
  ),
} as const

/** Where a controller is, and how it is spoken with. */
export type ControllerConnection = {
  readonly address: { readonly kind: 'url'; readonly url: string } | { readonly kind: 'unix'; readonly path: string }
  readonly tokenFile: string | undefined
  readonly caFile: string | undefined
}

/** How an edge follows a controller. */
export type EdgeControllerSettings = ControllerConnection & {
  readonly kind: 'controller'
  readonly name: string
  /** Where the last configuration is kept. */
  readonly file: string
}

/** Gathers the values of {@link edgeControllerFlags}; undefined: there is no controller. @throws UsageError */
export function edgeControllerSettings(
  values: FlagValues<typeof edgeControllerFlags>,
): EdgeControllerSettings | undefined {
  const [address] = values.controller
  const [name] = values.name
  if (address === undefined) {
    const given = [...values.name, ...values.tokenFile, ...values.controllerCa]
    if (given.length === 0) return undefined
    throw new UsageError('--name, --token-file and --controller-ca are for an edge with --controller; add it')
  }
  if (name === undefined) throw new UsageError('--name is missing; say how the controller shall call this edge')
  const [tokenFile] = values.tokenFile
  const [caFile] = values.controllerCa
  return { kind: 'controller', address, name, file: join(values.state[0], `edge-${name}.json`), tokenFile, caFile }
}

/** Reads where a controller is. */
export function parseController(text: string, flag: string): ControllerConnection['address'] {
  if (text.startsWith('unix:') && text.length > 'unix:'.length) {
    return { kind: 'unix', path: text.slice('unix:'.length) }
  }
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isPlain = url !== undefined && url.pathname === '/' && url.search + url.hash + url.username === ''
  if (!isPlain || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new UsageError(
      `${flag} ${quoted(text)} is neither a URL nor unix:PATH; write https://controller.example:8443`,
    )
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw new UsageError(`${flag} ${quoted(text)} sends the token as plain text; write https://`)
  }
  return { kind: 'url', url: url.origin }
}

function isLoopback(hostname: string): boolean {
  const address = parseIpAddress(hostname.replace(/^\[(.*)\]$/, '$1'))
  return hostname === 'localhost' || (address !== undefined && classifyAddress(address) === 'loopback')
}
