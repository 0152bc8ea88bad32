import { formatIpAddress } from '../address/ip-address.ts'
import { quoted } from '../compute/problem.ts'
import type { Compilation } from './compilation.ts'
import type { ResourceIn } from './resource-index.ts'
import { readBackendAddress } from './usable-address.ts'

/** Finds the address of every instance that has one; for the others there is a problem. */
export function compileInstances(compilation: Compilation): ReadonlyMap<ResourceIn<'instances'>, string> {
  const addresses = new Map<ResourceIn<'instances'>, string>()
  for (const instance of compilation.resources.all('instances')) {
    const address = compileAddress(compilation, instance)
    if (address !== undefined) addresses.set(instance, address)
  }
  return addresses
}

/** Says whether an instance is one that can serve: a status is not always given, and then it counts as RUNNING. */
export function isRunning({ resource }: ResourceIn<'instances'>): boolean {
  const status: unknown = resource.status
  return status === undefined || status === 'RUNNING'
}

function compileAddress({ report }: Compilation, instance: ResourceIn<'instances'>): string | undefined {
  const path = 'networkInterfaces[0].networkIP'
  const networkIp = instance.resource.networkInterfaces[0]?.networkIP
  if (networkIp === undefined) {
    report(instance, path, 'required', 'the instance has no address', 'give the address that edges connect to')
    return undefined
  }
  const read = readBackendAddress(networkIp)
  if (read.kind === 'usable') return formatIpAddress(read.address)
  report(instance, path, 'invalid', `${quoted(networkIp)} is ${read.why}`, 'give the address that edges connect to')
  return undefined
}
