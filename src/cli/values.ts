import { type AddressClass, classifyAddress } from '../address/address-class.ts'
import { type Cidr, cidrAddresses, cidrSize, parseCidr } from '../address/cidr.ts'
import { type Endpoint, type Protocol, parseEndpoint } from '../address/endpoint.ts'
import { formatIpAddress, type IpAddress, unmapAddress } from '../address/ip-address.ts'
import { isResourceName } from '../compute/reference.ts'
import { quoted, UsageError } from './flags.ts'

/** Addresses at which nobody listens; connect(2) takes 0.0.0.0 and :: for one of this host's own. */
export const NOT_CONNECTABLE: ReadonlySet<AddressClass> = new Set(['unspecified', 'multicast', 'broadcast'])
/** As long as a path in `sockaddr_un` can be, without the NUL at its end (unix(7)); node cuts off what is beyond. */
const SOCKET_PATH_BYTES_MAX = 107
/** RFC 1035. */
const NAME_LENGTH_MAX = 63
/** How many addresses {@link parseSourceRanges} takes. */
const SOURCES_MAX = 1_024

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
/** The longest time that is taken: timers and socket options count milliseconds in 32 bits. */
const DURATION_MS_MAX = 24 * 86_400_000

/** Reads "5s", "500ms", "1h30m"; a bare number means seconds, as with gcloud. In milliseconds. */
export function parseDuration(text: string, flag: string): number {
  const parts = /^\d+$/.test(text) ? [`${text}s`] : (text.match(/\d+(?:ms|[smhd])/g) ?? [])
  const isWhole = parts.length > 0 && (parts.join('') === text || parts[0] === `${text}s`)
  const total = parts.reduce((sum, part) => sum + Number.parseInt(part, 10) * UNITS_MS[part.replace(/\d+/, '')], 0)
  if (!isWhole || total > DURATION_MS_MAX) {
    throw new UsageError(`${flag} ${quoted(text)} is not a duration up to 24d; write one such as 500ms, 5s or 1h`)
  }
  return total
}

/** As {@link parseDuration}, but 0 is refused. */
export function parsePositiveDuration(text: string, flag: string): number {
  const durationMs = parseDuration(text, flag)
  if (durationMs === 0) throw new UsageError(`${flag} must be longer than 0; write a time such as 500ms, 5s or 1h`)
  return durationMs
}

/** Reads "192.0.2.1:110" or "[2001:db8::1]:110"; the port must not be 0. */
export function parseAddressPort(text: string, flag: string): Endpoint {
  const endpoint = parseEndpoint(text)
  if (endpoint === undefined) {
    throw new UsageError(
      `${flag} ${quoted(text)} is not ADDR:PORT; write an address such as 192.0.2.1:110 or [2001:db8::1]:110`,
    )
  }
  if (endpoint.port === 0) throw new UsageError(`${flag} ${quoted(text)} has port 0; give one from 1 to 65535`)
  return endpoint
}

/** As {@link parseAddressPort}, but only what one can connect to. */
export function parseTarget(text: string, flag: string): Endpoint {
  const endpoint = parseAddressPort(text, flag)
  if (!NOT_CONNECTABLE.has(classifyAddress(endpoint.address))) return endpoint
  throw new UsageError(
    `${flag} ${quoted(text)} is not an address to connect to; write that of the app, such as 127.0.0.1:${endpoint.port}`,
  )
}

/** Makes a reader of targets of one address family; null: "none", there is no app for clients of it. */
export function targetOf(family: 4 | 6): (text: string, flag: string) => Endpoint | null {
  return (text, flag) => {
    if (text === 'none') return null
    const target = parseTarget(text, flag)
    if (unmapAddress(target.address).family === family) return target
    throw new UsageError(
      `${flag} ${quoted(text)} is not IPv${family}; write an IPv${family} address, and the other one as the target of IPv${10 - family}`,
    )
  }
}

/** Makes a reader of whole decimal numbers from `min` to `max`. */
export function integerBetween(min: number, max: number): (text: string, flag: string) => number {
  return (text, flag) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (!(value >= min && value <= max)) {
      throw new UsageError(`${flag} ${quoted(text)} is not a whole number from ${min} to ${max}`)
    }
    return value
  }
}

