import { type AddressClass, classifyAddress } from '../address/address-class.ts'
import { type Endpoint, isSameEndpoint } from '../address/endpoint.ts'
import { isSameAddress, unmapAddress } from '../address/ip-address.ts'
import type { LocalHeader, ProxiedHeader, UnixHeader } from '../proxy-protocol/proxy-header.ts'
import type { SourceRefusal } from '../telemetry/metrics.ts'

/** Whom the app is to see, or why the header's source is refused. */
export type SourceDecision =
  /** The header's source. */
  | { readonly kind: 'client'; readonly source: Endpoint }
  /** Whoever connected to the agent: the header speaks of no other client. */
  | { readonly kind: 'peer' }
  | { readonly kind: 'refused'; readonly reason: SourceRefusal }

/** What is looked at of a header. */
export type SourceHeader =
  | Pick<ProxiedHeader, 'kind' | 'transport' | 'source' | 'destination'>
  | Pick<UnixHeader, 'kind'>
  | Pick<LocalHeader, 'kind'>

/** What the operator chose. */
export type SourcePolicy = {
  /** How the header has come: one that speaks of the other is refused. */
  readonly transport: 'stream' | 'dgram'
  /** Private addresses (RFC 1918, RFC 4193, RFC 6598) are refused too. */
  readonly denyPrivate: boolean
  /** A client whose port is 0 or taken is refused instead of being given another port. */
  readonly keepPort: boolean
}

const REFUSED_CLASSES: ReadonlyMap<AddressClass, SourceRefusal> = new Map([
  ['unspecified', 'src-unspecified'],
  ['loopback', 'src-loopback'],
  ['multicast', 'src-multicast'],
  ['broadcast', 'src-broadcast'],
  ['reserved', 'src-reserved'],
  ['link-local', 'src-linklocal'],
])

/**
 * Decides whether an agent may impersonate the source of a header that `peer` sent (docs/threat-model.md).
 *
 * Addresses of this host are not known here; `connectFrom` asks the kernel. A header whose source is the peer itself,
 * address and port (HAProxy's health check in version 1), means what LOCAL means. One with another port of the peer's
 * address is that of a client on the peer's host; where nobody may be impersonated with such an address, it is the peer's.
 */
export function decideSource(header: SourceHeader, peer: Endpoint, policy: SourcePolicy): SourceDecision {
  if (header.kind === 'local') return { kind: 'peer' }
  if (header.kind === 'unix') return refused('family-unsupported')
  if (header.transport !== policy.transport) return refused('transport-mismatch')
  const source = unmapEndpoint(header.source)
  const isPeersAddress = isSameAddress(source.address, peer.address)
  if (isPeersAddress && source.port === peer.port) return { kind: 'peer' }
  const addressClass = classifyAddress(source.address)
  const reason = REFUSED_CLASSES.get(addressClass)
  if (reason !== undefined) return isPeersAddress ? { kind: 'peer' } : refused(reason)
  if (isSameEndpoint(source, unmapEndpoint(header.destination))) return refused('src-equals-dst')
  if (addressClass === 'private' && policy.denyPrivate) return refused('src-private')
  if (source.port === 0 && policy.keepPort) return refused('src-port-zero')
  return { kind: 'client', source }
}

function unmapEndpoint(endpoint: Endpoint): Endpoint {
  const address = unmapAddress(endpoint.address)
  return address === endpoint.address ? endpoint : { address, port: endpoint.port }
}

function refused(reason: SourceRefusal): SourceDecision {
  return { kind: 'refused', reason }
}
