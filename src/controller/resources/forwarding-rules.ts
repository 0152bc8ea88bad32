import { parseIpAddress } from '../../address/ip-address.ts'
import { portOf } from '../../compute/forwarding-rule.ts'
import { serverDefaults } from '../../compute/server-defaults.ts'
import { readFrontendAddress } from '../../snapshot/usable-address.ts'
import type { Call } from '../methods/call.ts'
import { invalidField } from '../model/api-error.ts'
import { fingerprintOf } from '../model/fingerprint.ts'
import { addressLink } from '../model/reference-index.ts'
import { pathOf, storedAt } from '../model/resource-paths.ts'
import type { StoredResource } from '../store/store.ts'
import { foreignAddress, leadsToMachine, takeAddress } from './address-pool.ts'
import { ADDRESS_CONFLICT } from './addresses.ts'
import type { Behaviour, Draft } from './behaviour.ts'
import { resolveResource } from './resolve-link.ts'

const OF_INSTANCE = `${ADDRESS_CONFLICT}: an instance has it; give another address`

/** Forwarding rules: their address is kept as an IP address, whatever way it was given. */
export const forwardingRules: Behaviour = { complete: completeRule, changesListeners: true }

function completeRule(draft: Draft, call: Call, stored: StoredResource | undefined): void {
  const { fields } = draft
  const given = fields.IPAddress
  const address = typeof given === 'string' ? readAddress(draft, call, given) : freshAddress(fields, call, stored)
  // One that is stored stays: the operator may have taken it out of the pools since.
  if (address !== stored?.resource.IPAddress) {
    const problem = leadsToMachine(call.world, address) ? OF_INSTANCE : foreignAddress(call.world, address)
    if (problem !== undefined) throw invalidField('resource.IPAddress', String(given), problem)
  }
  const version = parseIpAddress(address)?.family === 6 ? 'IPV6' : 'IPV4'
  if (fields.ipVersion !== undefined && fields.ipVersion !== 'UNSPECIFIED_VERSION' && fields.ipVersion !== version) {
    throw invalidField('resource.ipVersion', String(fields.ipVersion), `It is not the IP version of ${address}`)
  }
  fields.IPAddress = address
  if (fields.ipVersion === 'UNSPECIFIED_VERSION') delete fields.ipVersion
  fields.networkTier ??= serverDefaults.forwardingRules.networkTier
  fields.labelFingerprint = fingerprintOf(fields.labels ?? {})
  checkIsAlone(draft, call, address)
}

function readAddress({ key }: Draft, call: Call, text: string): string {
  const field = { path: 'IPAddress', collections: ['addresses'] } as const
  const address = parseIpAddress(text) ? text : String(resolveResource(call, key, text, field).resource.address)
  const read = readFrontendAddress(address)
  if (read.kind === 'unusable') throw invalidField('resource.IPAddress', text, `It is ${read.why}`)
  return address
}

function freshAddress(fields: Draft['fields'], { world }: Call, stored: StoredResource | undefined): string {
  if (stored !== undefined) return String(stored.resource.IPAddress)
  return takeAddress(world, fields.ipVersion === 'IPV6' ? 'IPV6' : 'IPV4')
}

/** One that was stored before there was a choice need not say it. */
function protocolOf({ IPProtocol }: Draft['fields']): unknown {
  return IPProtocol ?? serverDefaults.forwardingRules.IPProtocol
}

/** Projects share the addresses of the edges. */
function checkIsAlone({ key, fields }: Draft, { world }: Call, address: string): void {
  const port = portOf(fields)
  for (const path of world.references.usersOf(addressLink(address))) {
    const rule = path === pathOf(key) ? undefined : storedAt(world.store, path)
    if (rule === undefined || portOf(rule.resource) !== port) continue
    if (protocolOf(rule.resource) !== protocolOf(fields)) continue
    const why = `${ADDRESS_CONFLICT}: '${path}' has its port ${port}; give another port or address`
    throw invalidField('resource.IPAddress', address, why)
  }
}
