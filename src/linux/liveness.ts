/** When the kernel gives up on a peer that no longer answers; 0 leaves the kernel's default. */
export type Liveness = {
  /** Silence before the first keepalive probe, in milliseconds (rounded up to seconds); 0: no keepalive. */
  readonly keepaliveMs: number
  /** TCP_USER_TIMEOUT in milliseconds (tcp(7)); 0: the kernel's retransmission limit. */
  readonly userTimeoutMs: number
}
