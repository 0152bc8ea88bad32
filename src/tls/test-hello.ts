// For tests: ClientHello messages, made field by field, and records around them.

/** What a test's ClientHello has; what is left out is not in it. */
export type HelloFields = {
  readonly legacyVersion?: number
  readonly cipherSuites?: readonly number[]
  readonly serverName?: string
  readonly protocols?: readonly string[]
  readonly versions?: readonly number[]
  readonly groups?: readonly number[]
  readonly signatureSchemes?: readonly number[]
  readonly hasEarlyData?: boolean
  /** Types and bodies, behind those above. */
  readonly more?: readonly (readonly [number, readonly number[]])[]
}

function u16(value: number): number[] {
  return [value >> 8, value & 0xff]
}

/** `body` behind its length, as TLS writes lists of variable length. */
export function sized(lengthBytes: 1 | 2 | 3, body: readonly number[]): number[] {
  const { length } = body
  const prefix = [length >> 16, (length >> 8) & 0xff, length & 0xff]
  return [...prefix.slice(3 - lengthBytes), ...body]
}

function codes(text: string): number[] {
  return [...Buffer.from(text, 'latin1')]
}

/** The handshake message, without records. */
export function helloMessage(fields: HelloFields): Uint8Array {
  const extensions: (readonly [number, readonly number[]])[] = []
  const { serverName, protocols, versions, groups, signatureSchemes } = fields
  if (serverName !== undefined) extensions.push([0, sized(2, [0, ...sized(2, codes(serverName))])])
  if (groups !== undefined) extensions.push([10, sized(2, groups.flatMap(u16))])
  if (signatureSchemes !== undefined) extensions.push([13, sized(2, signatureSchemes.flatMap(u16))])
  if (protocols !== undefined)
    extensions.push([
      16,
      sized(
        2,
        protocols.flatMap((name) => sized(1, codes(name))),
      ),
    ])
  if (versions !== undefined) extensions.push([43, sized(1, versions.flatMap(u16))])
  if (fields.hasEarlyData === true) extensions.push([42, []])
  extensions.push(...(fields.more ?? []))
  const body = [
    ...u16(fields.legacyVersion ?? 0x0303),
    ...new Array<number>(32).fill(7),
    ...sized(1, []),
    ...sized(2, (fields.cipherSuites ?? [0x1301]).flatMap(u16)),
    ...sized(1, [0]),
    ...(extensions.length === 0
      ? []
      : sized(
          2,
          extensions.flatMap(([type, content]) => [...u16(type), ...sized(2, content)]),
        )),
  ]
  return Uint8Array.from([1, ...sized(3, body)])
}

/** The message in records of at most `recordBytes`. */
export function inRecords(message: Uint8Array, recordBytes = 16_384): Uint8Array {
  const bytes: number[] = []
  for (let at = 0; at < message.length; at += recordBytes) {
    bytes.push(22, 3, 1, ...sized(2, [...message.subarray(at, at + recordBytes)]))
  }
  return Uint8Array.from(bytes)
}
