// What there is in the world of a lab, and where.

/** A region: a router, a subnet of the VPC, and an edge. */
export type LabRegion = {
  readonly name: string
  readonly zones: readonly string[]
  /** The gateway of the subnet, its first address. */
  readonly gateway: string
  readonly subnet: string
  readonly subnet6: string
  /** The addresses of the edge, those from which it connects to backends first. */
  readonly edgeAddresses: readonly string[]
}

/** The ranges of Google's load balancers and health checks are those that the guide's firewall rule lets in. */
export const REGIONS: readonly LabRegion[] = [
  {
    name: 'us-central1',
    zones: ['us-central1-a', 'us-central1-b', 'us-central1-c', 'us-central1-f'],
    gateway: '10.128.0.1',
    subnet: '10.128.0.0/20',
    subnet6: '2600:1900:4000:a::/64',
    edgeAddresses: ['35.191.0.2', '130.211.0.2', '2600:2d00:1:b029::2'],
  },
  {
    name: 'europe-west1',
    zones: ['europe-west1-b', 'europe-west1-c', 'europe-west1-d'],
    gateway: '10.132.0.1',
    subnet: '10.132.0.0/20',
    subnet6: '2600:1900:4010:a::/64',
    edgeAddresses: ['35.191.64.2', '130.211.1.2', '2600:2d00:1:b029::1:2'],
  },
  {
    name: 'asia-east1',
    zones: ['asia-east1-a', 'asia-east1-b', 'asia-east1-c'],
    gateway: '10.140.0.1',
    subnet: '10.140.0.0/20',
    subnet6: '2600:1900:4030:a::/64',
    edgeAddresses: ['35.191.128.2', '130.211.2.2', '2600:2d00:1:b029::2:2'],
  },
]

/** The addresses of load balancers: each is that of every edge. */
export const GLOBAL_POOLS: readonly string[] = ['203.0.113.0/24', '2001:db8:203::/64']

/** The external addresses of instances. */
export const NAT_POOLS: readonly string[] = ['198.51.100.0/24']

/** Where an instance does not need its external address to get to. */
export const PRIVATE_RANGES: readonly string[] = ['10.0.0.0/8', '35.191.0.0/16', '130.211.0.0/22', '199.36.153.8/30']

/** A host of the internet. */
export type LabClient = { readonly name: string; readonly region: string; readonly addresses: readonly string[] }

export const CLIENTS: readonly LabClient[] = [
  { name: 'client', region: 'us-central1', addresses: ['209.52.88.4', '2001:db8:209::4'] },
  { name: 'client-eu', region: 'europe-west1', addresses: ['192.0.2.4', '2001:db8:192::4'] },
  { name: 'client-asia', region: 'asia-east1', addresses: ['192.0.2.68', '2001:db8:192:1::4'] },
  { name: 'client6', region: 'us-central1', addresses: ['2001:db8:66::6'] },
]
