// An agent with the usual addresses, and clients that are only in headers.
import type { Host } from '../../src/lab/host.ts'
import { readToEnd } from '../../src/lab/sockets.ts'
import { BACKEND, BACKEND6 } from './hosts.ts'
import { type Running, startTruepeer } from './truepeer.ts'

/** Where the agent listens, and where the app does. */
export const AGENT = `${BACKEND}:110`
export const AGENT6 = `[${BACKEND6}]:110`
export const APP = '127.0.0.1:112'
export const APP6 = '[::1]:112'
/** A client that is nowhere in the lab: its address is only in headers. */
export const CLIENT = '209.52.88.4'
export const CLIENT6 = '2001:db8:209::4'

/** Starts an agent with the usual addresses that trusts everyone; `args` come last. */
export function startAgent(host: Host, args: readonly string[] = []): Promise<Running> {
  const usual = ['-l', AGENT, '-4', APP, '-6', APP6]
  const trust = args.includes('--allowed-subnets') ? [] : ['--allow-all-subnets']
  return startTruepeer(host, 'agent', [...usual, ...trust, ...args])
}

/** A version 1 header from `source` for the agent's port. */
export function headerFrom(source: string, port = 51_234): string {
  const isIpv6 = source.includes(':')
  return `PROXY ${isIpv6 ? 'TCP6' : 'TCP4'} ${source} ${isIpv6 ? BACKEND6 : BACKEND} ${port} 110\r\n`
}

/** Sends `request` with a header through the agent to an echo app; returns the answer, or the code of an error. */
export async function echoThrough(
  from: Host,
  request: string,
  to = AGENT,
  header = headerFrom(CLIENT, 0),
): Promise<string> {
  try {
    const socket = await from.connect({ to })
    const answer = readToEnd(socket)
    socket.end(`${header}${request}`)
    const text = (await answer).toString()
    socket.destroy()
    return text
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code ?? error)
  }
}
