const DOT = 0x2e
const COLON = 0x3a
const ZERO = 0x30
const COLON_COLON_FFFF = [COLON, COLON, 0x66, 0x66, 0x66, 0x66, COLON]

/** The bytes of the longest text that `writeIpAddressText` writes or `parseIpAddress` reads. */
export const IP_ADDRESS_TEXT_LENGTH_MAX = 45

/**
 * An IPv4 or IPv6 address: 128 bits as four SIGNED 32-bit integers, most significant first.
 *
 * Signed, so that V8 keeps them unboxed. IPv4: the address is in `w3` and `w0`..`w2` are 0. Made only by `ipv4Address`
 * and `ipv6Address`, so that every address has the same hidden class.
 */
export type IpAddress = {
  readonly family: 4 | 6
  readonly w0: number
  readonly w1: number
  readonly w2: number
  readonly w3: number
}

/** Makes an IPv4 address from its 32 bits (signed or unsigned). */
export function ipv4Address(w3: number): IpAddress {
  return { family: 4, w0: 0, w1: 0, w2: 0, w3: w3 | 0 }
}

/** Makes an IPv6 address from its four 32-bit words (signed or unsigned), most significant first. */
export function ipv6Address(w0: number, w1: number, w2: number, w3: number): IpAddress {
  return { family: 6, w0: w0 | 0, w1: w1 | 0, w2: w2 | 0, w3: w3 | 0 }
}

/** Returns one of the four words of an address, 0 to 3, most significant first. */
export function wordAt(address: IpAddress, index: number): number {
  if (index === 0) return address.w0
  if (index === 1) return address.w1
  return index === 2 ? address.w2 : address.w3
}

/**
 * Reads an address in one of the forms of inet_pton(3); undefined for anything else.
 *
 * IPv4 is four decimals without leading zeros. IPv6 may end in a dotted IPv4 address. No zone, brackets, prefix length
 * or surrounding space.
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (text.length > IP_ADDRESS_TEXT_LENGTH_MAX) return undefined
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return undefined
    bytes[i] = code
  }
  const read = text.includes(':') ? readIpv6Text : readIpv4Text
  const address = read(bytes, 0, bytes.length)
  return typeof address === 'object' ? address : undefined
}

/** Writes an address as text: IPv4 dotted, IPv6 as RFC 5952 says, with ::ffff:a.b.c.d for IPv4-mapped addresses. */
export function formatIpAddress(address: IpAddress): string {
  const { family, w3 } = address
  if (family === 4) return `${w3 >>> 24}.${(w3 >>> 16) & 255}.${(w3 >>> 8) & 255}.${w3 & 255}`
  const bytes = new Uint8Array(IP_ADDRESS_TEXT_LENGTH_MAX)
  const length = writeIpAddressText(bytes, 0, address)
  return String.fromCharCode(...bytes.subarray(0, length))
}

/** Says whether two addresses have the same family and the same bits: 10.0.0.1 and ::ffff:10.0.0.1 differ. */
export function isSameAddress(a: IpAddress, b: IpAddress): boolean {
  return a.w3 === b.w3 && a.w2 === b.w2 && a.w1 === b.w1 && a.w0 === b.w0 && a.family === b.family
}

/** Says whether an address stands for all of a host: 0.0.0.0 or [::]. */
export function isWildcardAddress({ w0, w1, w2, w3 }: IpAddress): boolean {
  return w0 === 0 && w1 === 0 && w2 === 0 && w3 === 0
}

/** Says whether an address is an IPv4-mapped IPv6 address, ::ffff:a.b.c.d (RFC 4291 §2.5.5.2). */
export function isMappedAddress(address: IpAddress): boolean {
  return address.family === 6 && address.w2 === 0xffff && address.w1 === 0 && address.w0 === 0
}

/** Turns ::ffff:a.b.c.d into the IPv4 address a.b.c.d; any other address is returned itself. */
export function unmapAddress(address: IpAddress): IpAddress {
  return isMappedAddress(address) ? ipv4Address(address.w3) : address
}

/** Turns the IPv4 address a.b.c.d into ::ffff:a.b.c.d; an IPv6 address is returned itself. */
export function mapAddress(address: IpAddress): IpAddress {
  return address.family === 4 ? ipv6Address(0, 0, 0xffff, address.w3) : address
}

/**
 * What a reader of address text saw: the address; 'partial' where the text is not an address but more bytes could make
 * it one; undefined where no bytes could.
 *
 * So whoever receives text piece by piece can refuse it at the first wrong byte.
 */
export type IpAddressText = IpAddress | 'partial' | undefined

/**
 * Reads bytes[from..to) as a dotted IPv4 address (inet_pton(3): four decimals without leading zeros).
 *
 * Allocates nothing but the address.
 */
export function readIpv4Text(bytes: Uint8Array, from: number, to: number): IpAddressText {
  let word = 0
  let octet = -1
  let dots = 0
  for (let i = from; i < to; i++) {
    const byte = bytes[i]
    if (byte === DOT) {
      if (octet < 0 || dots === 3) return undefined
      word = (word << 8) | octet
      octet = -1
      dots++
      continue
    }
    const digit = byte - ZERO
    if (digit < 0 || digit > 9 || octet === 0) return undefined
    octet = octet < 0 ? digit : octet * 10 + digit
    if (octet > 255) return undefined
  }
  return dots === 3 && octet >= 0 ? ipv4Address((word << 8) | octet) : 'partial'
}

/**
 * Reads bytes[from..to) as an IPv6 address (inet_pton(3), RFC 4291 §2.2).
 *
 * Groups of one to four hexadecimal digits of either case, at most one "::", which stands for at least one group, and
 * optionally a dotted IPv4 address in place of the last two groups. Allocates nothing but the address.
 */
