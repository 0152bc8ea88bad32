import assert from 'node:assert/strict'
import { isMapping, type Mapping } from '../../compute/json-value.ts'
import type { TestApi } from './test-api.ts'
import type { Plan } from './test-terraform.ts'

const ZONE = 'zones/us-central1-b'
/** How each argument that can be changed is sent; what is not here replaces the instance. */
const UPDATES = ['tags', 'labels', 'metadata', 'deletion_protection', 'machine_type', 'desired_status', 'access_config']

/**
 * `google_compute_instance` of HashiCorp's provider "google". It is not made of a table there: it reads its boot disk by
 * itself, stops an instance to change its machine, and sends each change to a method of its own.
 */
export class TerraformInstance {
  readonly #api: TestApi
  readonly path: string
  #config: Mapping

  constructor(api: TestApi, config: Mapping) {
    this.#api = api
    this.#config = config
    this.path = `${ZONE}/instances/${config.name}`
  }

  async create(): Promise<void> {
    const { name, tags = [], labels = {}, metadata = {}, description, network_ip: networkIP } = this.#config
    const image = await this.#api.get('/compute/v1/projects/debian-cloud/global/images/family/debian-12')
    await this.#api.get(ZONE)
    await this.#api.change('POST', `${ZONE}/instances`, {
      name,
      ...(description === undefined ? {} : { description }),
      canIpForward: false,
      deletionProtection: this.#config.deletion_protection ?? false,
      machineType: `projects/p/${ZONE}/machineTypes/${this.#config.machine_type}`,
      disks: [
        {
          autoDelete: true,
          boot: true,
          initializeParams: {
            diskSizeGb: '10',
            diskType: `${ZONE}/diskTypes/pd-standard`,
            sourceImage: image.selfLink,
          },
          mode: 'READ_WRITE',
        },
      ],
      labels,
      metadata: { items: metadataItems(metadata) },
      networkInterfaces: [
        {
          network: 'projects/p/global/networks/default',
          ...(networkIP === undefined ? {} : { networkIP }),
          ...(this.#config.access_config === true ? { accessConfigs: [{ type: 'ONE_TO_ONE_NAT' }] } : {}),
        },
      ],
      params: {},
      scheduling: { automaticRestart: true },
      tags: { items: tags },
    })
    if (this.#config.desired_status === 'TERMINATED') await this.#post('stop')
  }

  async update(config: Mapping): Promise<void> {
    const before = this.#config
    this.#config = config
    const changed = [...new Set([...Object.keys(before), ...Object.keys(config)])].filter((name) => {
      return JSON.stringify(before[name]) !== JSON.stringify(config[name])
    })
    assert.deepEqual(
      changed.filter((name) => !UPDATES.includes(name)),
      [],
      'the instance would be replaced',
    )
    for (const name of changed) await this.#send(name)
  }

  async plan(): Promise<Plan> {
    const { labels = {}, tags = [], metadata = {}, deletion_protection: isProtected = false } = this.#config
    const read = await this.#api.get(this.path)
    const [boot, ...others] = read.disks as readonly Mapping[]
    const disk = await this.#api.get(pathOfUrl(boot.source))
    const [nic] = read.networkInterfaces as readonly Mapping[]
    const accessConfigs = (nic.accessConfigs ?? []) as readonly Mapping[]
    const items = ((read.metadata as Mapping).items ?? []) as readonly Mapping[]
    const pairs: readonly (readonly [name: string, found: unknown, wanted: unknown])[] = [
      ['machine_type', lastOf(read.machineType), this.#config.machine_type],
      ['zone', lastOf(read.zone), lastOf(ZONE)],
      ['labels', read.labels ?? {}, labels],
      ['tags', sorted((read.tags as Mapping).items), sorted(tags)],
      ['metadata', Object.fromEntries(items.map(({ key, value }) => [key, value])), metadata],
      ['deletion_protection', read.deletionProtection ?? false, isProtected],
      ['can_ip_forward', read.canIpForward ?? false, false],
      ['description', read.description, this.#config.description],
      ['desired_status', read.status, this.#config.desired_status ?? 'RUNNING'],
      [
        'boot_disk',
        [boot.autoDelete, boot.mode, disk.sizeGb, lastOf(disk.type)],
        [true, 'READ_WRITE', '10', 'pd-standard'],
      ],
      ['boot_disk.users', (disk.users as readonly unknown[]).map(lastOf), [this.#config.name]],
      ['attached_disk', others, []],
      ['network_interface.network', lastOf(nic.network), 'default'],
      ['network_interface.network_ip', nic.networkIP, this.#config.network_ip ?? nic.networkIP],
      ['network_interface.access_config', accessConfigs.length, this.#config.access_config === true ? 1 : 0],
      ['scheduling.automatic_restart', isMapping(read.scheduling) && read.scheduling.automaticRestart, true],
    ]
    return pairs.flatMap(([name, found, wanted]) => {
      const texts = [JSON.stringify(found), JSON.stringify(wanted)]
      return texts[0] === texts[1] ? [] : [`change ${name}: ${texts.join(' -> ')}`]
    })
  }

  async #send(argument: string): Promise<void> {
    const { tags = [], labels = {}, metadata = {}, machine_type: machineType } = this.#config
    const read = await this.#api.get(this.path)
    switch (argument) {
      case 'tags':
        return this.#post('setTags', { items: tags, fingerprint: (read.tags as Mapping).fingerprint })
      case 'labels':
        return this.#post('setLabels', { labels, labelFingerprint: read.labelFingerprint })
      case 'metadata': {
        const { fingerprint } = read.metadata as Mapping
        return this.#post('setMetadata', { items: metadataItems(metadata), fingerprint })
      }
      case 'deletion_protection':
        return this.#post(`setDeletionProtection?deletionProtection=${this.#config.deletion_protection ?? false}`)
      case 'desired_status':
        return this.#post(this.#config.desired_status === 'TERMINATED' ? 'stop' : 'start')
      case 'access_config':
        return this.#config.access_config === true
          ? this.#post('addAccessConfig?networkInterface=nic0', { type: 'ONE_TO_ONE_NAT' })
          : this.#post('deleteAccessConfig?networkInterface=nic0&accessConfig=External%20NAT')
      default:
        await this.#post('stop')
        await this.#post('setMachineType', { machineType: `${ZONE}/machineTypes/${machineType}` })
        return this.#post('start')
    }
  }

  async #post(action: string, body?: Mapping): Promise<void> {
    await this.#api.change('POST', `${this.path}/${action}`, body)
  }
}

function metadataItems(metadata: unknown): readonly Mapping[] {
  return Object.entries(metadata as Mapping).map(([key, value]) => ({ key, value }))
}

/** What comes behind the project in a URL. */
function pathOfUrl(url: unknown): string {
  return String(url).replace(/^.*\/projects\/[^/]+\//, '')
}

function lastOf(url: unknown): string {
  return String(url).replace(/^.*\//, '')
}

function sorted(list: unknown): readonly unknown[] {
  return [...((list ?? []) as readonly unknown[])].sort()
}
