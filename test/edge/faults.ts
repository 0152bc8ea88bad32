import type { Host } from '../../src/lab/host.ts'
import { shell } from '../rig/shell.ts'

const TABLE = 'inet test_faults'
const FIND_NFT = 'PATH=$PATH:/usr/sbin:/sbin'
const SYN = "'tcp flags & (syn | ack) == syn'"

/** From now on nobody answers to connection attempts on this port: each SYN is dropped where it arrives. */
export function dropSyns(host: Host, port: number): Promise<void> {
  return addRule(host, `tcp dport ${port} ${SYN} drop`)
}

/** From now on connection attempts on this port are refused, as where nobody listens; connections go on. */
export function refuseSyns(host: Host, port: number): Promise<void> {
  return addRule(host, `tcp dport ${port} ${SYN} reject with tcp reset`)
}

/** From now on everything that arrives for this port is dropped: the host has vanished, as its peers see it. */
export function dropAll(host: Host, port: number): Promise<void> {
  return addRule(host, `tcp dport ${port} drop`)
}

/** Takes back all of these. */
export async function acceptSyns(host: Host): Promise<void> {
  await shell(host, `${FIND_NFT}; nft delete table ${TABLE}`)
}

async function addRule(host: Host, rule: string): Promise<void> {
  await shell(
    host,
    `${FIND_NFT}; nft add table ${TABLE} && ` +
      `nft 'add chain ${TABLE} in { type filter hook input priority 0; }' && nft add rule ${TABLE} in ${rule}`,
  )
}
