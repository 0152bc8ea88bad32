import type { Report, ValueOf } from './json-schema.ts'
import { loadBalancingScheme } from './load-balancing-scheme.ts'
import { datagramHeaderFields, optionsProblem } from './proxy-header.ts'
import { defineResource } from './resource.ts'
import { list, oneOf, optional, outputOnly, recorded, reference, text, texts, unsupported } from './schema.ts'
import { serverDefaults } from './server-defaults.ts'

const ONE_PORT = 'give one port, such as "110"; another port takes another forwarding rule'
const NO_TARGET = 'remove it and name a target TCP or SSL proxy in target'
const NO_SERVICE = 'remove it and name a backend service with the protocol UDP in backendService'

/** Forwarding rules (`compute#forwardingRule`). */
export const forwardingRules = defineResource(
  {
    kind: 'compute#forwardingRule',
    scopes: ['global', 'region'],
    description:
      'One address and port that clients connect to, and what serves them: a target proxy or, for UDP, a backend service.',
  },
  {
    IPAddress: optional(
      text('The IPv4 or IPv6 address, or a reference to one of `addresses`.', {
        format: 'ip-or-address-reference',
        examples: ['203.0.113.10'],
      }),
    ),
    IPProtocol: oneOf(
      'Protocol of the clients. UDP is an extension of this project where the rule is global, or its scheme EXTERNAL_MANAGED: Google has it for regional load balancers that are not proxies.',
      ['TCP', 'UDP'],
      {
        default: serverDefaults.forwardingRules.IPProtocol,
        unsupported: ['ESP', 'AH', 'SCTP', 'ICMP', 'L3_DEFAULT'],
        remedy: 'give TCP or UDP',
      },
    ),
    portRange: optional(text('The port, as `110` or `110-110`.', { format: 'one-port-range', examples: ['110'] })),
    ports: optional(
      list('The port as a list of one; kept as `portRange`.', text('A port.', { format: 'port', examples: ['110'] })),
    ),
    target: optional(reference('With TCP: the target proxy.', ['targetTcpProxies', 'targetSslProxies'])),
    backendService: optional(reference('With UDP: the backend service, whose protocol is UDP.', ['backendServices'])),
    ...datagramHeaderFields,
    loadBalancingScheme: loadBalancingScheme({ default: serverDefaults.forwardingRules.loadBalancingScheme }),
    ipVersion: optional(oneOf('Version of an address that a server assigns.', ['IPV4', 'IPV6', 'UNSPECIFIED_VERSION'])),
    networkTier: optional(
      oneOf('Recorded: there are no network tiers here.', ['PREMIUM', 'STANDARD', 'FIXED_STANDARD']),
    ),
    labels: optional(texts('Labels, by name.')),
    labelFingerprint: outputOnly('Hash of the labels.'),
    attachedExtensions: outputOnly('Extensions of other products.'),
    baseForwardingRule: outputOnly('Rule that this one narrows.'),
    pscConnectionId: outputOnly('Number of a Private Service Connect connection.'),
    pscConnectionStatus: outputOnly('State of a Private Service Connect connection.'),
    serviceName: outputOnly('Name in DNS of an internal load balancer.'),
    allPorts: unsupported('Every port; for load balancers that are not proxies.', [], ONE_PORT),
    sourceIpRanges: unsupported('Clients to serve.', [], 'remove it and limit the clients by a firewall of the host'),
    allowGlobalAccess: unsupported('Reach of an internal load balancer.'),
    allowPscGlobalAccess: unsupported('Reach of a Private Service Connect end point.'),
    isMirroringCollector: unsupported('Collector of mirrored packets.'),
    metadataFilters: unsupported('Which xDS clients see the rule.'),
    network: recorded('Network of an internal load balancer; not used.'),
    subnetwork: recorded('Subnetwork of an internal load balancer; not used.'),
    noAutomateDnsZone: recorded('DNS of a Private Service Connect end point; not used.'),
    serviceLabel: recorded('Name in DNS of an internal load balancer; not used.'),
    serviceDirectoryRegistrations: recorded('Service Directory; not used.'),
    ipCollection: recorded('Where a server takes the address from; not used.'),
    externalManagedBackendBucketMigrationState: recorded('Migration of backend buckets; not used.'),
    externalManagedBackendBucketMigrationTestingPercentage: recorded('Migration of backend buckets; not used.'),
  },
  {
    rules: (rule) => [
      rule(['IPProtocol', 'target', 'backendService', 'proxyHeader', 'proxyHeaderOptions'], checkProtocol),
      rule(['portRange', 'ports'], ({ portRange, ports }, report) => {
        const given = ports === undefined || ports.length === 0 ? 0 : ports.length
        if (given > 1) report('ports', `there are ${given} ports, not one`, ONE_PORT)
        else if (portRange === undefined && given === 0) report('portRange', 'no port is given', ONE_PORT, 'required')
        else if (portRange !== undefined && given === 1 && portRange !== rangeOf(ports?.[0])) {
          report('ports', `${ports?.[0]} is not the port of portRange, ${portRange}`, 'remove one of them', 'conflict')
        }
      }),
    ],
    normalize: ({ ports, ...rule }) => ({ ...rule, portRange: rule.portRange ?? rangeOf(ports?.[0]) }),
  },
)

/** The port of a checked forwarding rule. */
export function portOf({ portRange }: Pick<ValueOf<typeof forwardingRules.schema>, 'portRange'>): number {
  return Number(portRange?.split('-')[0])
}

type ProtocolFields = {
  readonly IPProtocol: 'TCP' | 'UDP'
  readonly target?: string
  readonly backendService?: string
  readonly proxyHeader?: string
  readonly proxyHeaderOptions?: readonly string[]
}

/** TCP goes through a target proxy, which also says of the header; UDP has none. */
function checkProtocol({ IPProtocol: protocol, target, backendService, ...header }: ProtocolFields, report: Report) {
  const { proxyHeader = 'NONE', proxyHeaderOptions: options = [] } = header
  if (protocol === 'UDP') {
    if (target !== undefined) report('target', 'a target proxy does not take UDP', NO_SERVICE, 'conflict')
    else if (backendService === undefined) {
      const remedy = 'name a backend service with the protocol UDP'
      report('backendService', 'no backend service is given', remedy, 'required')
    }
    const problem = optionsProblem(proxyHeader, options)
    if (problem !== undefined) report('proxyHeaderOptions', ...problem)
    return
  }
  if (backendService !== undefined) {
    report('backendService', 'it cannot be used with the IPProtocol TCP', NO_TARGET, 'conflict')
  } else if (target === undefined) {
    report('target', 'no target proxy is given', 'name a target TCP or SSL proxy', 'required')
  }
  for (const name of ['proxyHeader', 'proxyHeaderOptions'] as const) {
    if (header[name] === undefined) continue
    report(name, 'it cannot be used with the IPProtocol TCP', 'remove it and set it at the target proxy', 'conflict')
  }
}

function rangeOf(port: string | undefined): string {
  return `${port}-${port}`
}
