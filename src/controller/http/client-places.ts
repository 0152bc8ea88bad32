import type { IncomingMessage } from 'node:http'
import { parseIpAddress, unmapAddress } from '../../address/ip-address.ts'

/** As at an edge (src/edge/worker/client-limit.ts): a part of the places that are free when a client comes. */
const FAIR_PART = 1 / 8

/** Who has a connection: the other end of it. */
export type Peer = Pick<IncomingMessage['socket'], 'remoteAddress' | 'remotePort'>

/**
 * The connections of a listener, and which of them have a client that nobody knows yet. Of those each address, or /64 of
 * IPv6, has a share; beyond it the oldest is closed, so that whoever has a token comes in also beside silent ones from his
 * own address. He counts no more then, however many connections come from there.
 */
export class ClientPlaces {
  readonly #placesMax: number
  #open = 0
  /** By client, and by connection: what closes it. The oldest is the first. */
  readonly #unknown = new Map<string, Map<string, () => void>>()

  constructor(placesMax: number) {
    this.#placesMax = placesMax
  }

  /** Takes a place, to be given back with {@link leave}. */
  enter(peer: Peer, close: () => void): void {
    this.#open += 1
    const client = clientOf(peer)
    const unknown = this.#unknown.get(client) ?? new Map<string, () => void>()
    this.#unknown.set(client, unknown.set(nameOf(peer), close))
    if (unknown.size === 1 || unknown.size <= (this.#placesMax - this.#open) * FAIR_PART) return
    for (const [name, closeOldest] of unknown) {
      unknown.delete(name)
      closeOldest()
      return
    }
  }

  /** Somebody known has this connection. */
  know(peer: Peer): void {
    const client = clientOf(peer)
    const unknown = this.#unknown.get(client)
    unknown?.delete(nameOf(peer))
    if (unknown?.size === 0) this.#unknown.delete(client)
  }

  leave(peer: Peer): void {
    this.#open -= 1
    this.know(peer)
  }
}

const nameOf = ({ remoteAddress, remotePort }: Peer): string => `${remoteAddress} ${remotePort}`

function clientOf({ remoteAddress = '' }: Peer): string {
  const address = parseIpAddress(remoteAddress)
  if (address === undefined) return remoteAddress
  const { family, w0, w1, w3 } = unmapAddress(address)
  return family === 4 ? `${w3}` : `${w0} ${w1}`
}
