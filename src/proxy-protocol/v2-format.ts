/** The twelve bytes with which a version 2 header begins (proxy-protocol.txt §2.2). */
export const PROXY_V2_SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a] as const

/** The low half of byte 13. */
export const Command = { local: 0, proxy: 1 } as const

/** The high half of byte 14. */
export const Family = { unspec: 0, inet: 1, inet6: 2, unix: 3 } as const

/** The low half of byte 14. */
export const Transport = { unspec: 0, stream: 1, dgram: 2 } as const

/** The length of each of the two paths of a UNIX address block. */
export const UNIX_PATH_LENGTH = 108

/** Returns the length of the address block of a family. */
export function addressBlockLength(family: number): number {
  if (family === Family.inet) return 12
  if (family === Family.inet6) return 36
  return family === Family.unix ? 2 * UNIX_PATH_LENGTH : 0
}
