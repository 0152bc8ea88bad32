import { NAME_PATTERN } from './reference.ts'
import { defineResource } from './resource.ts'
import { integer, list, object, outputOnly, recorded, reference, text } from './schema.ts'

const namedPort = object('A name for a port.', {
  name: text('Name of the port.', { pattern: NAME_PATTERN, maxLength: 63, examples: ['tcp110'] }),
  port: integer('The port.', 1, 65_535, { examples: [110] }),
})

/** Instance groups (`compute#instanceGroup`). */
export const instanceGroups = defineResource(
  {
    kind: 'compute#instanceGroup',
    scopes: ['zone', 'region'],
    description: 'Instances that serve together, and the names of their ports.',
  },
  {
    namedPorts: list('Names for ports, which backend services use.', namedPort, { default: [] }),
    instances: list(
      'Extension of this project: the members of the group, which Google keeps apart from it.',
      reference('An instance.', ['instances']),
      { default: [] },
    ),
    network: recorded('Network of the members; not used.'),
    subnetwork: recorded('Subnetwork of the members; not used.'),
    size: outputOnly('Number of members.'),
    isManaged: outputOnly('Added by gcloud.'),
    instanceGroupManagerUri: outputOnly('Added by gcloud.'),
    autoscaled: outputOnly('Added by gcloud.'),
    autoscaler: outputOnly('Added by gcloud.'),
  },
  {
    rules: (rule) => [
      rule(['instances'], ({ instances }, report) => {
        const seen = new Map<string, number>()
        for (const [index, instance] of instances.entries()) {
          const first = seen.get(instance)
          if (first === undefined) seen.set(instance, index)
          else
            report(`instances[${index}]`, `it is the instance of instances[${first}]`, 'remove one of them', 'conflict')
        }
      }),
    ],
  },
)
