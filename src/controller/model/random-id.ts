/** A uint64 that is not 0, as a decimal text. */
export function randomId(random: (count: number) => Uint8Array): string {
  return BigInt(`0x${hex(random(8))}`)
    .toString()
    .replace(/^0$/, '1')
}

/** Bytes as lower-case hexadecimal digits. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
