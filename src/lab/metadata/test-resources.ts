import type { MetadataResources } from './metadata-resources.ts'

const ZONE = 'projects/my-project/zones/us-central1-b'

/** The guide's instance as a controller stores it, and its project. */
export function testResources(
  metadata: Readonly<Record<string, string>> = {},
  projectMetadata: Readonly<Record<string, string>> = {},
): MetadataResources {
  const scopes = [
    'https://www.googleapis.com/auth/devstorage.read_only',
    'https://www.googleapis.com/auth/logging.write',
  ]
  const sourceImage = 'https://compute.googleapis.com/compute/v1/projects/centos-cloud/global/images/family/centos-7'
  return {
    instance: {
      project: 'my-project',
      scope: 'zones/us-central1-b',
      name: 'my-backend',
      // More digits than a number of JavaScript has.
      id: '8849188986350618123',
      resource: {
        machineType: `${ZONE}/machineTypes/n1-standard-1`,
        tags: { items: ['tcp-lb', 'a'], fingerprint: 'x' },
        metadata: { items: items(metadata) },
        disks: [{ boot: true, initializeParams: { sourceImage }, deviceName: 'boot' }],
        scheduling: { automaticRestart: true, preemptible: false },
        serviceAccounts: [{ email: 'default', scopes }],
        networkInterfaces: [
          {
            name: 'nic0',
            network: 'projects/my-project/global/networks/default',
            networkIP: '10.128.0.2',
            ipv6Address: '2001:db8:128::2/96',
            accessConfigs: [{ name: 'external-nat', type: 'ONE_TO_ONE_NAT', natIP: '198.18.0.2' }],
          },
        ],
      },
    },
    project: {
      name: 'my-project',
      id: '123456789012',
      resource: { commonInstanceMetadata: { items: items(projectMetadata) } },
    },
  }
}

function items(metadata: Readonly<Record<string, string>>) {
  return Object.entries(metadata).map(([key, value]) => ({ key, value }))
}
