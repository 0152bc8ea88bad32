import { defineResource } from './resource.ts'
import { integer, list, object, oneOf, optional, outputOnly, recorded, reference, text, unsupported } from './schema.ts'
import { serverDefaults } from './server-defaults.ts'

const PORT_MAX = 65_535
const SERVERLESS = 'For groups without addresses.'

const networkEndpoint = object('An endpoint.', {
  ipAddress: text('The address.', { format: 'ip', examples: ['10.128.0.2'] }),
  port: optional(integer('The port; without it, `defaultPort`.', 1, PORT_MAX, { examples: [110] })),
  instance: optional(reference('The instance that has the address; not used.', ['instances'])),
  annotations: recorded('Data about the endpoint; not used.'),
  ipv6Address: unsupported('A second address.', [], 'remove it, or list it as another ipAddress'),
  fqdn: unsupported('A name in place of the address.', [], 'give the address as ipAddress'),
  clientDestinationPort: unsupported('Port of a Private Service Connect consumer.'),
})

/** Network endpoint groups (`compute#networkEndpointGroup`). */
export const networkEndpointGroups = defineResource(
  {
    kind: 'compute#networkEndpointGroup',
    scopes: ['zone'],
    description: 'Addresses and ports that serve together.',
  },
  {
    networkEndpointType: oneOf(
      'The kind of addresses, which makes no difference here.',
      ['GCE_VM_IP_PORT', 'NON_GCP_PRIVATE_IP_PORT'],
      {
        default: serverDefaults.networkEndpointGroups.networkEndpointType,
        unsupported: [
          'GCE_VM_IP',
          'GCE_VM_IP_PORTMAP',
          'INTERNET_FQDN_PORT',
          'INTERNET_IP_PORT',
          'PRIVATE_SERVICE_CONNECT',
          'SERVERLESS',
        ],
        remedy: 'give GCE_VM_IP_PORT or NON_GCP_PRIVATE_IP_PORT, and addresses with ports',
      },
    ),
    defaultPort: optional(integer('Port of endpoints that have none of their own.', 1, PORT_MAX, { examples: [110] })),
    networkEndpoints: list(
      'Extension of this project: the endpoints, which Google keeps apart from the group.',
      networkEndpoint,
      { default: [] },
    ),
    network: recorded('Network of the endpoints; not used.'),
    subnetwork: recorded('Subnetwork of the endpoints; not used.'),
    annotations: recorded('Data about the group; not used.'),
    size: outputOnly('Number of endpoints.'),
    loadBalancer: outputOnly('Load balancer of an older form.'),
    appEngine: unsupported(SERVERLESS),
    cloudFunction: unsupported(SERVERLESS),
    cloudRun: unsupported(SERVERLESS),
    serverlessDeployment: unsupported(SERVERLESS),
    pscData: unsupported(SERVERLESS),
    pscTargetService: unsupported(SERVERLESS),
  },
  {
    rules: (rule) => [
      rule(['defaultPort', 'networkEndpoints'], ({ defaultPort, networkEndpoints }, report) => {
        const seen = new Map<string, number>()
        for (const [index, { ipAddress, port = defaultPort }] of networkEndpoints.entries()) {
          const path = `networkEndpoints[${index}]`
          if (port === undefined) report(`${path}.port`, 'the port is missing', 'give it, or defaultPort', 'required')
          const first = seen.get(`${ipAddress} ${port}`)
          if (first === undefined) seen.set(`${ipAddress} ${port}`, index)
          else report(path, `it is the endpoint networkEndpoints[${first}]`, 'remove one of them', 'conflict')
        }
      }),
    ],
  },
)
