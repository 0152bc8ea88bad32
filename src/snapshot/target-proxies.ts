import type { ResourceOf } from '../compute/resources.ts'
import type { Compilation } from './compilation.ts'
import { resolve } from './resolve.ts'
import { type ResourceIn, scopedName } from './resource-index.ts'
import type { CompiledService } from './services.ts'
import type { FrontendCertificate, FrontendTls, HeaderSetting, TlsPolicy } from './snapshot.ts'

/** What a proxy without a policy gets. */
const DEFAULT_POLICY: TlsPolicy = { name: '', profile: 'COMPATIBLE', minTlsVersion: 'TLS_1_0', customFeatures: [] }

/** A target proxy with the service behind it, where that is there. */
export type CompiledProxy = {
  readonly name: string
  readonly proxyHeader: HeaderSetting
  readonly backend: CompiledService | undefined
  readonly tls: FrontendTls | undefined
}

/** What a forwarding rule refers to. */
export type TargetProxy = ResourceIn<'targetTcpProxies' | 'targetSslProxies'>

/** Compiles every target proxy, with everything behind it. */
export function compileTargetProxies(
  compilation: Compilation,
  services: ReadonlyMap<ResourceIn<'backendServices'>, CompiledService>,
): ReadonlyMap<TargetProxy, CompiledProxy> {
  const { resources } = compilation
  const proxies = new Map<TargetProxy, CompiledProxy>()
  for (const proxy of [...resources.all('targetTcpProxies'), ...resources.all('targetSslProxies')]) {
    const service = resolve(compilation, proxy, {
      path: 'service',
      text: proxy.resource.service,
      collections: ['backendServices'],
    })
    const isDatagrams = service?.resource.protocol === 'UDP'
    if (isDatagrams) {
      const problem = `the protocol of backendServices/${service.name} is UDP, which target proxies do not take`
      const remedy =
        'name another backend service, or remove the proxy and name the service in a forwarding rule for UDP'
      compilation.report(proxy, 'service', 'conflict', problem, remedy)
    }
    const backend = service && !isDatagrams ? services.get(service) : undefined
    const tls = proxy.collection === 'targetSslProxies' ? compileTls(compilation, proxy) : undefined
    proxies.set(proxy, { name: scopedName(proxy), proxyHeader: compileHeader(proxy.resource), backend, tls })
  }
  return proxies
}

/** What a target proxy, or a forwarding rule for UDP, says of the header. */
export function compileHeader({
  proxyHeader: kind,
  proxyHeaderOptions: options,
}: Pick<ResourceOf<TargetProxy['collection']>, 'proxyHeader' | 'proxyHeaderOptions'>): HeaderSetting {
  if (kind !== 'PROXY_V2') return { kind }
  return { kind, crc32c: options.includes('CRC32C'), uniqueId: options.includes('UNIQUE_ID') }
}

function compileTls(compilation: Compilation, proxy: ResourceIn<'targetSslProxies'>): FrontendTls {
  const { sslCertificates, sslPolicy, alpnProtocols } = proxy.resource
  const certificates = sslCertificates.flatMap((reference, index): FrontendCertificate[] => {
    const checked = resolve(compilation, proxy, {
      path: `sslCertificates[${index}]`,
      text: reference,
      collections: ['sslCertificates'],
    })
    if (checked === undefined) return []
    // The schema demands both.
    const { certificate = '', privateKey = '' } = checked.resource
    return [{ name: scopedName(checked), chain: certificate, privateKey }]
  })
  const policy =
    sslPolicy === undefined
      ? undefined
      : resolve(compilation, proxy, { path: 'sslPolicy', text: sslPolicy, collections: ['sslPolicies'] })
  return {
    certificates,
    policy: policy === undefined ? DEFAULT_POLICY : compilePolicy(policy),
    protocols: alpnProtocols,
  }
}

function compilePolicy(checked: ResourceIn<'sslPolicies'>): TlsPolicy {
  const { profile, minTlsVersion, customFeatures } = checked.resource
  return {
    name: scopedName(checked),
    profile,
    minTlsVersion,
    // Those of TLS 1.3 are always on, whatever the list says.
    customFeatures: customFeatures.filter((feature) => feature.includes('_WITH_')),
  }
}
