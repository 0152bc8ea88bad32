import type { BackendService, Snapshot } from './snapshot.ts'

/** Session affinity that chooses no backend, with the remedy; undefined: it does, or there is none. */
export function affinityWarning({
  affinity,
  locality,
}: Pick<BackendService, 'affinity' | 'locality'>): string | undefined {
  if (affinity === 'NONE' || locality.kind === 'MAGLEV' || locality.kind === 'RING_HASH') return undefined
  return `sessionAffinity ${affinity} has no effect with localityLbPolicy ${locality.kind}; give MAGLEV or RING_HASH, or leave localityLbPolicy out`
}

/** What services ask for, and do not get, a sentence each. */
export function ineffectiveWarnings(
  { frontends, services }: Snapshot,
  { localRegion, localZone }: { readonly localRegion: string | undefined; readonly localZone: string | undefined },
): string[] {
  const withHeader = new Set(frontends.filter((one) => one.proxyHeader.kind !== 'NONE').map(({ service }) => service))
  const used = new Set(frontends.map(({ service }) => service))
  return services.flatMap((service) => {
    const found = [
      affinityWarning(service),
      used.has(service.name) ? utilizationWarning(service, withHeader) : undefined,
      zoneWarning(service, localZone),
      isolationWarning(service, localRegion),
    ]
    return found.flatMap((text) => (text === undefined ? [] : [`backendServices/${service.name}: ${text}`]))
  })
}

/** Agents tell the load of their hosts to who writes a header in the clear. */
function utilizationWarning(
  { name, groups, tls }: BackendService,
  withHeader: ReadonlySet<string>,
): string | undefined {
  if (groups.every(({ balancing }) => balancing.maxUtilization === undefined)) return undefined
  if (!withHeader.has(name)) {
    return 'maxUtilization has no effect with proxyHeader NONE, because only agents tell their load; give PROXY_V1 or PROXY_V2 with agents, or remove maxUtilization'
  }
  if (tls?.headerPlace !== 'inside-tls') return undefined
  return 'maxUtilization has no effect with proxyHeaderPlace INSIDE_TLS, because agents are asked for their load in the clear; give BEFORE_TLS with agents, or remove maxUtilization'
}

function zoneWarning({ spreading, groups }: BackendService, localZone: string | undefined): string | undefined {
  if (spreading.algorithm !== 'WATERFALL_BY_ZONE' || localZone !== undefined || groups.length === 0) return undefined
  return 'WATERFALL_BY_ZONE has no effect on this edge, because it does not know its zone; give --zone'
}

function isolationWarning({ spreading, groups }: BackendService, localRegion: string | undefined): string | undefined {
  if (spreading.isolation === 'NONE' || localRegion !== undefined || groups.length === 0) return undefined
  return `isolationMode ${spreading.isolation} has no effect on this edge, because it does not know its region; give --region or --zone`
}
