import { type Endpoint, formatEndpoint, parseEndpoint } from '../address/endpoint.ts'
import { openPort } from '../linux/datagram.ts'
import { close, localEndpoint } from '../linux/socket.ts'
import { findListener, type ListeningSocket, listenersAt } from '../linux/socket-table.ts'
import { counted } from '../text/counts.ts'
import { type Finding, nameFor, ok, warn } from './finding.ts'

/** What the kernel counts for a small datagram in a queue, which is more than its bytes. */
const DATAGRAM_BYTES = 768
/** A worker that is busy for 10 ms meanwhile loses nothing of 250,000 datagrams a second. */
const QUEUE_BYTES_MIN = 2 * 1024 * 1024
const WORKERS_FLAGS = { agent: '--listeners', edge: '--workers' } as const

/**
 * Checks how many datagrams may wait at a port, and whether there or at the app some were lost, as the kernel
 * counts them since the sockets were opened.
 */
export function checkQueues(role: 'agent' | 'edge', listen: Endpoint, targets: readonly Endpoint[]): Finding {
  const name = nameFor('udp', 'queue')
  const running = listenersAt(listen, 'udp')
  const apps = targets.map((target) => ({ target, socket: findListener(target, 'udp') }))
  const full = apps.find(({ socket }) => (socket?.dropped ?? 0) > 0)
  if (full !== undefined) {
    const count = counted(full.socket?.dropped ?? 0, 'datagram')
    const detail = `${count} to the app on ${formatEndpoint(full.target)} found its queue full`
    return warn(
      name,
      detail,
      'let the app ask for a longer queue (SO_RCVBUF), or raise net.core.rmem_default, and start it again',
    )
  }
  const dropped = running.reduce((sum, socket) => sum + socket.dropped, 0)
  const bytes = Math.min(
    ...(running.length > 0 ? running : newPort()).map(({ receiveBufferBytes }) => receiveBufferBytes),
  )
  const room = `room for ${Math.floor(bytes / DATAGRAM_BYTES)} small datagrams`
  if (bytes < QUEUE_BYTES_MIN) {
    const remedy = `sysctl -w net.core.rmem_max=8388608 (keep it in /etc/sysctl.d), and start the ${role} again`
    return warn(name, `the port has ${room} only, and what comes while the ${role} is busy is lost`, remedy)
  }
  if (dropped === 0) return ok(name, room)
  const detail = `${counted(dropped, 'datagram')} to ${formatEndpoint(listen)} found the queue full`
  return warn(name, detail, `give the ${role} more worker threads with ${WORKERS_FLAGS[role]}`)
}

/** A port as agents and edges open it. */
function newPort(): readonly ListeningSocket[] {
  const any = parseEndpoint('127.0.0.1:0')
  if (any === undefined) return []
  const fd = openPort(any)
  try {
    const at = localEndpoint(fd)
    return at === undefined ? [] : listenersAt(at, 'udp')
  } finally {
    close(fd)
  }
}
