import { formatEndpoint } from '../address/endpoint.ts'
import { formatIpAddress, type IpAddress, parseIpAddress } from '../address/ip-address.ts'
import { portOf } from '../compute/forwarding-rule.ts'
import { quoted } from '../compute/problem.ts'
import type { Compilation } from './compilation.ts'
import { resolve } from './resolve.ts'
import { type ResourceIn, scopedName } from './resource-index.ts'
import { type CompiledService, compileServices } from './services.ts'
import type { Frontend } from './snapshot.ts'
import { type CompiledProxy, compileHeader, compileTargetProxies, type TargetProxy } from './target-proxies.ts'
import { readFrontendAddress } from './usable-address.ts'

/** A frontend with what a snapshot lists beside it. */
export type CompiledFrontend = { readonly frontend: Frontend; readonly backend: CompiledService }

type Rule = ResourceIn<'forwardingRules'>

/** Compiles every forwarding rule, with everything behind it. */
export function compileFrontends(compilation: Compilation): readonly CompiledFrontend[] {
  const services = compileServices(compilation)
  const proxies = compileTargetProxies(compilation, services)
  const addresses = compileAddresses(compilation)
  const rules = new Map<string, Rule>()
  const frontends: CompiledFrontend[] = []
  for (const rule of compilation.resources.all('forwardingRules')) {
    const address = findAddress(compilation, rule, addresses)
    if (address !== undefined) checkIsAlone(compilation, rule, address, rules)
    const { IPProtocol: protocol } = rule.resource
    const behind = protocol === 'UDP' ? findService(compilation, rule, services) : findProxy(compilation, rule, proxies)
    if (address === undefined || behind?.backend === undefined) continue
    const { backend, name: proxy, proxyHeader, tls } = behind
    const frontend: Frontend = {
      name: scopedName(rule),
      protocol,
      address: formatIpAddress(address),
      port: portOf(rule.resource),
      proxy,
      service: backend.service.name,
      proxyHeader,
      tls,
    }
    frontends.push({ frontend, backend })
  }
  return frontends
}

/** An address that no forwarding rule uses is a problem too when it has none. */
function compileAddresses({ resources, report }: Compilation): ReadonlyMap<ResourceIn<'addresses'>, IpAddress> {
  const addresses = new Map<ResourceIn<'addresses'>, IpAddress>()
  for (const checked of resources.all('addresses')) {
    const { address } = checked.resource
    if (address === undefined) {
      report(
        checked,
        'address',
        'required',
        'no address is given',
        'give the IPv4 or IPv6 address of the load balancer',
      )
      continue
    }
    const read = readFrontendAddress(address)
    if (read.kind === 'usable') addresses.set(checked, read.address)
    else report(checked, 'address', 'invalid', `${quoted(address)} is ${read.why}`, 'give another address')
  }
  return addresses
}

function findAddress(
  compilation: Compilation,
  rule: Rule,
  addresses: ReadonlyMap<ResourceIn<'addresses'>, IpAddress>,
): IpAddress | undefined {
  const { IPAddress: text, ipVersion } = rule.resource
  if (text === undefined) {
    const remedy = 'give an IP address, or a reference to one of addresses'
    compilation.report(rule, 'IPAddress', 'required', 'no address is given', remedy)
    return undefined
  }
  const address = readAddress(compilation, rule, text, addresses)
  if (address === undefined || ipVersion === undefined || ipVersion === 'UNSPECIFIED_VERSION') return address
  const version = address.family === 4 ? 'IPV4' : 'IPV6'
  if (version !== ipVersion) {
    const problem = `${ipVersion} is not the version of ${formatIpAddress(address)}`
    compilation.report(rule, 'ipVersion', 'invalid', problem, `give ${version}, or remove it`)
  }
  return address
}

function readAddress(
  compilation: Compilation,
  rule: Rule,
  text: string,
  addresses: ReadonlyMap<ResourceIn<'addresses'>, IpAddress>,
): IpAddress | undefined {
  if (parseIpAddress(text) === undefined) {
    const resource = resolve(compilation, rule, { path: 'IPAddress', text, collections: ['addresses'] })
    return resource && addresses.get(resource)
  }
  const read = readFrontendAddress(text)
  if (read.kind === 'usable') return read.address
  compilation.report(rule, 'IPAddress', 'invalid', `${quoted(text)} is ${read.why}`, 'give another address')
  return undefined
}

/** Also a rule that cannot be served takes its address and port. */
function checkIsAlone({ report }: Compilation, rule: Rule, address: IpAddress, rules: Map<string, Rule>): void {
  const endpoint = formatEndpoint({ address, port: portOf(rule.resource) })
  const { IPProtocol: protocol } = rule.resource
  const socket = `${protocol} ${endpoint}`
  const first = rules.get(socket)
  if (first === undefined) {
    rules.set(socket, rule)
    return
  }
  const where = first.source === rule.source ? '' : ` in ${first.source}`
  const shown = protocol === 'TCP' ? endpoint : `${endpoint} (UDP)`
  const problem = `${shown} is also the address and port of forwardingRules/${first.name}${where}`
  report(rule, 'portRange', 'conflict', problem, 'give one of the two another address or port')
}

function findProxy(
  compilation: Compilation,
  rule: Rule,
  proxies: ReadonlyMap<TargetProxy, CompiledProxy>,
): CompiledProxy | undefined {
  const collections = ['targetTcpProxies', 'targetSslProxies'] as const
  // The schema demands it.
  const { target: text = '' } = rule.resource
  const target = resolve(compilation, rule, { path: 'target', text, collections })
  return target && proxies.get(target)
}

/** A rule for UDP leads to its service by itself. */
function findService(
  compilation: Compilation,
  rule: Rule,
  services: ReadonlyMap<ResourceIn<'backendServices'>, CompiledService>,
): CompiledProxy | undefined {
  // The schema demands it.
  const { backendService: text = '', proxyHeader = 'NONE', proxyHeaderOptions = [] } = rule.resource
  const path = 'backendService'
  const service = resolve(compilation, rule, { path, text, collections: ['backendServices'] })
  if (service === undefined) return undefined
  const { protocol } = service.resource
  if (protocol !== 'UDP') {
    const problem = `the protocol of backendServices/${service.name}, ${protocol}, is not the IPProtocol UDP of the rule`
    compilation.report(rule, path, 'conflict', problem, 'name a backend service with the protocol UDP')
    return undefined
  }
  const header = compileHeader({ proxyHeader, proxyHeaderOptions })
  return { name: '', proxyHeader: header, backend: services.get(service), tls: undefined }
}
