import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import { type IpAddress, isSameAddress, parseIpAddress } from '../address/ip-address.ts'
import { EAGAIN, EINPROGRESS, EINTR, errnoName } from '../linux/errno.ts'
import {
  accepted,
  acceptFrom,
  bindTo,
  close,
  closeWithReset,
  connectTo,
  localEndpoint,
  openListener,
  openStream,
  setBindWithoutPort,
  setMark,
  setReuseAddress,
  setTransparent,
  takeError,
} from '../linux/socket.ts'
import { messageOf } from '../text/error-message.ts'

const TIMEOUT_MS = 1_500
const POLL_MS = 5
/** RFC 5737, RFC 3849: addresses for documentation, which no client has. */
const CLIENTS = { 4: '192.0.2.1', 6: '2001:db8::1' } as const
/** Whether the first answer of the kernel on this very host takes longer: it never does. */
const REFUSED_WITHIN_MS = 250

/** How a transparent connection to ourselves went. `error` is an errno's name, or "timeout". */
export type SelfConnection =
  | { readonly kind: 'connected'; readonly client: string }
  | { readonly kind: 'failed'; readonly step: string; readonly error: string }

/**
 * Connects, from an address that this host does not have, to a listener of our own on `address`: what an agent does for
 * each client, through the kernel's real routing. Takes at most 1.5 seconds.
 *
 * @param mark firewall mark of the packets; 0: none
 */
export async function connectToSelf(address: IpAddress, mark: number): Promise<SelfConnection> {
  const client = clientOf(address.family)
  let listener = -1
  let stream = -1
  try {
    listener = openListener({ address, port: 0 }, { keepaliveMs: 0, userTimeoutMs: 0 })
    stream = openStream(address.family)
    const target = localEndpoint(listener)
    if (stream < 0 || target === undefined) return failed('socket', stream)
    const started = start(stream, client, target, mark)
    if (started !== undefined) return started
    return await awaitAccept(listener, stream, client)
  } catch (error) {
    return { kind: 'failed', step: messageOf(error), error: errorCode(error) }
  } finally {
    if (stream >= 0) closeWithReset(stream)
    if (listener >= 0) close(listener)
  }
}

/**
 * Reports whether a connection that an app on `address` begins to the address of a client reaches a service of this
 * host. Over IPv4 none does: the kernel answers only from addresses of its own. The listener that it would find is our own, at the client's address alone: nobody outside reaches it.
 */
export async function reachesSelfAsApp(address: IpAddress): Promise<boolean> {
  if (address.family === 4) return false
  const client = clientOf(address.family)
  const listener = openListener(
    { address: client, port: 0 },
    { keepaliveMs: 0, userTimeoutMs: 0 },
    { isFreebind: true },
  )
  const stream = openStream(address.family)
  try {
    const target = localEndpoint(listener)
    if (stream < 0 || target === undefined || bindTo(stream, address, 0) < 0) return false
    const connected = connectTo(stream, target)
    if (connected < 0 && connected !== EINPROGRESS) return false
    for (
      const deadlineMs = performance.now() + REFUSED_WITHIN_MS;
      performance.now() < deadlineMs;
      await sleep(POLL_MS)
    ) {
      if (takeError(stream) < 0) return false
      const fd = acceptFrom(listener)
      if (fd < 0) continue
      closeWithReset(fd)
      return true
    }
    // Neither refused nor there: something on the way drops it.
    return false
  } finally {
    if (stream >= 0) closeWithReset(stream)
    close(listener)
  }
}

/** A client that this host does not have, and no network either. */
export function clientOf(family: IpAddress['family']): IpAddress {
  const client = parseIpAddress(CLIENTS[family])
  assert(client !== undefined)
  return client
}

function start(stream: number, client: IpAddress, target: Endpoint, mark: number): SelfConnection | undefined {
  const steps: readonly [name: string, run: () => number][] = [
    ['IP_TRANSPARENT', () => setTransparent(stream, client.family)],
    ['SO_REUSEADDR', () => setReuseAddress(stream)],
    ['IP_BIND_ADDRESS_NO_PORT', () => setBindWithoutPort(stream)],
    ['SO_MARK', () => (mark === 0 ? 0 : setMark(stream, mark))],
    ['bind', () => bindTo(stream, client, 0)],
    ['connect', () => connectTo(stream, target)],
  ]
  for (const [name, run] of steps) {
    const result = run()
    if (result < 0 && result !== EINPROGRESS) return failed(name, result)
  }
  return undefined
}

async function awaitAccept(listener: number, stream: number, client: IpAddress): Promise<SelfConnection> {
  for (const deadlineMs = performance.now() + TIMEOUT_MS; performance.now() < deadlineMs; await sleep(POLL_MS)) {
    const error = takeError(stream)
    if (error < 0) return failed('connect', error)
    const fd = acceptFrom(listener)
    if (fd === EAGAIN || fd === EINTR) continue
    if (fd < 0) return failed('accept', fd)
    const { address, port } = accepted
    closeWithReset(fd)
    if (address === undefined) continue
    // Anybody on this host may have connected to the listener meanwhile.
    if (isSameAddress(address, client)) return { kind: 'connected', client: formatEndpoint({ address, port }) }
  }
  return { kind: 'failed', step: 'connect', error: 'timeout' }
}

function failed(step: string, result: number): SelfConnection {
  return { kind: 'failed', step, error: errnoName(result) }
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
