// Why flows of datagrams end, and why datagrams are dropped: one row for each reason. docs/reference/end-reasons.md is
// made of them.

import type { ReasonText } from './end-reasons.ts'

const endRows = {
  idle: {
    meaning: 'No datagram passed in either direction for the idle time. UDP has no other end.',
    remedy: 'Nothing to do. If the protocol is silent for longer, raise the idle time.',
  },
  evicted: {
    meaning:
      'There was no place for a newer flow: of those that held most places, this one had been silent the longest.',
    remedy:
      'If the flows were real, raise the limit of flows and the limit of open files (LimitNOFILE=, ulimit -n). Flows whose client has sent again after an answer are the last to go, so a flood of invented addresses ends others of its kind.',
  },
  'client-limit': {
    meaning:
      'Its client had as many flows as it may have, and opened another: of those on this worker whose client had not sent again after an answer, this one had been silent the longest.',
    remedy:
      'If it is a resolver, a proxy or a NAT, name it with "--unlimited-clients", or raise the limit of flows. Otherwise, it opens so many, or somebody sends in its name.',
  },
  replaced: {
    meaning: 'The same peer socket named another client.',
    remedy: 'Nothing to do.',
  },
  drained: {
    meaning:
      'Its backend had left the configuration and the draining timeout was over, or its socket could not be kept while the process drained.',
    remedy: 'Raise "connectionDraining.drainingTimeoutSec" if flows last longer.',
  },
  'backend-unhealthy': {
    meaning: 'Its backend failed its health check, and the service does not keep flows on such a backend.',
    remedy: 'Look for "backend health" in the log, and at the backend.',
  },
  'out-of-resources': {
    meaning: 'The kernel could not watch its socket (epoll_ctl(2): memory or fs.epoll.max_user_watches).',
    remedy: 'Raise "sysctl fs.epoll.max_user_watches", or give the host more memory.',
  },
  shutdown: {
    meaning: 'The process ended before the flow did.',
    remedy: 'Raise "--drain-timeout" if flows last longer.',
  },
} satisfies Record<string, ReasonText>

const dropRows = {
  'untrusted-peer': {
    meaning: 'The peer is not in the list of trusted edges or load balancers.',
    remedy: 'If it is one of yours, add its subnet to the list; otherwise, close the port to it with a firewall.',
  },
  'header-missing': {
    meaning: 'It does not begin with the PROXY protocol header that it should have.',
    remedy: 'Have the sender write a header of version 2 in the way that "--udp-header" says.',
  },
  'header-malformed': {
    meaning: 'Its PROXY protocol header is not valid, or its header is of version 1, which UDP does not have.',
    remedy: 'See the reasons for malformed headers.',
  },
  'header-changed': {
    meaning:
      'With "--udp-header first" or "alone": the socket of the edge has sent another header than before. It serves another client now, or its client has forged one; nothing more is taken of it until it has been silent for "--close-after".',
    remedy: 'Have the edge use a new socket for each client, or write a header in front of every datagram.',
  },
  truncated: {
    meaning: 'It was larger than a datagram can be, so that a part of it is missing.',
    remedy: 'Look at what sends it.',
  },
  'source-refused': {
    meaning: 'Its header is well-formed, but names a source that may not be impersonated.',
    remedy: 'See the reasons for refused sources.',
  },
  'local-probe': {
    meaning: 'With "--local check": it has no client, so it is not passed on.',
    remedy: 'Nothing to do.',
  },
  'not-a-client': {
    meaning:
      'Its sender has the address and port of a UDP frontend or of a backend of this configuration, or port 0, or an address that nobody has: unspecified, multicast or broadcast. An answer would go to an edge or an agent.',
    remedy:
      'Somebody invents senders: have the network drop what comes from outside with an address of its own (BCP 38). A backend that is a client, too, has to send from another port than that at which it is one.',
  },
  'client-limit': {
    meaning:
      'The client had as many flows as it may have, and none on this worker that makes place: it had sent again after an answer in all of them.',
    remedy: 'See the end reason "client-limit".',
  },
  'flow-limit': {
    meaning: 'There was no place or no descriptor for another flow, and none that could make place for it.',
    remedy: 'Raise the limit of flows and the limit of open files (LimitNOFILE=, ulimit -n).',
  },
  'no-backend': {
    meaning: 'No backend can be chosen.',
    remedy: 'Ask "truepeer status --why ADDRESS" of the edge, which says why none can be chosen.',
  },
  'service-full': {
    meaning: 'The backend service has as many flows and connections as it may have.',
    remedy: 'Raise `circuitBreakers.maxConnections` if the backends can bear more.',
  },
  'connect-failed': {
    meaning: 'No socket to the backend or app could be made.',
    remedy: 'See the log: it names the error, such as an address family that is disabled.',
  },
  unreachable: {
    meaning: 'The backend or app, or the way to it, answered with an ICMP error, as it does when nothing listens.',
    remedy: 'Start the app, or correct the target. The next datagram is tried again.',
  },
  'too-large': {
    meaning: 'With the header in front of it, or on its way, it is larger than a datagram can be.',
    remedy: 'Have the application send smaller datagrams.',
  },
  'send-queue-full': {
    meaning: 'The kernel had no room to send it.',
    remedy: 'Raise "sysctl net.core.wmem_default" or the speed of the network.',
  },
  'receive-queue-full': {
    meaning: 'It came while the queue of the socket was full, and the kernel has dropped it.',
    remedy:
      'Raise "sysctl net.core.rmem_max" (for answers of the app, net.core.rmem_default), or give the process more workers.',
  },
} satisfies Record<string, ReasonText>

/** Why a flow ended; the `reason` of `truepeer_flows_ended_total`. */
export type FlowEndReason = keyof typeof endRows
/** Why a datagram was dropped; the `reason` of `truepeer_datagrams_dropped_total`. */
export type DropReason = keyof typeof dropRows

export const FLOW_END_REASONS: Readonly<Record<FlowEndReason, ReasonText>> = endRows
export const FLOW_END_REASON_NAMES = Object.keys(endRows) as FlowEndReason[]
export const DROP_REASONS: Readonly<Record<DropReason, ReasonText>> = dropRows
export const DROP_REASON_NAMES = Object.keys(dropRows) as DropReason[]
