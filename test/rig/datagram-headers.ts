// What edges write in front of datagrams, as text in latin1.
import { parseEndpoint } from '../../src/address/endpoint.ts'
import { writeSimpleProxy } from '../../src/proxy-protocol/simple-proxy.ts'
import { writeProxyV2, writeProxyV2Local } from '../../src/proxy-protocol/write-v2.ts'
import { AGENT, AGENT6 } from './agent.ts'

const target = Buffer.alloc(200)

/** A header of version 2 for datagrams from `source`, as "192.0.2.1:80". */
export function datagramHeader(source: string): string {
  return latin1(writeProxyV2(target, 0, endpointOf(source), destinationFor(source), { transport: 'dgram' }))
}

/** A header of the Simple Proxy Protocol. */
export function simpleHeader(source: string): string {
  return latin1(writeSimpleProxy(target, 0, endpointOf(source), destinationFor(source)))
}

/** A header of version 2 that names no client. */
export function localHeader(): string {
  return latin1(writeProxyV2Local(target, 0))
}

function latin1(length: number): string {
  return target.toString('latin1', 0, length)
}

function destinationFor(source: string) {
  return endpointOf(source.startsWith('[') ? AGENT6 : AGENT)
}

function endpointOf(text: string) {
  const endpoint = parseEndpoint(text)
  if (endpoint === undefined) throw new TypeError(`"${text}" is not of the form ADDRESS:PORT`)
  return endpoint
}
