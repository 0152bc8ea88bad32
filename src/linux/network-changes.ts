import { AF_NETLINK, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW } from './constants.ts'
import { checked, ENOBUFS } from './errno.ts'
import { native } from './native.ts'
import { IS_LITTLE_ENDIAN, NETLINK_ROUTE } from './netlink.ts'

// netlink(7), linux/rtnetlink.h, linux/netfilter/nfnetlink.h
const NETLINK_NETFILTER = 12
const RTNLGRP_IPV4_RULE = 8
const RTNLGRP_IPV6_RULE = 19
const NFNLGRP_NFTABLES = 7

/** sizeof(struct sockaddr_nl) */
const SOCKADDR_NL_BYTES = 12
const MESSAGE_BYTES = 8 * 1024

/** What the kernel tells of: rules of policy routing (ip-rule(8)), or the firewall (nft(8); needs CAP_NET_ADMIN). */
export type NetworkPart = 'rules' | 'firewall'

const SOURCES: Readonly<Record<NetworkPart, { readonly protocol: number; readonly groups: readonly number[] }>> = {
  rules: { protocol: NETLINK_ROUTE, groups: [RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE] },
  firewall: { protocol: NETLINK_NETFILTER, groups: [NFNLGRP_NFTABLES] },
}

/** Hears from the kernel that a part of the network of this host was changed, by whomever. */
export class NetworkChanges {
  readonly #fd: number
  readonly #message = new Uint8Array(MESSAGE_BYTES)

  /** @throws SystemCallError when the kernel does not tell */
  constructor(part: NetworkPart) {
    const { protocol, groups } = SOURCES[part]
    this.#fd = checked('socket(AF_NETLINK)', native.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol))
    const address = new DataView(new ArrayBuffer(SOCKADDR_NL_BYTES))
    address.setUint16(0, AF_NETLINK, IS_LITTLE_ENDIAN)
    address.setUint32(
      8,
      groups.reduce((mask, group) => mask | (1 << (group - 1)), 0),
      IS_LITTLE_ENDIAN,
    )
    const result = native.bind(this.#fd, new Uint8Array(address.buffer), 0, SOCKADDR_NL_BYTES)
    if (result < 0) this.close()
    checked('bind(AF_NETLINK)', result)
  }

  /** Reports whether anything was changed since the last call, or since the beginning. Does not wait. */
  take(): boolean {
    let hasChanged = false
    for (;;) {
      const received = native.recv(this.#fd, this.#message, 0, MESSAGE_BYTES, MSG_DONTWAIT)
      // ENOBUFS: there were more changes than the kernel keeps for us.
      if (received < 0 && received !== ENOBUFS) return hasChanged
      hasChanged = true
    }
  }

  close(): void {
    native.close(this.#fd)
  }
}