/** Reads a part of a whole, from above 0 to 1, such as "0.8". */
export function parsePart(text: string, flag: string): number {
  const value = /^\d(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN
  if (!(value > 0 && value <= 1))
    throw new UsageError(`${flag} ${quoted(text)} is not a number above 0 and up to 1; write one such as 0.8`)
  return value
}

/** Makes a reader of one of a few words. */
export function oneOf<Word extends string>(words: readonly Word[]): (text: string, flag: string) => Word {
  return (text, flag) => {
    const word = words.find((candidate) => candidate === text)
    if (word === undefined) throw new UsageError(`${flag} ${quoted(text)} is not one of ${words.join(', ')}`)
    return word
  }
}

const PROTOCOLS: readonly Protocol[] = ['tcp', 'udp']

/** Reads "tcp", "udp" or "tcp,udp": one protocol or both, in any order. */
export function parseProtocols(text: string, flag: string): readonly Protocol[] {
  const words = text.split(',')
  const isSound = new Set(words).size === words.length && words.every((word) => PROTOCOLS.some((one) => one === word))
  if (!isSound) throw new UsageError(`${flag} ${quoted(text)} is not a protocol; write tcp, udp or tcp,udp`)
  return PROTOCOLS.filter((protocol) => words.includes(protocol))
}

/** Takes any text but the empty one. */
export function parseText(text: string, flag: string): string {
  if (text === '') throw new UsageError(`${flag} is empty; give a value`)
  return text
}

/** Reads the path of a UNIX socket. */
export function parseSocketPath(text: string, flag: string): string {
  const path = parseText(text, flag)
  const length = Buffer.byteLength(path)
  if (length <= SOCKET_PATH_BYTES_MAX) return path
  throw new UsageError(
    `${flag} ${quoted(path)} has ${length} bytes; a UNIX socket takes a path of at most ${SOCKET_PATH_BYTES_MAX}`,
  )
}

/** Reads "10.0.0.0/8,2001:db8::/32"; a bare address is the range of it alone. */
export function parseCidrs(text: string, flag: string): readonly Cidr[] {
  return text.split(',').map((part) => {
    const cidr = parseCidr(part.trim())
    if (cidr !== undefined) return cidr
    throw new UsageError(`${flag} ${quoted(part)} is not a subnet; write one such as 192.0.2.0/28 or 2001:db8::/124`)
  })
}

/** As {@link parseCidrs}: every address of the ranges, each once. */
export function parseSourceRanges(text: string, flag: string): readonly IpAddress[] {
  const cidrs = parseCidrs(text, flag)
  const count = cidrs.reduce((sum, cidr) => sum + cidrSize(cidr), 0)
  if (count > SOURCES_MAX) {
    throw new UsageError(`${flag} ${quoted(text)} has more than ${SOURCES_MAX} addresses; give longer prefixes`)
  }
  const addresses = new Map(cidrs.flatMap(cidrAddresses).map((address) => [formatIpAddress(address), address]))
  for (const [name, address] of addresses) {
    if (!NOT_CONNECTABLE.has(classifyAddress(address))) continue
    throw new UsageError(`${flag} ${quoted(name)} is not an address to connect from; give addresses of this host`)
  }
  return [...addresses.values()]
}

/** Reads the name of a region, a zone or another resource. */
export function parseResourceName(text: string, flag: string): string {
  if (isResourceName(text)) return text
  const rule = `write up to ${NAME_LENGTH_MAX} small letters, digits and "-", such as us-central1`
  throw new UsageError(`${flag} ${quoted(text)} is not a name: it ${nameProblem(text)}; ${rule}`)
}

/** Why a text is not the name of a resource, behind "it". */
function nameProblem(text: string): string {
  const [wrong] = /[^-a-z0-9]/u.exec(text) ?? []
  if (text === '') return 'is empty'
  if (wrong !== undefined) return `has ${quoted(wrong)}`
  if (text.length > NAME_LENGTH_MAX) return `has ${text.length} characters`
  return /^[a-z]/.test(text) ? 'ends with "-"' : `begins with ${quoted(text[0])}, which is not a letter`
}
