import type { ResourceOf } from '../compute/resources.ts'
import type { Compilation } from './compilation.ts'
import { resolve } from './resolve.ts'
import { type ResourceIn, scopedName } from './resource-index.ts'
import { type CompiledService, compileServices } from './services.ts'
import type { ProxyHeader } from './snapshot.ts'

/** A target proxy with the service behind it, where that is there. */
export type CompiledProxy = {
  readonly name: string
  readonly proxyHeader: ProxyHeader
  readonly backend: CompiledService | undefined
}

/** What a forwarding rule refers to. */
export type TargetProxy = ResourceIn<'targetTcpProxies' | 'targetSslProxies'>

/** Compiles every target proxy, with everything behind it. */
export function compileTargetProxies(compilation: Compilation): ReadonlyMap<TargetProxy, CompiledProxy> {
  const { resources } = compilation
  const services = compileServices(compilation)
  const proxies = new Map<TargetProxy, CompiledProxy>()
  for (const proxy of [...resources.all('targetTcpProxies'), ...resources.all('targetSslProxies')]) {
    const service = resolve(compilation, proxy, 'service', proxy.resource.service, ['backendServices'])
    const backend = service && services.get(service)
    proxies.set(proxy, { name: scopedName(proxy), proxyHeader: compileHeader(proxy.resource), backend })
    if (proxy.collection === 'targetSslProxies') checkTls(compilation, proxy)
  }
  return proxies
}

function compileHeader(proxy: ResourceOf<TargetProxy['collection']>): ProxyHeader {
  const { proxyHeader: kind, proxyHeaderOptions: options } = proxy
  if (kind !== 'PROXY_V2') return { kind }
  return { kind, crc32c: options.includes('CRC32C'), uniqueId: options.includes('UNIQUE_ID') }
}

function checkTls(compilation: Compilation, proxy: ResourceIn<'targetSslProxies'>): void {
  const { sslCertificates, sslPolicy } = proxy.resource
  for (const [index, certificate] of sslCertificates.entries()) {
    resolve(compilation, proxy, `sslCertificates[${index}]`, certificate, ['sslCertificates'])
  }
  if (sslPolicy !== undefined) resolve(compilation, proxy, 'sslPolicy', sslPolicy, ['sslPolicies'])
}
