import { readTlvText, textTlv } from './text-tlvs.ts'
import { firstTlvValue, readTlvs, SSL_START_LENGTH, type Tlv, TlvType } from './tlv.ts'
import { concatTlvs } from './write-tlvs.ts'

/** The bits of the first byte of an SSL value (proxy-protocol.txt §2.2.6). */
const ClientBit = { tls: 1, certificateInConnection: 2, certificateInSession: 4 } as const

/** The types of the TLVs inside an SSL value. */
const TlsTlvType = {
  version: 0x21,
  commonName: 0x22,
  cipher: 0x23,
  signatureAlgorithm: 0x24,
  keyAlgorithm: 0x25,
  group: 0x26,
  signatureScheme: 0x27,
  clientCertificate: 0x28,
} as const

/** What the sender says of the client's TLS session; a text that is missing or no text is undefined. */
export type ClientTls = {
  /** The client connected over TLS. */
  readonly isTls: boolean
  /** The client presented a certificate on this connection. */
  readonly hasCertificateInConnection: boolean
  /** The client presented a certificate on some connection of this TLS session. */
  readonly hasCertificateInSession: boolean
  /** 0 if a certificate was presented and verified, the sender's error number otherwise; unsigned 32 bits. */
  readonly verifyResult: number
  /** "TLSv1.3" */
  readonly version: string | undefined
  /** The common name of the client's certificate. */
  readonly commonName: string | undefined
  /** "TLS_AES_256_GCM_SHA384" */
  readonly cipher: string | undefined
  /** The algorithm with which the sender's certificate is signed: "RSA-SHA256" */
  readonly signatureAlgorithm: string | undefined
  /** The key of the sender's certificate: "RSA2048" */
  readonly keyAlgorithm: string | undefined
  /** The group of the key exchange: "secp256r1" */
  readonly group: string | undefined
  /** The signature scheme of the handshake: "rsa_pss_rsae_sha256" */
  readonly signatureScheme: string | undefined
  /** The client's certificate in DER. */
  readonly clientCertificate: Uint8Array | undefined
}

/** Returns what the first SSL TLV says; undefined if there is none or it is too short. */
export function readClientTls(tlvs: readonly Tlv[]): ClientTls | undefined {
  const value = firstTlvValue(tlvs, TlvType.ssl)
  if (value === undefined || value.length < SSL_START_LENGTH) return undefined
  const client = value[0]
  const inner = readTlvs(value, SSL_START_LENGTH, value.length)
  const readText = (type: number): string | undefined => {
    const text = firstTlvValue(inner, type)
    return text === undefined ? undefined : readTlvText(text)
  }
  return {
    isTls: (client & ClientBit.tls) !== 0,
    hasCertificateInConnection: (client & ClientBit.certificateInConnection) !== 0,
    hasCertificateInSession: (client & ClientBit.certificateInSession) !== 0,
    verifyResult: ((value[1] << 24) | (value[2] << 16) | (value[3] << 8) | value[4]) >>> 0,
    version: readText(TlsTlvType.version),
    commonName: readText(TlsTlvType.commonName),
    cipher: readText(TlsTlvType.cipher),
    signatureAlgorithm: readText(TlsTlvType.signatureAlgorithm),
    keyAlgorithm: readText(TlsTlvType.keyAlgorithm),
    group: readText(TlsTlvType.group),
    signatureScheme: readText(TlsTlvType.signatureScheme),
    clientCertificate: firstTlvValue(inner, TlsTlvType.clientCertificate),
  }
}

/** Makes an SSL TLV, with the TLVs inside it in the order of their types. */
export function clientTlsTlv(client: ClientTls): Tlv {
  const bits =
    (client.isTls ? ClientBit.tls : 0) |
    (client.hasCertificateInConnection ? ClientBit.certificateInConnection : 0) |
    (client.hasCertificateInSession ? ClientBit.certificateInSession : 0)
  const verify = client.verifyResult
  const texts: [number, string | undefined][] = [
    [TlsTlvType.version, client.version],
    [TlsTlvType.commonName, client.commonName],
    [TlsTlvType.cipher, client.cipher],
    [TlsTlvType.signatureAlgorithm, client.signatureAlgorithm],
    [TlsTlvType.keyAlgorithm, client.keyAlgorithm],
    [TlsTlvType.group, client.group],
    [TlsTlvType.signatureScheme, client.signatureScheme],
  ]
  const inner = texts.flatMap(([type, text]) => (text === undefined ? [] : [textTlv(type, text)]))
  if (client.clientCertificate !== undefined) {
    inner.push({ type: TlsTlvType.clientCertificate, value: client.clientCertificate })
  }
  const start = Uint8Array.of(bits, verify >>> 24, verify >>> 16, verify >>> 8, verify)
  return { type: TlvType.ssl, value: concatTlvs(start, inner) }
}
