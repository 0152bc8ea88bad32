// What the reasons in logs and metrics mean, beside those of ends (end-reasons.ts): the source of
// docs/reference/end-reasons.md. Each table has exactly the reasons of its list, or this file does not compile.
import type { MalformedReason } from '../proxy-protocol/proxy-header.ts'
import type { HandshakeFailure } from '../tls/handshake-names.ts'
import type { ReasonText } from './end-reasons.ts'
import type { FALLBACK_CAUSES, PAUSE_REASONS, SourceRefusal } from './metrics.ts'

type ReasonTexts<Reason extends string> = Readonly<Record<Reason, ReasonText>>

/** Why the source of a well-formed header may not be impersonated. */
export const SOURCE_REFUSAL_TEXTS: ReasonTexts<SourceRefusal> = {
  'src-unspecified': {
    meaning: 'The source is in 0.0.0.0/8, or is "::".',
    remedy: 'Correct the sender, which does not know its client.',
  },
  'src-loopback': {
    meaning: 'The source is in 127.0.0.0/8, or is "::1", which the app would take for this host itself.',
    remedy:
      'Find out who sent it; an honest edge has no such clients, unless they connect to it over its own loopback.',
  },
  'src-multicast': {
    meaning: 'The source is in 224.0.0.0/4 or ff00::/8.',
    remedy: 'Find out who sent it: no TCP client has such an address.',
  },
  'src-broadcast': {
    meaning: 'The source is 255.255.255.255.',
    remedy: 'Find out who sent it: no TCP client has such an address.',
  },
  'src-reserved': {
    meaning: 'The source is in 240.0.0.0/4.',
    remedy: 'Find out who sent it: no TCP client has such an address.',
  },
  'src-linklocal': {
    meaning: 'The source is in 169.254.0.0/16 or fe80::/10.',
    remedy: 'Let the client and the edge use routable addresses.',
  },
  'src-private': {
    meaning: 'The source is a private address, and "--deny-private-sources" is given.',
    remedy: 'Leave the flag out if clients come from private networks.',
  },
  'src-own-address': {
    meaning:
      'The source is an address of this host, or one that the kernel treats in the same way (multicast, the broadcast address of a subnet here).',
    remedy: 'Nothing to do, unless a client on this very host uses the edge; let it connect to the app directly.',
  },
  'src-equals-dst': {
    meaning: 'The source is the destination in the same header, or the target, which would connect to itself.',
    remedy: 'Find out who sent it: an honest edge has no such clients.',
  },
  'src-port-zero': {
    meaning: 'The source port is 0, and "--source-port preserve" allows no other port.',
    remedy: 'Use "--source-port preserve-or-ephemeral", or correct the sender.',
  },
  'src-port-in-use': {
    meaning:
      'The source port is taken on this host, or is below 1024 and the agent has no CAP_NET_BIND_SERVICE, and "--source-port preserve" allows no other port.',
    remedy: 'Use "--source-port preserve-or-ephemeral", and bind apps to addresses instead of 0.0.0.0 or "::".',
  },
  'src-not-kept': {
    meaning:
      'The kernel gave the connection another address or port than requested; it was closed before the app could use it.',
    remedy: 'Report it with the kernel version: this is not expected to happen.',
  },
  'transport-mismatch': {
    meaning:
      'The header describes datagrams (UDP), and came over TCP, or describes a connection, and came in a datagram.',
    remedy:
      'Correct the sender. dnsdist does the latter with questions that it was asked over HTTPS: the guide to UDP says what to write.',
  },
  'family-unsupported': {
    meaning: 'The header names UNIX sockets, which have no address that the app could see.',
    remedy: 'Let the sender mark such connections LOCAL.',
  },
}

/** Why bytes are no PROXY protocol header (proxy-protocol.txt §2). */
export const MALFORMED_REASON_TEXTS: ReasonTexts<MalformedReason> = {
  'not-proxy': {
    meaning: 'The first bytes are neither "PROXY " nor the signature of version 2.',
    remedy: 'Switch the PROXY protocol on at the sender; a client that bypasses the edge looks the same.',
  },
  'v1-syntax': {
    meaning: 'A version 1 line has too few or too many fields, or more than one space between them.',
    remedy: 'Correct the sender.',
  },
  'v1-proto': {
    meaning: 'The protocol of a version 1 line is not TCP4, TCP6 or UNKNOWN.',
    remedy: 'Correct the sender.',
  },
  'v1-address': {
    meaning: 'An address in a version 1 line is not of the family that the line names.',
    remedy: 'Correct the sender.',
  },
  'v1-port': {
    meaning: 'A port of a version 1 line is not a plain decimal number from 0 to 65535.',
    remedy: 'Correct the sender.',
  },
  'v1-line-ending': {
    meaning: 'A version 1 line does not end with CR and LF.',
    remedy: 'Correct the sender.',
  },
  'v1-too-long': {
    meaning: 'There is no line end within the 107 bytes of a version 1 line.',
    remedy: 'Correct the sender.',
  },
  'v1-in-datagram': {
    meaning: 'Version 1 is not defined for datagrams; never counted over TCP.',
    remedy: 'Use version 2 for datagrams.',
  },
  'v2-version': {
    meaning: 'The version after the signature is not 2.',
    remedy: 'Correct the sender.',
  },
  'v2-command': {
    meaning: 'The command of a version 2 header is neither LOCAL nor PROXY.',
    remedy: 'Correct the sender.',
  },
  'v2-family': {
    meaning: 'The family or transport of a version 2 header is not defined.',
    remedy: 'Correct the sender.',
  },
  'v2-length': {
    meaning: 'A version 2 header is shorter than the addresses of its family.',
    remedy: 'Correct the sender.',
  },
  'v2-too-long': {
    meaning: 'A version 2 header is longer than "--header-length-max".',
    remedy: 'Raise "--header-length-max" if the sender includes that much on purpose, such as a client certificate.',
  },
  'v2-tlv': {
    meaning: 'The TLVs of a version 2 header do not fill it exactly, or one has a length that its type does not allow.',
    remedy: 'Correct the sender.',
  },
  'v2-crc': {
    meaning: 'The checksum of a version 2 header is wrong, or there are two.',
    remedy:
      'Look for something that changes bytes between sender and agent, or for a sender that computes CRC32C in the wrong byte order.',
  },
  truncated: {
    meaning: 'A datagram ends inside the header; never counted over TCP.',
    remedy: 'Correct the sender.',
  },
}

