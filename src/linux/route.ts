import type { Endpoint } from '../address/endpoint.ts'
import type { IpAddress } from '../address/ip-address.ts'
import { openDatagrams } from './datagram.ts'
import { bindTo, close, connectTo, localEndpoint } from './socket.ts'

/** Any port will do: nothing is sent. */
const DISCARD_PORT = 9

/**
 * The address from which this host would send to `target`; undefined when there is no route.
 *
 * A datagram socket is connected, which sends nothing, and asked for its name (ip(7)).
 */
export function sourceTowards(target: Endpoint): IpAddress | undefined {
  const fd = openDatagrams(target.address.family)
  if (fd < 0) return undefined
  const connected = connectTo(fd, target)
  const local = connected < 0 ? undefined : localEndpoint(fd)
  close(fd)
  return local?.address
}

/**
 * Reports whether this host has the address, so that a connection can come from it.
 *
 * A datagram socket is bound to it and connected to it, which sends nothing: bind(2) alone takes the broadcast address
 * of a network, too.
 */
export function isOwnAddress(address: IpAddress): boolean {
  const fd = openDatagrams(address.family)
  if (fd < 0) return false
  const result = bindTo(fd, address, 0) || connectTo(fd, { address, port: DISCARD_PORT })
  close(fd)
  return result === 0
}
