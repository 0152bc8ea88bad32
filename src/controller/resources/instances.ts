import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type Cidr, formatCidr, parseCidr } from '../../address/cidr.ts'
import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { serverDefaults } from '../../compute/server-defaults.ts'
import { readBackendAddress } from '../../snapshot/usable-address.ts'
import type { Call } from '../methods/call.ts'
import { ApiError, invalidField } from '../model/api-error.ts'
import { fingerprintOf } from '../model/fingerprint.ts'
import { hostLink, publicAddressesOf } from '../model/reference-index.ts'
import { otherLink, pathOf, regionOf } from '../model/resource-paths.ts'
import type { StoredResource } from '../store/store.ts'
import { firstFree, isGateway } from './address-pool.ts'
import type { Behaviour, Draft } from './behaviour.ts'
import { membersWithout, refuseLocalBackend } from './groups.ts'
import { ipv6Fields } from './ipv6-addresses.ts'
import { type NatPlace, withNatIps } from './nat-addresses.ts'
import { defaultServiceAccount } from './project.ts'

/** Google's subnets of the default network, for those who know them by heart; of other regions a hash decides. */
const SUBNETS: Readonly<Record<string, string>> = {
  'us-central1': '10.128.0.0/20',
  'europe-west1': '10.132.0.0/20',
  'us-west1': '10.138.0.0/20',
  'asia-east1': '10.140.0.0/20',
  'us-east1': '10.142.0.0/20',
  'asia-northeast1': '10.146.0.0/20',
  'asia-southeast1': '10.148.0.0/20',
  'us-east4': '10.150.0.0/20',
  'australia-southeast1': '10.152.0.0/20',
  'europe-west2': '10.154.0.0/20',
  'europe-west3': '10.156.0.0/20',
  'europe-west4': '10.164.0.0/20',
}
const NO_ADDRESS =
  'No address was given, so one of the subnet was chosen, and no machine was made; to make the instance an existing host, give its address with --private-network-ip (networkInterfaces[0].networkIP)'

/** Instances: existing hosts at the addresses that are given, or machines that somebody makes at theirs. */
export const instances: Behaviour = {
  prepare: prepareInstance,
  keep: keepMachine,
  complete: completeInstance,
  release: (stored, call, users) => {
    if (stored.resource.deletionProtection === true) {
      const message = `Resource cannot be deleted if it's protected against deletion. Invalid resource: '${pathOf(stored)}'`
      throw new ApiError(400, { message, reason: 'invalid' })
    }
    return membersWithout(call, stored, users)
  },
}

/** The status is the server’s, and every instance has an interface. */
function prepareInstance({ status: _, ...body }: Mapping): Mapping {
  const { networkInterfaces } = body
  const isNone = networkInterfaces === undefined || (Array.isArray(networkInterfaces) && networkInterfaces.length === 0)
  return isNone ? { ...body, networkInterfaces: [{}] } : body
}

/** What runs goes on, and an interface whose address is not said keeps the one that it has. */
function keepMachine(body: Mapping, { resource }: StoredResource): Mapping {
  const { status } = resource
  const before = resource.networkInterfaces as readonly Mapping[]
  const { networkInterfaces } = body
  if (networkInterfaces === undefined) return { ...body, status, networkInterfaces: before }
  if (!Array.isArray(networkInterfaces)) return { ...body, status }
  const kept = networkInterfaces.map((one: unknown, index) => {
    const isWithout = isMapping(one) && (one.networkIP ?? '') === '' && before[index] !== undefined
    return isWithout ? { ...one, networkIP: before[index].networkIP } : one
  })
  return { ...body, status, networkInterfaces: kept }
}

function completeInstance({ key, fields, warnings }: Draft, call: Call, stored: StoredResource | undefined): void {
  if (Array.isArray(fields.serviceAccounts)) {
    fields.serviceAccounts = completeAccounts(fields.serviceAccounts, call, key.project)
  }
  const interfaces = fields.networkInterfaces as readonly Mapping[]
  const before = stored?.resource.networkInterfaces as readonly Mapping[] | undefined
  const taken: string[] = []
  fields.networkInterfaces = interfaces.map((given, index) => {
    const completed = completeInterface(given, index, call, { key, taken, before: before?.[index] })
    taken.push(String(completed.networkIP), ...publicAddressesOf(completed))
    return completed
  })
  if (stored === undefined) {
    const isMachine = call.world.machines !== undefined || interfaces[0]?.networkIP !== undefined
    if (!isMachine) warnings.push({ code: 'EXTERNAL_API_WARNING', message: NO_ADDRESS })
    fields.status = 'RUNNING'
    fields.lastStartTimestamp = new Date(call.now).toISOString()
  }
  fields.machineType ??= `projects/${key.project}/${key.scope}/machineTypes/${serverDefaults.instances.machineType}`
  if (Array.isArray(fields.disks)) fields.disks = fields.disks.map((disk, index) => completeDisk(disk, index, key))
  fields.cpuPlatform ??= 'Unknown CPU Platform'
  fields.startRestricted = false
  fields.labelFingerprint = fingerprintOf(fields.labels ?? {})
  const { items: tags } = fields.tags as Mapping
  fields.tags = { items: tags, fingerprint: fingerprintOf(tags) }
  const { items: metadata } = fields.metadata as Mapping
  fields.metadata = { kind: 'compute#metadata', items: metadata, fingerprint: fingerprintOf(metadata) }
}

