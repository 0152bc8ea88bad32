import { FLOW_IDLE_SEC } from '../compute/connection-tracking.ts'
import type { ResourceOf } from '../compute/resources.ts'
import { compileBackends } from './backends.ts'
import type { Compilation } from './compilation.ts'
import { compileGroups } from './groups.ts'
import { compileHealthChecks } from './health-checks.ts'
import { resolve } from './resolve.ts'
import { type ResourceIn, scopedName } from './resource-index.ts'
import type { BackendService, BackendTls, FlowTracking, HealthCheck } from './snapshot.ts'
import { compileChoice, compileSpreading } from './spreading.ts'

/** A service with what a snapshot lists beside it. */
export type CompiledService = { readonly service: BackendService; readonly healthCheck: HealthCheck | undefined }

/** Compiles every backend service, with its groups and its health check. */
export function compileServices(compilation: Compilation): ReadonlyMap<ResourceIn<'backendServices'>, CompiledService> {
  const healthChecks = compileHealthChecks(compilation)
  const groups = compileGroups(compilation)
  const services = new Map<ResourceIn<'backendServices'>, CompiledService>()
  for (const checked of compilation.resources.all('backendServices')) {
    const { connectionDraining, logConfig } = checked.resource
    const healthCheck = findHealthCheck(compilation, checked, healthChecks)
    const service: BackendService = {
      name: scopedName(checked),
      idleTimeoutMs: idleTimeoutSec(checked.resource) * 1000,
      flows: compileFlows(checked.resource),
      drainingTimeoutMs: connectionDraining.drainingTimeoutSec * 1000,
      healthCheck: healthCheck?.name,
      logSampleRate: logConfig?.enable ? logConfig.sampleRate : 0,
      groups: compileBackends(compilation, checked, groups),
      spreading: compileSpreading(compilation, checked),
      ...compileChoice(checked.resource),
      tls: compileTls(checked.resource),
    }
    services.set(checked, { service, healthCheck })
  }
  return services
}

function idleTimeoutSec({ protocol, timeoutSec, connectionTrackingPolicy }: ResourceOf<'backendServices'>): number {
  return protocol === 'UDP' ? (connectionTrackingPolicy?.idleTimeoutSec ?? FLOW_IDLE_SEC) : timeoutSec
}

function compileFlows({ protocol, connectionTrackingPolicy }: ResourceOf<'backendServices'>): FlowTracking | undefined {
  if (protocol !== 'UDP') return undefined
  const persistence = connectionTrackingPolicy?.connectionPersistenceOnUnhealthyBackends
  return { persistsOnUnhealthy: persistence === 'ALWAYS_PERSIST' }
}

function compileTls({ protocol, tlsSettings }: ResourceOf<'backendServices'>): BackendTls | undefined {
  if (protocol !== 'SSL') return undefined
  const names = tlsSettings?.subjectAltNames ?? []
  return {
    serverName: tlsSettings?.sni ?? '',
    names:
      names.length === 0
        ? undefined
        : {
            dnsNames: names.flatMap(({ dnsName }) => dnsName ?? []),
            uris: names.flatMap(({ uniformResourceIdentifier }) => uniformResourceIdentifier ?? []),
          },
    roots: tlsSettings?.certificateAuthorities ?? '',
    headerPlace: tlsSettings?.proxyHeaderPlace === 'INSIDE_TLS' ? 'inside-tls' : 'before-tls',
  }
}

/** A service has one at most, which its schema says. */
function findHealthCheck(
  compilation: Compilation,
  service: ResourceIn<'backendServices'>,
  healthChecks: ReadonlyMap<ResourceIn<'healthChecks'>, HealthCheck>,
): HealthCheck | undefined {
  const [reference] = service.resource.healthChecks
  if (reference === undefined) return undefined
  const checked = resolve(compilation, service, {
    path: 'healthChecks[0]',
    text: reference,
    collections: ['healthChecks'],
  })
  return checked && healthChecks.get(checked)
}
