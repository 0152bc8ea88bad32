import { NAME_PATTERN } from './reference.ts'
import { defineResource } from './resource.ts'
import { flag, list, object, optional, outputOnly, recorded, text, texts } from './schema.ts'

const LABEL = '[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?'
/** An empty one is none. */
const HOST_NAME = `^(?:(?:${LABEL}\\.)*${LABEL})?$`

const networkInterface = object('A network interface.', {
  networkIP: optional(text('The address that edges connect to.', { format: 'ip', examples: ['10.128.0.2'] })),
  ipv6Address: optional(text('An IPv6 address of the interface; edges do not use it.', { format: 'ip-or-range' })),
  name: recorded('Name of the interface.'),
  network: recorded('Network of the interface.'),
  subnetwork: recorded('Subnetwork of the interface.'),
  networkAttachment: recorded('Network of a producer.'),
  accessConfigs: recorded('Addresses for the internet.'),
  ipv6AccessConfigs: recorded('IPv6 addresses for the internet.'),
  aliasIpRanges: recorded('Further addresses.'),
  aliasIpv6Ranges: recorded('Further IPv6 addresses.'),
  stackType: recorded('Versions of addresses.'),
  nicType: recorded('Hardware of the interface.'),
  queueCount: recorded('Queues of the interface.'),
  internalIpv6PrefixLength: recorded('Length of the IPv6 range.'),
  parentNicName: recorded('Interface that this one is part of.'),
  vlan: recorded('VLAN of the interface.'),
  igmpQuery: recorded('Multicast.'),
  enableVpcScopedDns: recorded('DNS of the interface.'),
  serviceClassId: recorded('Service of a producer.'),
  ipv6AccessType: outputOnly('Reach of the IPv6 address.'),
  fingerprint: outputOnly('Hash of the interface.'),
  kind: outputOnly('Kind of object.'),
})

const metadataItem = object('A key and its value.', {
  key: text('The key.', { pattern: '^[a-zA-Z0-9-_]{1,128}$', maxLength: 128, examples: ['startup-script-url'] }),
  value: optional(text('The value.', { maxLength: 262_144 })),
})

// What only matters to Google's machines: accepted, kept and shown again.
const machineFields = {
  machineType: recorded('Kind of machine.'),
  disks: recorded('Disks.'),
  scheduling: recorded('When the machine may stop or move.'),
  serviceAccounts: recorded('Accounts of the machine.'),
  canIpForward: recorded('Whether the machine is a router.'),
  deletionProtection: optional(flag('Whether deleting is refused.')),
  hostname: optional(text('Name of the host.', { pattern: HOST_NAME, maxLength: 253, examples: ['vm.example.com'] })),
  minCpuPlatform: recorded('Oldest processor.'),
  guestAccelerators: recorded('Accelerators.'),
  displayDevice: recorded('Display.'),
  advancedMachineFeatures: recorded('Features of the processor.'),
  confidentialInstanceConfig: recorded('Encryption of memory.'),
  shieldedInstanceConfig: recorded('Secure boot.'),
  shieldedInstanceIntegrityPolicy: recorded('Secure boot.'),
  instanceEncryptionKey: recorded('Encryption of a suspended machine.'),
  keyRevocationActionType: recorded('What follows when a key is revoked.'),
  localSsdEncryptionMode: recorded('Encryption of local disks.'),
  networkPerformanceConfig: recorded('Bandwidth.'),
  params: recorded('Tags of the organisation.'),
  privateIpv6GoogleAccess: recorded('Reach of Google by IPv6.'),
  reservationAffinity: recorded('Reserved machines.'),
  resourcePolicies: recorded('Schedules.'),
  sourceMachineImage: recorded('Image of the machine.'),
  sourceMachineImageEncryptionKey: recorded('Encryption of the image.'),
  workloadIdentityConfig: recorded('Identity of the machine.'),
  cpuPlatform: outputOnly('Processor.'),
  lastStartTimestamp: outputOnly('When it was last started.'),
  lastStopTimestamp: outputOnly('When it was last stopped.'),
  lastSuspendedTimestamp: outputOnly('When it was last suspended.'),
  resourceStatus: outputOnly('State of the machine.'),
  satisfiesPzi: outputOnly('Reserved by Google.'),
  satisfiesPzs: outputOnly('Reserved by Google.'),
  startRestricted: outputOnly('Whether it may not be started.'),
  status: recorded('RUNNING, TERMINATED and so on; an instance that is not RUNNING gets no connections.'),
  statusMessage: outputOnly('Status in words.'),
  labelFingerprint: outputOnly('Hash of the labels.'),
} as const

/** Instances (`compute#instance`). */
export const instances = defineResource(
  {
    kind: 'compute#instance',
    scopes: ['zone'],
    description: 'A host of backends; its address is that of its first interface.',
  },
  {
    networkInterfaces: list('The network interfaces; the first one counts.', networkInterface, { default: [] }),
    tags: object(
      'Tags by which firewalls choose instances.',
      {
        items: list('The words.', text('A tag.', { pattern: NAME_PATTERN, maxLength: 63, examples: ['tcp-lb'] }), {
          default: [],
        }),
        fingerprint: outputOnly('Hash of the tags.'),
      },
      { default: {} },
    ),
    metadata: object(
      'Data for the instance.',
      {
        items: list('Keys and values.', metadataItem, { default: [] }),
        fingerprint: outputOnly('Hash of the metadata.'),
        kind: outputOnly('Kind of object.'),
      },
      { default: {} },
    ),
    labels: optional(texts('Labels, by name.')),
    ...machineFields,
  },
)
