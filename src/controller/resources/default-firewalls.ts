import { checkResource } from '../../compute/check-resource.ts'
import type { Mapping } from '../../compute/json-value.ts'
import type { ResourceKey, StoredResource } from '../store/store.ts'
import { withFingerprint } from './stored-form.ts'

/** After every rule that somebody makes without a priority, and before the implied ones, which no resource is about. */
const PRIORITY = 65_534
const EVERYBODY = ['0.0.0.0/0']

/** Google's rules of the default network; whoever does not want them deletes them. */
const RULES: readonly Mapping[] = [
  {
    name: 'default-allow-icmp',
    description: 'Allow ICMP from anywhere',
    allowed: [{ IPProtocol: 'icmp' }],
    sourceRanges: EVERYBODY,
  },
  {
    name: 'default-allow-internal',
    description: 'Allow internal traffic on the default network',
    allowed: [
      { IPProtocol: 'tcp', ports: ['0-65535'] },
      { IPProtocol: 'udp', ports: ['0-65535'] },
      { IPProtocol: 'icmp' },
    ],
    sourceRanges: ['10.128.0.0/9'],
  },
  {
    name: 'default-allow-rdp',
    description: 'Allow RDP from anywhere',
    allowed: [{ IPProtocol: 'tcp', ports: ['3389'] }],
    sourceRanges: EVERYBODY,
  },
  {
    name: 'default-allow-ssh',
    description: 'Allow SSH from anywhere',
    allowed: [{ IPProtocol: 'tcp', ports: ['22'] }],
    sourceRanges: EVERYBODY,
  },
]

/** The rules that a new project begins with, as they are stored. */
export function defaultFirewalls(project: string): readonly (ResourceKey & Pick<StoredResource, 'resource'>)[] {
  return RULES.map(({ name, ...rule }) => {
    const key = { project, collection: 'firewalls', scope: 'global', name: String(name) }
    const body = { name, ...rule, network: `projects/${project}/global/networks/default`, priority: PRIORITY }
    const result = checkResource('firewalls', body, '', { kind: 'global' })
    if ('problems' in result) throw new Error(`The rule "${name}" is not sound`)
    return { ...key, resource: withFingerprint(key, result.checked.resource as Mapping) }
  })
}
