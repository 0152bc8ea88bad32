// Why connections end: one row for each reason, with all that follows from it. What is closed how, counted and recorded
// is read from here while connections end, and so is docs/reference/end-reasons.md.

/** One sentence each: what has happened, and what an operator does about it. */
export type ReasonText = { readonly meaning: string; readonly remedy: string }

/** Which ends have a record of their own in the log, by what the operator asked for with "-v". */
export type EndRecord =
  /** Nobody's failure: only with everything, "-v 2". */
  | 'quiet'
  /** From "-v 1" on. */
  | 'each'
  /** As `each`, and a sample of them below: something is set up wrongly, or down. */
  | 'failure'
  /** Shows a trusted edge set up wrongly, or under attack: a sample is always reported, never more. */
  | 'sample'
  /** Who is not trusted has nothing to say here: a sample from "-v 1" on, below it one record for all; never a line each. */
  | 'sample-on-request'

/** What follows from the reason of an end. */
export type EndReasonRow = ReasonText & {
  /** Whose connections end for it. */
  readonly role: 'edge' | 'agent' | 'both'
  /** Ends in the middle of something: sockets are reset, so that nobody takes it for an orderly end. */
  readonly isCutOff: boolean
  /** Ends before a backend was looked for: no connection of the service, but one that its frontend refused. */
  readonly isRefused: boolean
  readonly record: EndRecord
}

