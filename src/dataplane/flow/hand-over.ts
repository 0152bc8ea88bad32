import { formatEndpoint } from '../../address/endpoint.ts'
import { addressOfLocal, openPeerSocket } from '../../linux/datagram.ts'
import { errnoName } from '../../linux/errno.ts'
import { connectTo } from '../../linux/socket.ts'
import type { FlowLoop, FlowSet } from './flow-set.ts'
import { ownEndpoint, Port } from './port.ts'

/** The kernel looks through all sockets of a port for each datagram that has none of its own. */
const PEERS_MAX = 1_024

/**
 * A port that is closed while it has flows: each of their peers gets a socket of its own on the same address and port. The
 * kernel gives it what that peer sends; everybody else is for another process from then on.
 */
export class HandOver {
  readonly #port: Port
  readonly #set: FlowSet
  readonly #loop: FlowLoop
  readonly #add: (port: Port) => void
  readonly #peers = new Map<string, Port>()
  /** The error of the kernel, which the other peers would get, too; 0: there was none. */
  #error = 0

  /** @param add has a socket received from */
  constructor(port: Port, set: FlowSet, loop: FlowLoop, add: (port: Port) => void) {
    this.#port = port
    this.#set = set
    this.#loop = loop
    this.#add = add
  }

  /** Gives sockets to the peers of the flows that the port has now, to those that were heard last first. */
  takePeers(): void {
    for (const { index } of this.#set.ofPort(this.#port)) {
      const name = `${this.#set.peerOf(index).join()} ${this.#set.localOf(index).join()}`
      const peer = this.#peers.get(name) ?? this.#open(index)
      if (peer === undefined) continue
      this.#peers.set(name, peer)
      this.#set.keep(index, peer)
    }
  }

  /** From now on nothing more gets into the queue of the port. */
  stopReceiving(): void {
    const { fd, endpoint } = this.#port
    connectTo(fd, ownEndpoint(endpoint))
  }

  /** Says how many flows cannot go on. */
  tellRest(): void {
    const ended = this.#set.ofPort(this.#port).length
    if (ended === 0) return
    this.#loop.log('warn', 'Flows of a UDP port that is closed cannot go on', {
      port: formatEndpoint(this.#port.endpoint),
      ended,
      ...(this.#error === 0 ? { peersMax: PEERS_MAX } : { errno: errnoName(this.#error) }),
    })
  }

  #open(index: number): Port | undefined {
    const { endpoint, entrance, id } = this.#port
    if (this.#peers.size >= PEERS_MAX || this.#error !== 0) return undefined
    const address = addressOfLocal(this.#set.localOf(index))
    const local = { address: address ?? endpoint.address, port: endpoint.port }
    const fd = openPeerSocket(endpoint.address.family, local, this.#set.peerOf(index), address !== undefined)
    if (fd >= 0) {
      const peer = new Port(fd, endpoint, entrance, id, true)
      this.#add(peer)
      return peer
    }
    // The others would fail in the same way: an inherited socket that nobody may share, a port below 1024.
    this.#error = fd
    return undefined
  }
}
