import {
  formatIpAddress,
  type IpAddress,
  ipv4Address,
  ipv6Address,
  isSameAddress,
  parseIpAddress,
} from './ip-address.ts'

/** An IP address and a TCP or UDP port, 0 to 65535. */
export type Endpoint = { readonly address: IpAddress; readonly port: number }

/** What is spoken at an endpoint. A port of TCP and one of UDP with the same number are two. */
export type Protocol = 'tcp' | 'udp'

/** Reads "192.0.2.1:80" or "[2001:db8::1]:80"; undefined for anything else. Ports are decimal without leading zeros. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const colon = text.lastIndexOf(':')
  if (colon < 0) return undefined
  const port = parsePort(text.slice(colon + 1))
  if (port === undefined) return undefined
  const host = text.slice(0, colon)
  const isBracketed = host.startsWith('[') && host.endsWith(']')
  const address = parseIpAddress(isBracketed ? host.slice(1, -1) : host)
  if (address === undefined || isBracketed !== (address.family === 6)) return undefined
  return { address, port }
}

/** Writes an endpoint as "192.0.2.1:80" or "[2001:db8::1]:80", the forms that `parseEndpoint` reads. */
export function formatEndpoint(endpoint: Endpoint): string {
  const address = formatIpAddress(endpoint.address)
  return endpoint.address.family === 6 ? `[${address}]:${endpoint.port}` : `${address}:${endpoint.port}`
}

/** An endpoint that has come from another thread, as all others are; see `IpAddress`. */
export function receivedEndpoint({ address, port }: Endpoint): Endpoint {
  const { family, w0, w1, w2, w3 } = address
  return { address: family === 4 ? ipv4Address(w3) : ipv6Address(w0, w1, w2, w3), port }
}

/** Says whether two endpoints have the same address, address family and port. */
export function isSameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && isSameAddress(a.address, b.address)
}

function parsePort(text: string): number | undefined {
  if (!/^(0|[1-9][0-9]{0,4})$/.test(text)) return undefined
  const port = Number(text)
  return port <= 0xffff ? port : undefined
}
