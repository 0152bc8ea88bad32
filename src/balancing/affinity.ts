import type { Endpoint } from '../address/endpoint.ts'
import { type IpAddress, isMappedAddress } from '../address/ip-address.ts'
import { finishHash, mixWord, SEED } from './hash.ts'
import type { SessionAffinity } from './policy.ts'

/** TCP among the protocols of IP. */
const PROTOCOL_TCP = 6

/**
 * The hash by which a connection is sent where those before it went. Allocates nothing.
 *
 * CLIENT_IP is source and destination address, CLIENT_IP_PROTO also the protocol, which is TCP, and CLIENT_IP_PORT_PROTO
 * the ports as well; so is NONE, for policies that go by a hash: each connection goes its own way.
 *
 * @param destination where the client connected to: the address and port of the frontend
 */
export function affinityHash(affinity: SessionAffinity, client: Endpoint, destination: Endpoint): number {
  let hash = mixAddress(mixAddress(SEED, client.address), destination.address)
  if (affinity !== 'CLIENT_IP') hash = mixWord(hash, PROTOCOL_TCP)
  const hasPorts = affinity === 'CLIENT_IP_PORT_PROTO' || affinity === 'NONE'
  if (hasPorts) hash = mixWord(mixWord(hash, client.port), destination.port)
  return finishHash(hash)
}

/** An IPv4 address inside IPv6, as a header may have it, is the same client as without. */
function mixAddress(hash: number, address: IpAddress): number {
  const { family, w0, w1, w2, w3 } = address
  return family === 4 || isMappedAddress(address)
    ? mixWord(hash, w3)
    : mixWord(mixWord(mixWord(mixWord(hash, w0), w1), w2), w3)
}