const rows = {
  finished: {
    role: 'both',
    isCutOff: false,
    isRefused: false,
    record: 'quiet',
    meaning: 'Both sides sent everything and closed in order.',
    remedy: 'Nothing to do.',
  },
  'client-reset': {
    role: 'both',
    isCutOff: false,
    isRefused: false,
    record: 'each',
    meaning:
      'The connection from the client (for an agent: from the edge) broke while bytes were relayed; the other side was also reset.',
    remedy:
      'Nothing to do for a few; many at once point to the network, to a time limit of the edge, or to an edge that was restarted.',
  },
  'backend-reset': {
    role: 'both',
    isCutOff: false,
    isRefused: false,
    record: 'each',
    meaning:
      'The connection to the backend or app broke while bytes were relayed; the client got what came before, then a reset.',
    remedy:
      'See the log of the app at that time: it crashed, was restarted, or closed without reading everything. At an edge, at once and without a byte from the backend: its agent refuses this edge; look for "untrusted-peer" in the log of the agent. A sample of those is always in the log.',
  },
  'client-truncated': {
    role: 'edge',
    isCutOff: false,
    isRefused: false,
    record: 'quiet',
    meaning:
      'Both sides closed, but the client without the TLS message that says so (close_notify), so its last bytes may be missing. The backend got what came before, then a FIN.',
    remedy:
      'Nothing to do for clients that close like this when they have what they want; otherwise, something between client and edge cuts connections.',
  },
  'backend-truncated': {
    role: 'edge',
    isCutOff: false,
    isRefused: false,
    record: 'quiet',
    meaning:
      'Both sides closed, but the backend without the TLS message that says so (close_notify), so its last bytes may be missing. The client got what came before, then a FIN, without close_notify where it speaks TLS.',
    remedy: 'Have the app close its TLS sessions before their sockets.',
  },
  'client-left': {
    role: 'both',
    isCutOff: false,
    isRefused: false,
    record: 'each',
    meaning: 'The client reset its connection before the backend or app was connected.',
    remedy: 'Nothing to do for a few; many mean that the backend or app accepts too slowly.',
  },
  'idle-timeout': {
    role: 'both',
    isCutOff: false,
    isRefused: false,
    record: 'each',
    meaning:
      'No byte was transferred in either direction for "--idle-timeout". Both sides were closed in order, or reset if bytes were undelivered because one of them did not read.',
    remedy: 'Raise "--idle-timeout" if the protocol is silent for longer; 0 switches it off.',
  },
  'half-closed-timeout': {
    role: 'both',
    isCutOff: false,
    isRefused: false,
    record: 'each',
    meaning:
      'One side had sent its FIN, and no byte was transferred for "--half-closed-timeout". Both sides were closed in order, or reset if bytes were undelivered.',
    remedy: 'Look for an app that does not close when its client has closed, or raise "--half-closed-timeout".',
  },
  'untrusted-peer': {
    role: 'both',
    isCutOff: true,
    isRefused: true,
    record: 'sample-on-request',
    meaning:
      'The peer is not in the list of trusted edges (at an agent) or of load balancers (at an edge with "--accept-proxy"); its connection was reset before a byte was read.',
    remedy:
      'If it is an edge or a load balancer of yours, add its subnet to the list (and send an agent SIGHUP); otherwise, close the port to it with a firewall.',
  },
  'client-limit': {
    role: 'edge',
    isCutOff: true,
    isRefused: true,
    record: 'sample',
    meaning:
      'The client had as many connections as "--max-connections-per-client" allows: without it, an eighth of the places that were free. The connection was reset.',
    remedy:
      'Where many clients share the address (a NAT, a load balancer that sends no header), name it with "--unlimited-clients", or raise "--max-connections"; otherwise nothing: the others are being served.',
  },
  'handshake-failed': {
    role: 'edge',
    isCutOff: false,
    isRefused: true,
    record: 'each',
    meaning: 'The TLS handshake failed; "refusal" in the record says why.',
    remedy: 'See the reason in the record, and the SSL policy of the frontend.',
  },
  'header-timeout': {
    role: 'both',
    isCutOff: true,
    isRefused: true,
    record: 'sample',
    meaning: 'The PROXY protocol header was not complete within "--header-timeout" of accept; the peer was reset.',
    remedy:
      'Configure the peer in the record to send the header at once. Most often it is not set up to send one and waits for the app to speak first.',
  },
  'header-missing': {
    role: 'both',
    isCutOff: false,
    isRefused: true,
    record: 'quiet',
    meaning: 'The peer closed without sending a byte, as a health check by connecting does.',
    remedy: 'Nothing to do.',
  },
  'header-truncated': {
    role: 'both',
    isCutOff: true,
    isRefused: true,
    record: 'sample',
    meaning: 'The peer closed or broke in the middle of the PROXY protocol header.',
    remedy:
      'Look at the peer in the record: it may be a sender that was stopped, a port scanner, or behind something that limits bytes.',
  },
  'header-malformed': {
    role: 'both',
    isCutOff: true,
    isRefused: true,
    record: 'sample',
    meaning: 'The peer sent an invalid PROXY protocol header; it was reset, and "refusal" in the record says why.',
    remedy: 'See the reasons for malformed headers below.',
  },
  'source-refused': {
    role: 'both',
    isCutOff: true,
    isRefused: true,
    record: 'sample',
    meaning:
      'The header is well-formed, but its source may not be impersonated; the peer was reset, and "refusal" in the record says why.',
    remedy: 'See the reasons for refused sources below.',
  },
  'local-probe': {
    role: 'agent',
    isCutOff: false,
    isRefused: false,
    record: 'quiet',
    meaning: 'With "--local check": a connection without a client came while the app listens, and was closed in order.',
    remedy: 'Nothing to do.',
  },
  answered: {
    role: 'agent',
    isCutOff: false,
    isRefused: false,
    record: 'quiet',
    meaning: 'An edge asked for the load of this host, and got the answer or left before it.',
    remedy: 'Nothing to do.',
  },
  'app-down': {
    role: 'agent',
    isCutOff: true,
    isRefused: false,
    record: 'failure',
    meaning:
      'With "--local check": a connection without a client came while nothing listens on the target, and was reset.',
    remedy: 'Start the app, or correct the target with "-4" or "-6".',
  },
  'connect-timeout': {
    role: 'both',
    isCutOff: true,
    isRefused: false,
    record: 'failure',
    meaning: 'The backend or app did not answer within "--connect-timeout"; the client was reset.',
    remedy:
      'At an agent, check the routing of the answers of the app first ("truepeer doctor agent"), then whether the app is hung with a full queue; at an edge, the network and firewall towards the backend.',
  },
  'connect-failed': {
    role: 'both',
    isCutOff: true,
    isRefused: false,
    record: 'failure',
    meaning: 'No attempt to reach the backend or app succeeded, and no further one was allowed; the client was reset.',
    remedy:
      'Start the app, or correct the target. If the app listens, check for a disabled address family and for a limit of open files. At an agent, "refusal" is "rejected-by-firewall" when the app listens and a firewall of this host refused the client\'s address for it, and "no-app-for-family" when the target for it is "none", or the app listens for the other address family only: let it listen for both, or name its address with "-4" or "-6". At an edge, "refusal" is "no-source-port" when no address had a port left: give more with "--source-ranges".',
  },
  'backend-handshake-failed': {
    role: 'edge',
    isCutOff: true,
    isRefused: false,
    record: 'failure',
    meaning: 'The backend accepted, but the TLS handshake with it failed; "refusal" in the record says why.',
    remedy: 'Let the app speak TLS on that port, with a certificate that the configured roots and name accept.',
  },
  'no-backend': {
    role: 'edge',
    isCutOff: true,
    isRefused: false,
    record: 'failure',
    meaning: 'No backend can be chosen; the client was reset.',
    remedy:
      'Ask "truepeer status --why ADDRESS" of the edge, which says why none can be chosen; the log has "backend health".',
  },
  'service-full': {
    role: 'edge',
    isCutOff: true,
    isRefused: true,
    record: 'failure',
    meaning:
      'The backend service has as many connections as `circuitBreakers.maxConnections` allows, or as many as are the part of this edge; the client was reset.',
    remedy: 'Raise `circuitBreakers.maxConnections` if the backends can bear more.',
  },
  'out-of-resources': {
    role: 'both',
    isCutOff: true,
    isRefused: false,
    record: 'failure',
    meaning:
      'The kernel could not watch a socket of the connection (epoll_ctl(2): memory or fs.epoll.max_user_watches).',
    remedy: 'Raise "sysctl fs.epoll.max_user_watches", give the host more memory, or lower "--max-connections".',
  },
  drained: {
    role: 'edge',
    isCutOff: true,
    isRefused: false,
    record: 'each',
    meaning:
      'Its backend had left the configuration, and "drainingTimeoutSec" of the backend service was over; both sides were reset.',
    remedy: 'Raise "connectionDraining.drainingTimeoutSec" if connections last longer.',
  },
  'backend-unhealthy': {
    role: 'edge',
    isCutOff: true,
    isRefused: false,
    record: 'each',
    meaning:
      'The health check of its backend had failed for as long as the backend service allows before connections are ended; both sides were reset.',
    remedy: 'Look for "backend health" in the log, and at the backend.',
  },
  shutdown: {
    role: 'both',
    isCutOff: true,
    isRefused: false,
    record: 'quiet',
    meaning: 'The process ended before the connection did: "--drain-timeout" was over, or a second signal came.',
    remedy: 'Raise "--drain-timeout" if connections last longer; 0 waits until they end.',
  },
} satisfies Record<string, EndReasonRow>

/** Why a connection ended; the `reason` of `truepeer_connections_ended_total`. */
export type EndReason = keyof typeof rows

/** Every reason and what follows from it. A row is found without allocating anything. */
export const END_REASONS: Readonly<Record<EndReason, EndReasonRow>> = rows

/** The reasons in the order in which they are listed and counted. */
export const END_REASON_NAMES = Object.keys(rows) as EndReason[]
