import { alpnTlv, authorityTlv } from '../../proxy-protocol/text-tlvs.ts'
import { clientTlsTlv } from '../../proxy-protocol/tls-tlv.ts'
import { type Tlv, TlvType } from '../../proxy-protocol/tlv.ts'
import type { TlsInfo } from '../../tls/session.ts'

/** "Not zero": no certificate of the client's was verified (proxy-protocol.txt §2.2.6). */
const NOT_VERIFIED = 1

const TLS_TYPES: ReadonlySet<number> = new Set([TlvType.alpn, TlvType.authority, TlvType.ssl])

/** TLVs that came with a connection, with what they say of TLS replaced by the session that ends here. */
export function withTlsTlvs(tlvs: readonly Tlv[], info: TlsInfo | undefined): readonly Tlv[] {
  if (info === undefined) return tlvs
  return [...tlvs.filter(({ type }) => !TLS_TYPES.has(type)), ...tlsTlvs(info)]
}

/** What a version 2 header says of the TLS session that ends here: ALPN, AUTHORITY and SSL, as far as they are known. */
export function tlsTlvs(info: TlsInfo): Tlv[] {
  const { version, cipher, commonName, protocol, serverName } = info
  const hasCertificate = commonName !== undefined
  return [
    ...(protocol === '' ? [] : [alpnTlv(protocol)]),
    ...(serverName === '' ? [] : [authorityTlv(serverName)]),
    clientTlsTlv({
      isTls: true,
      hasCertificateInConnection: hasCertificate,
      hasCertificateInSession: hasCertificate,
      verifyResult: hasCertificate ? 0 : NOT_VERIFIED,
      version,
      commonName,
      cipher,
      signatureAlgorithm: undefined,
      keyAlgorithm: undefined,
      group: undefined,
      signatureScheme: undefined,
      clientCertificate: undefined,
    }),
  ]
}