export function readIpv6Text(bytes: Uint8Array, from: number, to: number): IpAddressText {
  // Groups are shifted into w0..w3 from the right; at "::" those before it are set aside in h0..h3.
  let w0 = 0
  let w1 = 0
  let w2 = 0
  let w3 = 0
  let h0 = 0
  let h1 = 0
  let h2 = 0
  let h3 = 0
  let groups = 0
  let groupsBeforeGap = -1
  let i = from
  if (i < to && bytes[i] === COLON) {
    if (i + 1 === to) return 'partial'
    if (bytes[i + 1] !== COLON) return undefined
    groupsBeforeGap = 0
    i += 2
  }
  while (i < to) {
    if (groups === (groupsBeforeGap < 0 ? 8 : 7)) return undefined
    const groupStart = i
    let group = 0
    for (let digit = hexDigit(bytes[i]); digit >= 0; digit = i < to ? hexDigit(bytes[i]) : -1) {
      if (i - groupStart === 4) return undefined
      group = (group << 4) | digit
      i++
    }
    if (i < to && bytes[i] === DOT) {
      if (groupsBeforeGap < 0 ? groups !== 6 : groups > 5) return undefined
      const tail = readIpv4Text(bytes, groupStart, to)
      if (typeof tail !== 'object') return tail
      w0 = w1
      w1 = w2
      w2 = w3
      w3 = tail.w3
      groups += 2
      break
    }
    if (i === groupStart) return undefined
    w0 = (w0 << 16) | (w1 >>> 16)
    w1 = (w1 << 16) | (w2 >>> 16)
    w2 = (w2 << 16) | (w3 >>> 16)
    w3 = (w3 << 16) | group
    groups++
    if (i === to) break
    if (bytes[i++] !== COLON || groups === (groupsBeforeGap < 0 ? 8 : 7)) return undefined
    if (i === to) return 'partial'
    if (bytes[i] !== COLON) continue
    if (groupsBeforeGap >= 0) return undefined
    groupsBeforeGap = groups
    h0 = w0
    h1 = w1
    h2 = w2
    h3 = w3
    w0 = w1 = w2 = w3 = 0
    i++
  }
  if (groupsBeforeGap < 0) return groups === 8 ? ipv6Address(w0, w1, w2, w3) : 'partial'
  for (let shifted = groupsBeforeGap; shifted < 8; shifted++) {
    h0 = (h0 << 16) | (h1 >>> 16)
    h1 = (h1 << 16) | (h2 >>> 16)
    h2 = (h2 << 16) | (h3 >>> 16)
    h3 = h3 << 16
  }
  return ipv6Address(h0 | w0, h1 | w1, h2 | w2, h3 | w3)
}

/**
 * Writes an address as text into `target` from `offset` on, in the form of `formatIpAddress`.
 *
 * Returns the number of bytes written, at most IP_ADDRESS_TEXT_LENGTH_MAX. Allocates nothing.
 */
export function writeIpAddressText(target: Uint8Array, offset: number, address: IpAddress): number {
  if (address.family === 4) return writeIpv4Text(target, offset, address.w3)
  if (isMappedAddress(address)) {
    for (let i = 0; i < COLON_COLON_FFFF.length; i++) target[offset + i] = COLON_COLON_FFFF[i]
    return COLON_COLON_FFFF.length + writeIpv4Text(target, offset + COLON_COLON_FFFF.length, address.w3)
  }
  return writeIpv6Text(target, offset, address)
}

/**
 * Writes a whole number from 0 to 65535 in decimal into `target` from `offset` on; returns the number of bytes written.
 */
export function writeDecimalText(target: Uint8Array, offset: number, value: number): number {
  let length = 1
  for (let bound = 10; value >= bound; bound *= 10) length++
  let rest = value
  for (let i = offset + length - 1; i >= offset; i--) {
    const tenth = (rest / 10) | 0
    target[i] = ZERO + rest - tenth * 10
    rest = tenth
  }
  return length
}

function writeIpv4Text(target: Uint8Array, offset: number, word: number): number {
  let end = offset
  end += writeDecimalText(target, end, word >>> 24)
  for (let shift = 16; shift >= 0; shift -= 8) {
    target[end++] = DOT
    end += writeDecimalText(target, end, (word >>> shift) & 255)
  }
  return end - offset
}

/** RFC 5952 §4: lower case, no leading zeros, "::" for the first of the longest runs of two or more zero groups. */
function writeIpv6Text(target: Uint8Array, offset: number, address: IpAddress): number {
  let gapStart = -1
  let gapLength = 1
  for (let index = 0, runLength = 0; index < 8; index++) {
    runLength = groupAt(address, index) === 0 ? runLength + 1 : 0
    if (runLength > gapLength) {
      gapLength = runLength
      gapStart = index + 1 - runLength
    }
  }
  let end = offset
  for (let index = 0; index < 8; index++) {
    if (index === gapStart) {
      target[end++] = COLON
      target[end++] = COLON
      index += gapLength - 1
      continue
    }
    if (index > 0 && index !== gapStart + gapLength) target[end++] = COLON
    const group = groupAt(address, index)
    let shift = 12
    while (shift > 0 && group >>> shift === 0) shift -= 4
    for (; shift >= 0; shift -= 4) {
      const digit = (group >>> shift) & 15
      target[end++] = digit < 10 ? ZERO + digit : 0x57 + digit
    }
  }
  return end - offset
}

function groupAt(address: IpAddress, index: number): number {
  const word = wordAt(address, index >> 1)
  return (index & 1) === 0 ? word >>> 16 : word & 0xffff
}

function hexDigit(byte: number): number {
  if (byte >= ZERO && byte <= 0x39) return byte - ZERO
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
