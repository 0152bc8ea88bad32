import type { Endpoint } from '../address/endpoint.ts'
import type { IpAddress } from '../address/ip-address.ts'
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_DGRAM } from './constants.ts'
import { native } from './native.ts'
import { close, connectTo, localEndpoint } from './socket.ts'

/**
 * The address from which this host would send to `target`; undefined when there is no route.
 *
 * A datagram socket is connected, which sends nothing, and asked for its name (ip(7)).
 */
export function sourceTowards(target: Endpoint): IpAddress | undefined {
  const fd = native.socket(target.address.family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (fd < 0) return undefined
  const connected = connectTo(fd, target)
  const local = connected < 0 ? undefined : localEndpoint(fd)
  close(fd)
  return local?.address
}
