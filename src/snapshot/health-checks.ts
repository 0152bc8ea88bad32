import type { ResourceOf } from '../compute/resources.ts'
import type { Compilation } from './compilation.ts'
import { type ResourceIn, scopedName } from './resource-index.ts'
import type { HealthCheck, Probe } from './snapshot.ts'

/** Compiles every health check. */
export function compileHealthChecks({ resources }: Compilation): ReadonlyMap<ResourceIn<'healthChecks'>, HealthCheck> {
  return new Map(resources.all('healthChecks').map((checked) => [checked, compileHealthCheck(checked)]))
}

function compileHealthCheck(checked: ResourceIn<'healthChecks'>): HealthCheck {
  const { resource } = checked
  return {
    name: scopedName(checked),
    checkIntervalMs: resource.checkIntervalSec * 1000,
    timeoutMs: resource.timeoutSec * 1000,
    healthyThreshold: resource.healthyThreshold,
    unhealthyThreshold: resource.unhealthyThreshold,
    logsTransitions: resource.logConfig?.enable ?? false,
    ...compileProbe(resource),
  }
}

type ProbeParts = Pick<HealthCheck, 'port' | 'sendsProxyHeader' | 'probe'>

function compileProbe(check: ResourceOf<'healthChecks'>): ProbeParts {
  switch (check.type) {
    case 'TCP':
      return textProbe('TCP', check.tcpHealthCheck)
    case 'SSL':
      return textProbe('SSL', check.sslHealthCheck)
    case 'HTTP':
      return httpProbe('HTTP', check.httpHealthCheck)
    case 'HTTPS':
      return httpProbe('HTTPS', check.httpsHealthCheck)
    case 'HTTP2':
      return httpProbe('HTTP2', check.http2HealthCheck)
    case 'GRPC':
      return grpcProbe('GRPC', check.grpcHealthCheck)
    case 'GRPC_WITH_TLS':
      return grpcProbe('GRPC_WITH_TLS', check.grpcTlsHealthCheck)
  }
}

type ProbeFields<Name extends keyof ResourceOf<'healthChecks'>> = ResourceOf<'healthChecks'>[Name]

function textProbe(
  kind: Extract<Probe, { request: string }>['kind'],
  fields: ProbeFields<'tcpHealthCheck'>,
): ProbeParts {
  const probe = { kind, request: fields?.request ?? '', response: fields?.response ?? '' }
  return { port: portOf(fields), sendsProxyHeader: fields?.proxyHeader === 'PROXY_V1', probe }
}

function httpProbe(kind: Extract<Probe, { host: string }>['kind'], fields: ProbeFields<'httpHealthCheck'>): ProbeParts {
  const { host = '', requestPath = '/', response = '' } = fields ?? {}
  return {
    port: portOf(fields),
    sendsProxyHeader: fields?.proxyHeader === 'PROXY_V1',
    probe: { kind, host, requestPath, response },
  }
}

function grpcProbe(
  kind: Extract<Probe, { serviceName: string }>['kind'],
  fields: ProbeFields<'grpcHealthCheck'>,
): ProbeParts {
  return { port: portOf(fields), sendsProxyHeader: false, probe: { kind, serviceName: fields?.grpcServiceName ?? '' } }
}

/** The port of a check with USE_FIXED_PORT; with USE_SERVING_PORT each backend's own. */
function portOf(fields: Pick<NonNullable<ProbeFields<'grpcHealthCheck'>>, 'port' | 'portSpecification'> | undefined) {
  return fields?.portSpecification === 'USE_SERVING_PORT' ? undefined : fields?.port
}
