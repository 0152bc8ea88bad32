import { type Endpoint, parseEndpoint } from '../address/endpoint.ts'
import { writeProxyV1, writeProxyV1Unknown } from '../proxy-protocol/write-v1.ts'
import { writeProxyV2, writeProxyV2Local } from '../proxy-protocol/write-v2.ts'
import type { AgentRoleOptions } from './agent-role-options.ts'

const HEADER_BYTES_MAX = 256

/**
 * What an agent plays: everybody on loopback is trusted, and only who has connected is impersonated, so that no
 * packet with another address leaves a socket.
 */
export function warmUpOptions(
  { entrance, service }: Pick<AgentRoleOptions, 'entrance' | 'service'>,
  app: Endpoint,
): Pick<AgentRoleOptions, 'entrance' | 'service'> {
  return {
    entrance: {
      ...entrance,
      target4: app,
      target6: NOWHERE6,
      allowedSubnets: null,
      denyPrivateSources: false,
      local: 'forward',
      portOpen: new Int32Array(1),
    },
    service: { ...service, target4: app, target6: NOWHERE6, mark: 0 },
  }
}

// The source of both is who has connected: the warm-up's clients have this address.
const SELF = endpointOf('127.0.0.1:4321')
const DESTINATION = endpointOf('127.0.0.1:80')
/** Nobody can listen on port 0: what may not be connected to the app of the warm-up is connected to nothing. */
const NOWHERE6 = endpointOf('[::1]:0')
/** An address of ours inside a tunnel's: the kernel is asked for it and it is refused, whatever host this is. */
const TUNNELLED = endpointOf('[2002:7f00:1::1]:4321')
const DESTINATION6 = endpointOf('[::1]:80')

/** What its clients say first, in turn. */
export const OPENINGS = [
  opening((target) => writeProxyV1(target, 0, SELF, DESTINATION)),
  opening((target) => writeProxyV2(target, 0, SELF, DESTINATION)),
  opening((target) => writeProxyV1Unknown(target, 0)),
  opening((target) => writeProxyV1(target, 0, SELF, DESTINATION)),
  opening((target) => writeProxyV2(target, 0, SELF, DESTINATION)),
  opening((target) => writeProxyV2Local(target, 0)),
  opening((target) => writeProxyV1(target, 0, SELF, DESTINATION)),
  opening((target) => writeProxyV2(target, 0, TUNNELLED, DESTINATION6)),
]

function opening(write: (target: Uint8Array) => number): Uint8Array {
  const target = new Uint8Array(HEADER_BYTES_MAX)
  return target.slice(0, write(target))
}

function endpointOf(text: string): Endpoint {
  const endpoint = parseEndpoint(text)
  if (endpoint === undefined) throw new TypeError(`${text} is not an endpoint`)
  return endpoint
}
