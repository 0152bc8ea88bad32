import { formatCidr, parseCidr } from '../address/cidr.ts'
import { formatIpAddress, parseIpAddress } from '../address/ip-address.ts'
import { foreignFormat } from '../text/foreign-format.ts'
import { parseReference } from './reference.ts'

/** A form that a text can have, by the name that `format` gives it in a schema. */
export type Format = {
  /** Goes on after "is not": `an IP address`. */
  readonly expected: string
  /** The text in the one form in which we keep it; undefined: it does not have this form. */
  readonly read: (text: string) => string | undefined
  /** A number is as good as its digits: YAML without quotes has no text `110`. */
  readonly takesNumbers?: true
  /** What to do about a text that has not this form, where more can be said than to give one that has. */
  readonly remedyFor?: (text: string) => string | undefined
  /** The text may be a secret, or hold one by mistake, and is never shown. */
  readonly isHidden?: true
}

const PORT_MAX = 65_535
const IP_PROTOCOLS = ['tcp', 'udp', 'icmp', 'esp', 'ah', 'sctp', 'ipip', 'all']
const CERTIFICATE = /-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/
const PRIVATE_KEY = /-----BEGIN (RSA |EC |)PRIVATE KEY-----\s[A-Za-z0-9+/=\s]+-----END \1PRIVATE KEY-----/

/** The formats by name; `reference` is looked at by the check itself, because it depends on collections. */
export const formats: Readonly<Record<string, Format>> = {
  ip: { expected: 'an IPv4 or IPv6 address', read: readAddress },
  'ip-or-range': { expected: 'an IPv4 or IPv6 address or range', read: (text) => readAddress(text) ?? readRange(text) },
  'ip-or-address-reference': {
    expected: 'an IP address or the name of one of addresses',
    read: (text) => readAddress(text) ?? (isAddressReference(text) ? text : undefined),
  },
  // Google's servers refuse bits behind the prefix, too.
  cidr: {
    expected: 'a range of addresses with no bits behind its prefix',
    read: (text) => (hasHostBits(text) ? undefined : readRange(text)),
    remedyFor: (text) => (hasHostBits(text) ? `give ${readRange(text)}` : undefined),
  },
  port: { expected: 'a port from 1 to 65535', takesNumbers: true, read: (text) => readPorts(text, 1, 1)?.[0] },
  'one-port-range': {
    expected: 'one port from 1 to 65535',
    takesNumbers: true,
    read: (text) => {
      const [first, last = first] = readPorts(text, 1, 2) ?? []
      return first !== undefined && first === last ? `${first}-${last}` : undefined
    },
  },
  'port-range': {
    expected: 'a port or a range of ports',
    takesNumbers: true,
    read: (text) => readPorts(text, 0, 2)?.join('-'),
  },
  'ip-protocol': {
    expected: `${IP_PROTOCOLS.join(', ')} or a number from 0 to 255`,
    takesNumbers: true,
    read: (text) => (isIpProtocol(text.toLowerCase()) ? text.toLowerCase() : undefined),
  },
  /** JSON of Google's APIs has whole numbers of 64 bits as texts, and clients fail at anything else. */
  int64: {
    expected: 'a whole number that is not negative',
    takesNumbers: true,
    read: (text) => (/^[0-9]{1,15}$/.test(text) ? String(Number(text)) : undefined),
  },
  ascii: { expected: 'a text of ASCII characters', read: (text) => (/^\p{ASCII}*$/u.test(text) ? text : undefined) },
  'certificate-pem': {
    expected: 'a certificate in PEM without a private key',
    isHidden: true,
    read: (text) => (CERTIFICATE.test(text) && !text.includes('PRIVATE KEY') ? text : undefined),
    remedyFor: (text) =>
      CERTIFICATE.test(text) && text.includes('PRIVATE KEY')
        ? 'give the certificates only, and the private key in a file or field of its own'
        : (foreignRemedy(text, 'give the certificate here, and a key only as the private key') ??
          textRemedy(text, 'CERTIFICATE')),
  },
  'private-key-pem': {
    expected: 'a private key in PEM without a passphrase',
    isHidden: true,
    read: (text) => (PRIVATE_KEY.test(text) ? text : undefined),
    remedyFor: (text) =>
      text.includes('ENCRYPTED')
        ? 'decrypt it with "openssl pkey -in KEY -out PLAIN"'
        : (foreignRemedy(text, 'give the private key here, and a certificate only as the certificate') ??
          textRemedy(text, 'PRIVATE KEY')),
  },
}

/** What a text is instead, and what to do about it. */
function foreignRemedy(text: string, otherwise: string): string | undefined {
  const foreign = foreignFormat(text)
  return foreign && `this is ${foreign.what}; ${foreign.remedy ?? otherwise}`
}

/** What to do about a name of a file, or what an example has in place of a text: one line, where PEM has several. */
function textRemedy(text: string, label: string): string | undefined {
  return text.trim().includes('\n')
    ? undefined
    : `give the text of the file, not its name; it begins with "-----BEGIN ${label}-----"`
}

function readAddress(text: string): string | undefined {
  const address = parseIpAddress(text)
  return address === undefined ? undefined : formatIpAddress(address)
}

function readRange(text: string): string | undefined {
  const cidr = parseCidr(text)
  return cidr === undefined ? undefined : formatCidr(cidr)
}

function hasHostBits(text: string): boolean {
  const [address, length] = text.split('/')
  const range = readRange(text)
  return length !== undefined && range !== undefined && range !== readRange(address)?.replace(/[0-9]+$/, length)
}

function isAddressReference(text: string): boolean {
  const reference = parseReference(text)
  return reference !== undefined && (reference.collection ?? 'addresses') === 'addresses'
}

/** The ports of `110` or, where two are allowed, `8000-8999`, in ascending order. */
function readPorts(text: string, minimum: number, countMax: number): readonly string[] | undefined {
  const ports = text.split('-', 3)
  const isSound = ports.every((port) => /^(0|[1-9][0-9]{0,4})$/.test(port) && inRange(Number(port), minimum, PORT_MAX))
  return isSound && ports.length <= countMax && Number(ports[0]) <= Number(ports.at(-1)) ? ports : undefined
}

function isIpProtocol(text: string): boolean {
  return IP_PROTOCOLS.includes(text) || (/^(0|[1-9][0-9]{0,2})$/.test(text) && Number(text) <= 255)
}

function inRange(value: number, minimum: number, maximum: number): boolean {
  return value >= minimum && value <= maximum
}
