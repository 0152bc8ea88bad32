import { mappingsOf } from '../../compute/json-value.ts'
import { regionOfZone } from '../../compute/reference.ts'
import { pathOf } from '../../controller/model/resource-paths.ts'
import type { StoredResource } from '../../controller/store/store.ts'

/** See uname(2). */
const HOST_NAME_LENGTH_MAX = 64

/** An instance with what its machine needs to know of it. */
export type Instance = {
  readonly stored: StoredResource
  readonly project: StoredResource
  readonly path: string
  readonly hostName: string
  readonly region: string
  readonly zone: string
  /** Whether its machine is to be on. */
  readonly isWanted: boolean
  /** Another one than before tells the machine to start anew. */
  readonly startedAt: string
  readonly internal: readonly string[]
  readonly external: readonly string[]
  /** What the router of its region calls the link to it; no other instance has that name. */
  readonly device: string
  /** A router sends what comes from others. */
  readonly isRouter: boolean
}

/** Reads an instance as the controller stores it. */
export function readInstance(stored: StoredResource, project: StoredResource): Instance {
  const { resource, name, scope } = stored
  const interfaces = mappingsOf(resource.networkInterfaces)
  const zone = scope.replace(/^zones\//, '')
  const configs = interfaces.flatMap((one) => [...mappingsOf(one.accessConfigs), ...mappingsOf(one.ipv6AccessConfigs)])
  return {
    stored,
    project,
    path: pathOf(stored),
    hostName: hostNameOf(typeof resource.hostname === 'string' && resource.hostname !== '' ? resource.hostname : name),
    region: regionOfZone(zone),
    zone,
    isWanted: resource.status === 'RUNNING',
    startedAt: String(resource.lastStartTimestamp ?? ''),
    internal: interfaces.flatMap(({ networkIP, ipv6Address }) => texts(networkIP, ipv6Address)),
    external: configs.flatMap(({ natIP, externalIpv6 }) => texts(natIP, externalIpv6)),
    // An id has 64 bits, and the name of an interface 15 letters.
    device: `vm${BigInt(stored.id).toString(36)}`,
    isRouter: resource.canIpForward === true,
  }
}

/** The kernel takes no longer name than the first part of one may be. */
function hostNameOf(name: string): string {
  return name.length > HOST_NAME_LENGTH_MAX ? name.replace(/\..*/, '') : name
}

function texts(...values: readonly unknown[]): readonly string[] {
  return values.filter((value): value is string => typeof value === 'string' && value !== '')
}
