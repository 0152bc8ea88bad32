import { isMapping, type Mapping, mappingsOf } from '../../compute/json-value.ts'

/** An instance and its project as the controller stores them. */
export type MetadataResources = { readonly instance: StoredInstance; readonly project: StoredProject }

/** An instance; `scope` is `zones/NAME`. */
export type StoredInstance = {
  readonly project: string
  readonly scope: string
  readonly name: string
  /** Decimal digits. */
  readonly id: string
  readonly resource: Mapping
}

/** A project; its id is its number. */
export type StoredProject = { readonly name: string; readonly id: string; readonly resource: Mapping }

/** The keys and values of `metadata` or `commonInstanceMetadata`; those without a value are empty. */
export function metadataItems(metadata: unknown): ReadonlyMap<string, string> {
  const items = isMapping(metadata) ? mappingsOf(metadata.items) : []
  return new Map(items.map(({ key, value }) => [String(key), typeof value === 'string' ? value : '']))
}

/** What an instance without a key of its own has from its project. */
export function effectiveItem({ instance, project }: MetadataResources, key: string): string | undefined {
  const own = metadataItems(instance.resource.metadata).get(key)
  return own ?? metadataItems(project.resource.commonInstanceMetadata).get(key)
}

/** What an identity token tells about an instance, with Google's names. */
export function computeEngineClaims({ instance, project }: MetadataResources) {
  const createdMs = Date.parse(String(instance.resource.creationTimestamp ?? ''))
  return {
    instance_creation_timestamp: Number.isNaN(createdMs) ? 0 : Math.floor(createdMs / 1000),
    instance_id: instance.id,
    instance_name: instance.name,
    project_id: project.name,
    project_number: Number(project.id),
    zone: instance.scope.replace(/^zones\//, ''),
  }
}

/**
 * An instance in the place of a machine that is none, such as a client of the load balancer: so what asks the metadata
 * server there finds an account, which may do everything, a project and a zone.
 */
export function hostInstance(name: string, zone: string, project: StoredProject) {
  const place = `projects/${project.name}/zones/${zone}`
  const serviceAccounts = [{ email: 'default', scopes: ['https://www.googleapis.com/auth/cloud-platform'] }]
  const resource = { machineType: `${place}/machineTypes/e2-micro`, serviceAccounts, networkInterfaces: [] }
  return { project: project.name, scope: `zones/${zone}`, name, id: '1', resource }
}
