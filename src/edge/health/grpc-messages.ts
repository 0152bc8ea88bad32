// The two messages of grpc.health.v1.Health/Check (grpc/health/v1/health.proto) in the encoding of protocol buffers, with
// the five bytes that gRPC puts before each: whether it is compressed, and its length.

/** `ServingStatus` of a HealthCheckResponse. */
export const ServingStatus = { unknown: 0, serving: 1, notServing: 2, serviceUnknown: 3 } as const

const PREFIX_BYTES = 5
const VARINT_BYTES_MAX = 10
/** Tags: the number of the field, and the form of its value in the lower three bits. */
const SERVICE_TAG = (1 << 3) | 2
const STATUS_FIELD = 1
const WireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

/** A HealthCheckRequest that asks for this service; empty: for the server as a whole. */
export function encodeHealthCheckRequest(service: string): Uint8Array {
  const name = Buffer.from(service)
  const message = name.length === 0 ? [] : [SERVICE_TAG, ...varintOf(name.length), ...name]
  const framed = Buffer.alloc(PREFIX_BYTES + message.length)
  framed.writeUInt32BE(message.length, 1)
  framed.set(message, PREFIX_BYTES)
  return framed
}

/**
 * Reads a body that is one HealthCheckResponse; undefined when it is none.
 *
 * Fields that are not known are skipped, of one that comes twice the last counts, and one that is missing is 0, as
 * everywhere in protocol buffers. Pure; never reads past the end.
 */
export function decodeHealthCheckResponse(body: Uint8Array): { readonly status: number } | undefined {
  if (body.length < PREFIX_BYTES || body[0] !== 0) return undefined
  const length = Buffer.from(body.buffer, body.byteOffset, body.length).readUInt32BE(1)
  if (length !== body.length - PREFIX_BYTES) return undefined
  let status: number = ServingStatus.unknown
  for (let at = PREFIX_BYTES; at < body.length; ) {
    const field = readField(body, at)
    if (field === undefined) return undefined
    if (field.number === STATUS_FIELD && field.wireType === WireType.varint) status = field.value
    at = field.end
  }
  return { status }
}

type Field = { readonly number: number; readonly wireType: number; readonly value: number; readonly end: number }

function readField(bytes: Uint8Array, start: number): Field | undefined {
  const tag = readVarint(bytes, start)
  if (tag === undefined || tag.value < 1 << 3) return undefined
  const number = Math.floor(tag.value / 8)
  const wireType = tag.value % 8
  const value =
    wireType === WireType.varint || wireType === WireType.bytes
      ? readVarint(bytes, tag.end)
      : { value: 0, end: tag.end }
  if (value === undefined) return undefined
  const end = endOfField(wireType, value)
  return end === undefined || end > bytes.length ? undefined : { number, wireType, value: value.value, end }
}

/** @param value of a varint: the value itself; of bytes: their length; `end` is behind it */
function endOfField(wireType: number, { value, end }: { value: number; end: number }): number | undefined {
  switch (wireType) {
    case WireType.varint:
      return end
    case WireType.bytes:
      return end + value
    case WireType.fixed64:
      return end + 8
    case WireType.fixed32:
      return end + 4
    default:
      return undefined
  }
}

/** Values above 2^53 lose their lowest bits, which no field here needs. */
function readVarint(bytes: Uint8Array, start: number): { readonly value: number; readonly end: number } | undefined {
  let value = 0
  for (let index = 0; index < VARINT_BYTES_MAX && start + index < bytes.length; index++) {
    const byte = bytes[start + index]
    value += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return { value, end: start + index + 1 }
  }
  return undefined
}

function varintOf(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varintOf(value >>> 7)]
}
