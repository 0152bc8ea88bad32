import { readTlvText } from './text-tlvs.ts'
import { firstTlvValue, type Tlv, TlvType } from './tlv.ts'

/** The first byte of an AWS or Azure value says what the rest is; both know this kind alone. */
const AWS_VPC_ENDPOINT_ID = 0x01
const AZURE_LINK_ID = 0x01

/** Returns the id of the AWS VPC endpoint the client came through, "vpce-…" (type 0xEA, subtype 1), if it is text. */
export function readAwsVpcEndpointId(tlvs: readonly Tlv[]): string | undefined {
  const value = firstOfSubtype(tlvs, TlvType.aws, AWS_VPC_ENDPOINT_ID)
  return value === undefined ? undefined : readTlvText(value.subarray(1))
}

/** Makes the TLV in which an AWS load balancer names the VPC endpoint. */
export function awsVpcEndpointIdTlv(id: string): Tlv {
  return { type: TlvType.aws, value: Uint8Array.of(AWS_VPC_ENDPOINT_ID, ...new TextEncoder().encode(id)) }
}

/** Returns the Azure Private Link id (type 0xEE, subtype 1): unsigned 32 bits, little-endian on the wire. */
export function readAzureLinkId(tlvs: readonly Tlv[]): number | undefined {
  const value = firstOfSubtype(tlvs, TlvType.azure, AZURE_LINK_ID)
  if (value?.length !== 5) return undefined
  return (value[1] | (value[2] << 8) | (value[3] << 16) | (value[4] << 24)) >>> 0
}

/** Makes the TLV in which Azure Private Link names the link. */
export function azureLinkIdTlv(id: number): Tlv {
  return { type: TlvType.azure, value: Uint8Array.of(AZURE_LINK_ID, id, id >>> 8, id >>> 16, id >>> 24) }
}

/** Returns the Google Cloud Private Service Connect connection id (type 0xE0): unsigned 64 bits, big-endian. */
export function readGcpPscConnectionId(tlvs: readonly Tlv[]): bigint | undefined {
  const value = firstTlvValue(tlvs, TlvType.gcp)
  if (value?.length !== 8) return undefined
  return value.reduce((id, byte) => (id << 8n) | BigInt(byte), 0n)
}

/** Makes the TLV in which Google Cloud names the Private Service Connect connection. */
export function gcpPscConnectionIdTlv(id: bigint): Tlv {
  const value = new Uint8Array(8)
  new DataView(value.buffer).setBigUint64(0, id)
  return { type: TlvType.gcp, value }
}

function firstOfSubtype(tlvs: readonly Tlv[], type: number, subtype: number): Uint8Array | undefined {
  return tlvs.find((tlv) => tlv.type === type && tlv.value[0] === subtype)?.value
}
