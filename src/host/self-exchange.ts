import { setTimeout as sleep } from 'node:timers/promises'
import { formatEndpoint } from '../address/endpoint.ts'
import type { IpAddress } from '../address/ip-address.ts'
import { openDatagrams } from '../linux/datagram.ts'
import { EAGAIN, errnoName } from '../linux/errno.ts'
import { bindTo, close, connectTo, localEndpoint, receive, setMark, setTransparent, transmit } from '../linux/socket.ts'
import { clientOf, type SelfConnection } from './self-connection.ts'

const TIMEOUT_MS = 1_500
const POLL_MS = 5
const BYTE = new Uint8Array(1)

/**
 * Sends a datagram from an address that this host does not have to a socket of our own on `address`, and an answer back:
 * what agent and app do for each client, through the kernel's real routing. Takes at most 3 seconds.
 *
 * @param mark firewall mark of the client's packets; 0: none
 */
export async function exchangeWithSelf(address: IpAddress, mark: number): Promise<SelfConnection> {
  const { family } = address
  const client = clientOf(family)
  const app = openDatagrams(family)
  const flow = openDatagrams(family)
  try {
    for (const [step, result] of [
      ['socket', Math.min(app, flow)],
      ['bind', bindTo(app, address, 0)],
      ['IP_TRANSPARENT', setTransparent(flow, family)],
      ['SO_MARK', mark === 0 ? 0 : setMark(flow, mark)],
      ['bind', bindTo(flow, client, 0)],
    ] as const) {
      if (result < 0) return failed(step, errnoName(result))
    }
    const [target, source] = [localEndpoint(app), localEndpoint(flow)]
    if (target === undefined || source === undefined) return failed('socket', 'unknown')
    const there = await sendAndHear(flow, app, connectTo(flow, target))
    if (there !== undefined) return failed('datagram', there)
    // Connected only now: it would not have told whether the source is the client's.
    const back = await sendAndHear(app, flow, connectTo(app, source))
    if (back !== undefined) return failed('answer', back)
    return { kind: 'connected', client: formatEndpoint(source) }
  } finally {
    for (const fd of [app, flow]) if (fd >= 0) close(fd)
  }
}

/** Sends from one socket, once it is connected, and waits at the other; undefined: it came. */
async function sendAndHear(from: number, to: number, connected: number): Promise<string | undefined> {
  if (connected < 0) return errnoName(connected)
  const sent = transmit(from, BYTE, 0, BYTE.length)
  if (sent < 0) return errnoName(sent)
  for (const deadlineMs = performance.now() + TIMEOUT_MS; performance.now() < deadlineMs; await sleep(POLL_MS)) {
    const heard = receive(to, BYTE, 0, BYTE.length)
    if (heard >= 0) return undefined
    if (heard !== EAGAIN) return errnoName(heard)
  }
  return 'timeout'
}

function failed(step: string, error: string): SelfConnection {
  return { kind: 'failed', step, error }
}
