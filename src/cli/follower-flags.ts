// The flags by which an edge and an agent follow a controller: what both have in common.

import { join } from 'node:path'
import { classifyAddress } from '../address/address-class.ts'
import { parseIpAddress } from '../address/ip-address.ts'
import { type Flag, type FlagValues, quoted, spelled, UsageError, valueFlag } from './flags.ts'
import { parseText } from './values.ts'

/** Where a controller is, and how it is spoken with. */
export type ControllerConnection = {
  readonly address: { readonly kind: 'url'; readonly url: string } | { readonly kind: 'unix'; readonly path: string }
  readonly tokenFile: string | undefined
  readonly caFile: string | undefined
}

/** How an edge or an agent follows a controller. */
export type FollowerSettings = ControllerConnection & {
  /** How it is called there. */
  readonly name: string
  /** Where what it was told last is kept. */
  readonly file: string
}

/** What the texts of the flags say of who follows. */
type FollowerTexts = {
  readonly role: 'edge' | 'agent'
  /** What `--controller` does. */
  readonly purpose: string
  /** What is kept for a start without the controller. */
  readonly kept: string
  /** Its own folder: systemd gives the whole of it to the user of a service. */
  readonly state: string
}

/** The flags of who follows a controller, but for its name there. */
export function followerFlags({ role, purpose, kept, state }: FollowerTexts) {
  return {
    controller: valueFlag('controller', 'URL|unix:PATH', purpose, parseController),
    state: valueFlag(
      'state',
      'DIR',
      `With --controller: the directory in which ${kept}, so that the ${role} can start while the controller is away; without this flag ${state}`,
      parseText,
    ),
    tokenFile: valueFlag(
      'token-file',
      'FILE',
      `With --controller: a file that only its owner can read, with the token that "truepeer controller token create --role ${role}" has printed. Without this flag, the credential "controller-token" is read if systemd passes one`,
      parseText,
    ),
    controllerCa: valueFlag(
      'controller-ca',
      'FILE',
      "With --controller: a PEM file with the authorities that may have signed the controller's certificate; without this flag, node's own list",
      parseText,
    ),
  } as const
}

/**
 * Gathers the values of {@link followerFlags}; undefined: there is no controller.
 *
 * @param nameFlag the flag that says how it is called there, and `names`, its values
 * @throws UsageError
 */
export function followerSettings(
  { role, state }: Pick<FollowerTexts, 'role' | 'state'>,
  values: FlagValues<ReturnType<typeof followerFlags>>,
  nameFlag: Flag<string>,
  names: readonly string[],
): FollowerSettings | undefined {
  const [address] = values.controller
  const [name] = names
  const [tokenFile] = values.tokenFile
  const [caFile] = values.controllerCa
  if (address === undefined) {
    if ([...names, ...values.state, ...values.tokenFile, ...values.controllerCa].length === 0) return undefined
    const flags = `${spelled(nameFlag)}, --state, --token-file and --controller-ca`
    throw new UsageError(`${flags} are for an ${role} with --controller; add it`)
  }
  if (name === undefined) {
    throw new UsageError(`${spelled(nameFlag)} is missing; give the name by which the controller knows this ${role}`)
  }
  return { address, name, file: join(values.state[0] ?? state, `${role}-${name}.json`), tokenFile, caFile }
}

function parseController(text: string, flag: string): ControllerConnection['address'] {
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
