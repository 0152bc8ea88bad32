import type { Frontend } from './snapshot.ts'

/** What makes the socket of a frontend: no two of a snapshot have the same, and the rule may be renamed. */
export function socketOf({ protocol, address, port }: Pick<Frontend, 'protocol' | 'address' | 'port'>): string {
  return protocol === 'TCP' ? `${address} ${port}` : `${address} ${port}/udp`
}
