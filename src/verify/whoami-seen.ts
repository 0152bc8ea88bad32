import { type Endpoint, isSameEndpoint, parseEndpoint } from '../address/endpoint.ts'
import { isSameAddress } from '../address/ip-address.ts'

/** Whom `truepeer whoami` sees, and what that is worth. */
export type Seen = {
  /** The client that the app sees. */
  readonly sees: string
  readonly isAddressKept: boolean
  readonly isPortKept: boolean
  /** A PROXY header that has reached the app: nobody has taken it. */
  readonly header: string | undefined
}

/** How long answers take, in milliseconds. */
export type Latency = { readonly minimum: number; readonly median: number }

/** Compares what the app has said with what the client is. @param sees as it was said, perhaps no address at all */
export function seenBy(sees: string, client: Endpoint, header: string | undefined): Seen {
  const seen = parseEndpoint(sees)
  return {
    sees,
    isAddressKept: seen !== undefined && isSameAddress(seen.address, client.address),
    isPortKept: seen !== undefined && isSameEndpoint(seen, client),
    header,
  }
}

/** Of at least one time in milliseconds. */
export function latencyOf(times: readonly number[]): Latency {
  const sorted = [...times].sort((a, b) => a - b)
  return { minimum: sorted[0], median: sorted[Math.floor(sorted.length / 2)] }
}

/** What is wrong with that, a sentence with a remedy each. */
export function whoamiProblems({ sees, isAddressKept, header }: Seen, client: string): string[] {
  const arrived = header === undefined ? [] : ['A PROXY header reached the app; run an agent in front of it']
  if (isAddressKept) return arrived
  const remedy =
    header === undefined ? 'run an agent in front of the app, or look for NAT in between' : 'the agent will show it'
  return [`The app sees ${sees}, and this client is ${client}; ${remedy}`, ...arrived]
}
