import { firstTlvValue, type Tlv, TlvType } from './tlv.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()
const BACKSLASH = 0x5c

/**
 * Reads a TLV value as text; undefined if it is not valid UTF-8 or holds control characters or line separators.
 *
 * So no text of this folder can break a log line or a terminal. What is refused here can be shown by `escapeTlvValue`.
 */
export function readTlvText(value: Uint8Array): string | undefined {
  let text: string
  try {
    text = decoder.decode(value)
  } catch {
    return undefined
  }
  return /[\p{Cc}\p{Zl}\p{Zp}]/u.test(text) ? undefined : text
}

/** Writes any TLV value in printable ASCII: a backslash and all other bytes become \xNN. */
export function escapeTlvValue(value: Uint8Array): string {
  let escaped = ''
  for (const byte of value) {
    const isPlain = byte >= 0x20 && byte < 0x7f && byte !== BACKSLASH
    escaped += isPlain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return escaped
}

/** Makes a TLV of any type whose value is text in UTF-8. */
export function textTlv(type: number, text: string): Tlv {
  return { type, value: encoder.encode(text) }
}

/** Returns the application protocol, as in the ALPN extension of TLS, if it is text (proxy-protocol.txt §2.2.1). */
export function readAlpn(tlvs: readonly Tlv[]): string | undefined {
  return readFirstText(tlvs, TlvType.alpn)
}

/** Makes an ALPN TLV, of "h2" for example. */
export function alpnTlv(protocol: string): Tlv {
  return textTlv(TlvType.alpn, protocol)
}

/** Returns the host name that the client asked for, SNI in the case of TLS, if it is text (§2.2.2). */
export function readAuthority(tlvs: readonly Tlv[]): string | undefined {
  return readFirstText(tlvs, TlvType.authority)
}

/** Makes an AUTHORITY TLV. */
export function authorityTlv(hostName: string): Tlv {
  return textTlv(TlvType.authority, hostName)
}

/** Returns the name of the sender's network namespace, if it is text (§2.2.7). */
export function readNetworkNamespace(tlvs: readonly Tlv[]): string | undefined {
  return readFirstText(tlvs, TlvType.networkNamespace)
}

/** Makes a NETNS TLV. */
export function networkNamespaceTlv(name: string): Tlv {
  return textTlv(TlvType.networkNamespace, name)
}

function readFirstText(tlvs: readonly Tlv[], type: number): string | undefined {
  const value = firstTlvValue(tlvs, type)
  return value === undefined ? undefined : readTlvText(value)
}
