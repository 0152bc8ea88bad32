import type { Endpoint } from '../../address/endpoint.ts'
import { ipv4Address, ipv6Address, isWildcardAddress } from '../../address/ip-address.ts'
import type { DatagramEntrance } from './datagram-entrance.ts'

/** A UDP socket on which a worker receives, and by which it answers: a port itself, or what one peer sends to it. */
export class Port {
  readonly fd: number
  /** Where the port is. */
  readonly endpoint: Endpoint
  /** What keys of its flows have in common: the same for the port and for the sockets that take its peers over. */
  readonly id: number
  /** It is connected to one peer of a port that was closed, and is kept for as long as it has flows of that time. */
  readonly isPeer: boolean
  keptFlows = 0
  /** There may be more to receive. */
  isReady = false
  isClosed = false
  /** Answers may be given to the kernel as one message; false once that has failed. */
  mayJoin = true
  /** How many datagrams its queue had no room for, as far as is known. */
  dropped = 0
  #entrance: DatagramEntrance

  constructor(fd: number, endpoint: Endpoint, entrance: DatagramEntrance, id: number, isPeer = false) {
    this.fd = fd
    this.endpoint = endpoint
    this.id = id
    this.isPeer = isPeer
    this.#entrance = entrance
    entrance.uses.acquire()
  }

  /** Where datagrams that are taken from now on lead; it is used until it is replaced or the port is closed. */
  get entrance(): DatagramEntrance {
    return this.#entrance
  }

  set entrance(entrance: DatagramEntrance) {
    entrance.uses.acquire()
    this.#entrance.uses.release()
    this.#entrance = entrance
  }

  /** Its socket is closed. */
  leave(): void {
    this.isClosed = true
    this.#entrance.uses.release()
  }
}

/** Itself: who is connected to itself receives nothing from anybody else any more. */
export function ownEndpoint({ address, port }: Endpoint): Endpoint {
  if (!isWildcardAddress(address)) return { address, port }
  return { address: address.family === 6 ? ipv6Address(0, 0, 0, 1) : ipv4Address(0x7f000001), port }
}
