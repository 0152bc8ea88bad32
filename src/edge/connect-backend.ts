import { classifyAddress } from '../address/address-class.ts'
import type { Endpoint } from '../address/endpoint.ts'
import type { Dial } from '../dataplane/role.ts'
import { EADDRNOTAVAIL, EINPROGRESS } from '../linux/errno.ts'
import { sourceTowards } from '../linux/route.ts'
import {
  bindTo,
  close,
  connectTo,
  type Liveness,
  openStream,
  setLiveness,
  setNoDelay,
  setReuseAddress,
} from '../linux/socket.ts'

/** Starts a connection to a backend from an address of this host. */
export function connectBackend(backend: Endpoint, liveness: Liveness): Dial {
  const dialled = attempt(backend, liveness, false)
  // Where an agent on this host has bound clients' ports, connect(2) skips those; bind(2) first can still share them.
  if (dialled.kind === 'failed' && dialled.error === EADDRNOTAVAIL) return attempt(backend, liveness, true)
  return dialled
}

function attempt(backend: Endpoint, liveness: Liveness, bindsFirst: boolean): Dial {
  const fd = openStream(backend.address.family)
  if (fd < 0) return { kind: 'failed', error: fd }
  let result = setNoDelay(fd)
  const isLocal = classifyAddress(backend.address) === 'loopback'
  // A peer on this very host cannot vanish without its kernel saying so.
  if (!isLocal) result ||= setLiveness(fd, liveness)
  if (bindsFirst) result ||= bindLocal(fd, backend)
  if (result === 0) result = connectTo(fd, backend)
  if (result === 0 || result === EINPROGRESS) {
    return { kind: 'connecting', fd, isLocal }
  }
  close(fd)
  return { kind: 'failed', error: result }
}

function bindLocal(fd: number, backend: Endpoint): number {
  const source = sourceTowards(backend)
  if (source === undefined) return EADDRNOTAVAIL
  return setReuseAddress(fd) || bindTo(fd, source, 0)
}
