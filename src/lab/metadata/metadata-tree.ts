import type { Cidr } from '../../address/cidr.ts'
import { isMapping, type Mapping, mappingsOf } from '../../compute/json-value.ts'
import {
  type Directory,
  fields,
  lines,
  list,
  type MetadataNode,
  named,
  number,
  type ServiceAccount,
  text,
} from './metadata-node.ts'
import { type MetadataResources, metadataItems, type StoredInstance, type StoredProject } from './metadata-resources.ts'
import { networkInterfaceNode } from './network-interface.ts'

/** What is around an instance. */
export type Surroundings = {
  /** Of the network: the mask and the gateway of an interface are those of the one that its address is in. */
  readonly subnets: readonly Cidr[]
  /** What the instance itself has written, by namespace and key. */
  readonly guestAttributes: ReadonlyMap<string, ReadonlyMap<string, string>>
}

/** All that the metadata server shows, with Google's names and forms: `computeMetadata/v1/instance/…`. */
export function metadataTree(resources: MetadataResources, surroundings: Surroundings): Directory {
  const v1 = fields({
    instance: instanceNode(resources, surroundings),
    project: projectNode(resources.project),
    universe: fields({ 'universe-domain': text('googleapis.com') }),
  })
  return fields({ computeMetadata: fields({ v1 }) })
}

/** The accounts of an instance; the first one is also called `default`. */
export function serviceAccountsOf({ instance, project }: MetadataResources): readonly ServiceAccount[] {
  return mappingsOf(instance.resource.serviceAccounts).map(({ email, scopes }) => ({
    // The words of gcloud for an account that the instance was not given by name.
    email: email === 'default' || email === undefined ? defaultEmail(project) : String(email),
    scopes: Array.isArray(scopes) ? scopes.map(String) : [],
  }))
}

function projectNode({ name, id, resource }: StoredProject): MetadataNode {
  return fields({
    attributes: attributesNode(resource.commonInstanceMetadata),
    'numeric-project-id': number(id),
    'project-id': text(name),
  })
}

function instanceNode(resources: MetadataResources, { subnets, guestAttributes }: Surroundings): MetadataNode {
  const { instance, project } = resources
  const { resource } = instance
  const tags = isMapping(resource.tags) && Array.isArray(resource.tags.items) ? resource.tags.items.map(String) : []
  const interfaces = mappingsOf(resource.networkInterfaces)
  return fields({
    attributes: attributesNode(resource.metadata),
    'cpu-platform': text(textOr(resource.cpuPlatform, 'Unknown CPU Platform')),
    description: text(textOr(resource.description, '')),
    disks: list(mappingsOf(resource.disks).map(diskNode)),
    'guest-attributes': named([...guestAttributes].map(([name, keys]) => [name, textsNode(keys)])),
    hostname: text(hostnameOf(instance)),
    id: number(instance.id),
    image: text(imageOf(resource)),
    'legacy-endpoint-access': named([
      ['0.1', number('0')],
      ['v1beta1', number('0')],
    ]),
    licenses: list([]),
    'machine-type': text(`projects/${project.id}/machineTypes/${lastName(resource.machineType)}`),
    'maintenance-event': text('NONE'),
    name: text(instance.name),
    'network-interfaces': list(interfaces.map((one) => networkInterfaceNode(one, project.id, subnets))),
    'partner-attributes': named([]),
    preempted: text('FALSE'),
    'remaining-cpu-time': number('-1'),
    scheduling: schedulingNode(resource.scheduling),
    'service-accounts': serviceAccountsNode(serviceAccountsOf(resources)),
    tags: lines(tags, 'json'),
    'virtual-clock': fields({ 'drift-token': text('0') }),
    zone: text(`projects/${project.id}/zones/${zoneOf(instance)}`),
  })
}

function attributesNode(metadata: unknown): MetadataNode {
  return textsNode(metadataItems(metadata))
}

function textsNode(texts: ReadonlyMap<string, string>): MetadataNode {
  return named([...texts].map(([key, value]) => [key, text(value)]))
}

function diskNode({ deviceName, interface: bus, mode, type }: Mapping, index: number): MetadataNode {
  return fields({
    'device-name': text(textOr(deviceName, `persistent-disk-${index}`)),
    index: number(String(index)),
    interface: text(textOr(bus, 'SCSI')),
    mode: text(textOr(mode, 'READ_WRITE')),
    type: text(textOr(type, 'PERSISTENT')),
  })
}

function schedulingNode(scheduling: unknown): MetadataNode {
  const { automaticRestart, onHostMaintenance, preemptible } = isMapping(scheduling) ? scheduling : {}
  return fields({
    'automatic-restart': text(automaticRestart === false ? 'FALSE' : 'TRUE'),
    'on-host-maintenance': text(textOr(onHostMaintenance, 'MIGRATE')),
    preemptible: text(preemptible === true ? 'TRUE' : 'FALSE'),
  })
}

function serviceAccountsNode(accounts: readonly ServiceAccount[]): MetadataNode {
  const [first] = accounts
  const all = accounts.map((account) => [account.email, accountNode(account, account === first)] as const)
  return named(first === undefined ? [] : [...all, ['default', accountNode(first, true)]])
}

function accountNode(account: ServiceAccount, isDefault: boolean): MetadataNode {
  return fields({
    aliases: lines(isDefault ? ['default'] : []),
    email: text(account.email),
    identity: { kind: 'identity', account },
    scopes: lines(account.scopes),
    token: { kind: 'token', account },
  })
}

function defaultEmail({ id }: StoredProject): string {
  return `${id}-compute@developer.gserviceaccount.com`
}

/** The name that Google's DNS would have: https://cloud.google.com/compute/docs/internal-dns. */
function hostnameOf(instance: StoredInstance): string {
  const { project, name, resource } = instance
  return textOr(resource.hostname, `${name}.${zoneOf(instance)}.c.${project}.internal`)
}

/** The image of the boot disk, as a path; empty: the instance was made without. */
function imageOf({ disks }: Mapping): string {
  const [boot] = mappingsOf(disks)
  const parameters = boot?.initializeParams
  const image = isMapping(parameters) ? textOr(parameters.sourceImage, '') : ''
  return image.slice(Math.max(0, image.indexOf('projects/')))
}

function zoneOf({ scope }: StoredInstance): string {
  return lastName(scope)
}

function lastName(link: unknown): string {
  return textOr(link, '').split('/').at(-1) ?? ''
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' && value !== '' ? value : otherwise
}
