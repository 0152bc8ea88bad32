import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { classifyAddress } from '../address/address-class.ts'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import { formatIpAddress, type IpAddress, parseIpAddress, unmapAddress } from '../address/ip-address.ts'
import { messageOf } from '../text/error-message.ts'
import { answerToDatagram } from './whoami-protocol.ts'

/** Peers that are remembered, so that each is told of once. */
const PEERS_MAX = 1_000
/** Answers that wait for the kernel; beyond, none are given. */
const WAITING_MAX = 1_000

/**
 * Answers each datagram with the address of its sender.
 *
 * A socket on every address would answer from whichever address the kernel prefers for a client, and whoever asked
 * another one would not hear it. So it opens one for each address of this host, as name servers do.
 *
 * @param onPeer is told each peer, and a PROXY header that reached the app
 * @throws Error that names the address when it cannot be received at
 */
export async function answerDatagrams(endpoint: Endpoint, onPeer: (line: string) => void): Promise<readonly Socket[]> {
  const sockets: Socket[] = []
  const peers = new PeerLog(onPeer)
  try {
    for (const address of addressesOf(endpoint.address)) {
      const socket = createSocket({ type: address.family === 4 ? 'udp4' : 'udp6' })
      sockets.push(socket)
      socket.bind(endpoint.port, formatIpAddress(address))
      await once(socket, 'listening')
      // An answer that cannot be sent is its client's loss alone.
      socket.on('error', () => {})
      socket.on('message', (datagram, peer) => answer(socket, datagram, peer, peers))
    }
    return sockets
  } catch (cause) {
    for (const socket of sockets) socket.close()
    throw new Error(`Receiving at "${formatEndpoint(endpoint)}": ${messageOf(cause)}; give another --listen`, { cause })
  }
}

function answer(socket: Socket, datagram: Buffer, { address, port }: RemoteInfo, peers: PeerLog): void {
  const parsed = parseIpAddress(address)
  // A neighbour whose address needs the name of an interface is nobody's client, and nobody hears at port 0, which a
  // sender may invent.
  if (parsed === undefined || port === 0) return
  const peer = formatEndpoint({ address: unmapAddress(parsed), port })
  const { answer: text, header } = answerToDatagram(datagram, peer)
  peers.saw(header === undefined ? `peer ${peer} over UDP` : `peer ${peer} over UDP sent a header: ${header}`)
  if (text === undefined || socket.getSendQueueCount() > WAITING_MAX) return
  socket.send(Buffer.from(text, 'latin1'), port, address)
}

/** The address itself, or those of this host instead of a wildcard. */
function addressesOf(address: IpAddress): IpAddress[] {
  if (classifyAddress(address) !== 'unspecified') return [address]
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? [])
  return own
    .map((one) => parseIpAddress(one.address))
    .filter((one) => one !== undefined)
    .filter((one) => (address.family === 6 || one.family === 4) && classifyAddress(one) !== 'link-local')
}

/** Tells of each peer once, as long as it is remembered. */
class PeerLog {
  readonly #known = new Set<string>()
  readonly #onPeer: (line: string) => void

  constructor(onPeer: (line: string) => void) {
    this.#onPeer = onPeer
  }

  saw(line: string): void {
    if (this.#known.has(line)) return
    if (this.#known.size === PEERS_MAX) this.#known.clear()
    this.#known.add(line)
    this.#onPeer(line)
  }
}