/** Why the app sees another port than the client's. */
export const FALLBACK_CAUSE_TEXTS: ReasonTexts<(typeof FALLBACK_CAUSES)[number]> = {
  'bind-in-use': {
    meaning: "The client's port is that of a listener on a wildcard address of this host, or another socket holds it.",
    remedy: 'Bind apps and agents to addresses instead of 0.0.0.0 or "::".',
  },
  'connection-in-use': {
    meaning: 'A connection with the same source address and port to the same target is still open or being closed.',
    remedy: 'Nothing to do for a few: clients behind one NAT, or one that uses its port again.',
  },
  'not-permitted': {
    meaning: "The client's port is below 1024, and the agent may not bind such ports.",
    remedy: 'Give the agent CAP_NET_BIND_SERVICE if the app has to see such ports.',
  },
}

/** Why a listener left its queue alone for a while. */
export const PAUSE_REASON_TEXTS: ReasonTexts<(typeof PAUSE_REASONS)[number]> = {
  limit: {
    meaning: '"--max-connections" or "--max-connections-per-worker" was reached; further clients wait in the queue.',
    remedy: 'Raise the limit, or find out why connections do not end.',
  },
  resources: {
    meaning: 'accept4(2) had no descriptor or no memory; the log names the error.',
    remedy: 'Raise the limit of open files ("LimitNOFILE=", "ulimit -n") or lower "--max-connections".',
  },
}

/** Why a TLS handshake failed. */
export const HANDSHAKE_FAILURE_TEXTS: ReasonTexts<HandshakeFailure> = {
  'not-tls': {
    meaning: 'The first bytes are not TLS.',
    remedy: 'Let the client speak TLS from its first byte, without STARTTLS; many are scanners.',
  },
  'http-request': {
    meaning: 'The first bytes are an HTTP request in the clear.',
    remedy: 'Use "https" with this port.',
  },
  'client-hello-malformed': {
    meaning: 'The ClientHello is invalid.',
    remedy: 'Nothing to do for a few: scanners send these.',
  },
  'client-hello-too-large': {
    meaning: 'The ClientHello is larger than 16 KiB.',
    remedy: 'Nothing to do: no ordinary client sends one.',
  },
  'no-shared-version': {
    meaning: 'The two sides have no version of TLS in common.',
    remedy: 'Update the client, or lower `minTlsVersion` of the SSL policy.',
  },
  'no-shared-cipher': {
    meaning: 'The two sides have no cipher suite in common that suits a certificate.',
    remedy: 'For old clients, give an RSA certificate beside one with ECDSA, or use a wider profile in the SSL policy.',
  },
  'no-shared-group': {
    meaning: 'The two sides have no group for the key exchange in common (X25519, P-256, P-384).',
    remedy: 'Update the other side.',
  },
  'no-shared-signature': {
    meaning: 'The other side accepts no signature that the certificate can make.',
    remedy: 'Give an RSA certificate beside one with ECDSA.',
  },
  'certificate-refused': {
    meaning: 'The other side does not accept our certificate.',
    remedy:
      'Look at the chain with "truepeer verify --tls": it may have expired, lack an intermediate, or have another name.',
  },
  alert: {
    meaning: 'The other side gave up for another reason.',
    remedy: 'See the log of the other side.',
  },
  'certificate-invalid': {
    meaning:
      'The certificate of a backend was not signed by one of `certificateAuthorities`, or does not have the name in `sni` or `subjectAltNames`.',
    remedy: 'Correct the certificate of the backend, or these fields.',
  },
  'protocol-error': {
    meaning: 'The other side violated the TLS protocol, or does not speak it.',
    remedy: 'For a backend, check that its port speaks TLS; for a few clients, there is nothing to do.',
  },
  closed: {
    meaning: 'The other side closed in the middle of the handshake.',
    remedy: 'Nothing to do for a few: health checks by connecting, and scanners.',
  },
  reset: {
    meaning: 'The connection broke in the middle of the handshake.',
    remedy: 'Nothing to do for a few.',
  },
  timeout: {
    meaning: 'The handshake was not complete within "--handshake-timeout"; with a backend, within "--connect-timeout".',
    remedy: 'Raise the timeout for clients with slow links; many at once are an attack.',
  },
  'out-of-resources': {
    meaning: 'There was no memory for a session.',
    remedy: 'Give the host more memory, or lower "--max-connections".',
  },
}
