import { serverDefaults } from '../../compute/server-defaults.ts'
import { readFrontendAddress } from '../../snapshot/usable-address.ts'
import type { Call } from '../methods/call.ts'
import { invalidField } from '../model/api-error.ts'
import { fingerprintOf } from '../model/fingerprint.ts'
import { reservationLink } from '../model/reference-index.ts'
import type { StoredResource } from '../store/store.ts'
import { foreignAddress, takeAddress } from './address-pool.ts'
import type { Behaviour, Draft } from './behaviour.ts'
import { addressUsers } from './resource-view.ts'
import { inUse } from './stored-form.ts'

/** Google's words for an address that somebody else has. */
export const ADDRESS_CONFLICT = 'Specified IP address is in-use and would result in a conflict'

/** Addresses: given by the client, or taken from a pool. */
export const addresses: Behaviour = {
  complete: completeAddress,
  release: (stored, { world }) => {
    const [user] = addressUsers(world, stored)
    if (user !== undefined) throw inUse(stored, user)
    return []
  },
}

function completeAddress({ fields }: Draft, { world }: Call, stored: StoredResource | undefined): void {
  if (fields.ipVersion === 'UNSPECIFIED_VERSION') delete fields.ipVersion
  const { address, ipVersion = 'IPV4' } = fields
  if (typeof address !== 'string') fields.address = takeAddress(world, ipVersion as 'IPV4' | 'IPV6')
  else if (stored === undefined) checkAddress(world, address)
  fields.networkTier ??= serverDefaults.addresses.networkTier
  fields.labelFingerprint = fingerprintOf(fields.labels ?? {})
}

function checkAddress(world: Call['world'], address: string): void {
  const [holder] = world.references.usersOf(reservationLink(address))
  if (holder !== undefined) {
    throw invalidField('resource.address', address, `${ADDRESS_CONFLICT}: it is reserved as '${holder}'`)
  }
  const read = readFrontendAddress(address)
  if (read.kind === 'unusable') throw invalidField('resource.address', address, `It is ${read.why}`)
  const foreign = foreignAddress(world, address)
  if (foreign !== undefined) throw invalidField('resource.address', address, foreign)
}