/** What Google's servers say of a disk: which one it is, and how it is attached. */
function completeDisk(disk: unknown, index: number, { project, scope, name }: Draft['key']): unknown {
  if (!isMapping(disk)) return disk
  const { source = index === 0 ? name : `${name}-${index}` } = disk
  return {
    kind: 'compute#attachedDisk',
    type: 'PERSISTENT',
    mode: 'READ_WRITE',
    index,
    deviceName: `persistent-disk-${index}`,
    boot: index === 0,
    ...disk,
    source: typeof source === 'string' ? otherLink(project, scope, 'disks', source) : source,
  }
}

/** The account that stands for the project’s own. */
function completeAccounts(accounts: readonly unknown[], { world }: Call, project: string): readonly unknown[] {
  return accounts.map((account) => {
    const isDefault = isMapping(account) && account.email === 'default'
    return isDefault ? { ...account, email: defaultServiceAccount(world.store, project) } : account
  })
}

function completeInterface(
  given: Mapping,
  index: number,
  call: Call,
  { key, taken, before }: Pick<NatPlace, 'key' | 'taken' | 'before'>,
): Mapping {
  const path = `resource.networkInterfaces[${index}]`
  const own = pathOf(key)
  const isTaken = (address: string) => {
    const users = call.world.references.usersOf(hostLink(key.project, address))
    return taken.includes(address) || users.some((user) => user !== own)
  }
  const networkIP = typeof given.networkIP === 'string' ? given.networkIP : freeAddress(key, isTaken)
  if (isTaken(networkIP)) throw invalidField(`${path}.networkIP`, networkIP, 'It is the address of another instance')
  const read = readBackendAddress(networkIP)
  if (read.kind === 'unusable') throw invalidField(`${path}.networkIP`, networkIP, `It is ${read.why}`)
  if (call.world.machines !== undefined && before?.networkIP !== networkIP) {
    requireInSubnet(key, `${path}.networkIP`, networkIP)
  }
  // One that is stored stays: an older controller took it.
  if (!call.world.references.usersOf(hostLink(key.project, networkIP)).includes(own)) {
    refuseLocalBackend(call.world, `${path}.networkIP`, networkIP)
  }
  const { accessConfigs } = given
  const place = { key, path, networkIP, taken, before }
  const whole = {
    ...given,
    kind: 'compute#networkInterface',
    name: `nic${index}`,
    network: given.network ?? `projects/${key.project}/global/networks/default`,
    networkIP,
    ...(Array.isArray(accessConfigs) ? { accessConfigs: withNatIps(call.world, accessConfigs, place) } : {}),
    ...ipv6Fields(call.world, given, place),
  }
  return { ...whole, fingerprint: fingerprintOf({ ...whole, fingerprint: undefined }) }
}

function freeAddress({ scope }: Draft['key'], isTaken: (address: string) => boolean): string {
  const region = regionOf(scope)
  const subnet = subnetOf(region)
  const free = firstFree([subnet], (address) => isTaken(address) || isGateway(subnet, address))
  if (free !== undefined) return free
  const message = `The subnet of ${region} has no address left; give one with --private-network-ip`
  throw new ApiError(403, { message, reason: 'quotaExceeded' })
}

/** The address of a machine leads to its region. @throws ApiError */
function requireInSubnet({ scope }: Draft['key'], field: string, networkIP: string): void {
  const region = regionOf(scope)
  const subnet = subnetOf(region)
  const isUsable = firstFree([subnet], (address) => address !== networkIP) !== undefined
  if (isUsable && !isGateway(subnet, networkIP)) return
  const rule = `It is not an address for an instance of ${region}; give one of ${formatCidr(subnet)}`
  throw invalidField(field, networkIP, rule)
}

function subnetOf(region: string): Cidr {
  const hash = createHash('sha256').update(region).digest()
  const subnet = parseCidr(SUBNETS[region] ?? `10.${170 + (hash[0] % 80)}.${hash[1] & 0xf0}.0/20`)
  assert(subnet !== undefined, 'Subnets are written here')
  return subnet
}
