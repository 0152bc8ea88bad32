import { GOOGLE_REGIONS } from '../../balancing/google-regions.ts'
import { orderRegions } from '../../balancing/region-order.ts'
import { addNamespaces } from '../network-namespaces.ts'
import { ipIn, runIn } from './ip-commands.ts'
import { PRIVATE_RANGES, REGIONS } from './places.ts'

/** Any numbers that the kernel does not give out by itself. */
const FIRST_INDEX = 100
const TABLE = 'ip translation'

/**
 * The settings of a router, whatever those of the machine are, from which it has inherited them. What comes back from a
 * load balancer's address takes the way of the client's connection, also while another edge is nearer again: so no
 * check of the reverse path. A link that has lost its other end is no way to anywhere.
 */
const SETTINGS = [
  'ipv4/ip_forward=1',
  'ipv6/conf/all/forwarding=1',
  ...['all', 'default'].flatMap((name) => [
    `ipv4/conf/${name}/rp_filter=0`,
    `ipv4/conf/${name}/send_redirects=0`,
    `ipv4/conf/${name}/arp_ignore=0`,
    `ipv4/conf/${name}/ignore_routes_with_linkdown=1`,
    `ipv6/conf/${name}/ignore_routes_with_linkdown=1`,
  ]),
]
const SET = SETTINGS.map((setting) => setting.replace(/(.*)=(.*)/, 'echo $2 >/proc/sys/net/$1')).join(' && ')

/** External addresses lead to internal ones, and what leaves the network of the instances comes from its external one. */
const TRANSLATION = `
table ${TABLE} {
  map inward { type ipv4_addr : ipv4_addr; }
  map outward { type ipv4_addr : ipv4_addr; }
  chain inward_hook { type nat hook prerouting priority dstnat; dnat to ip daddr map @inward; }
  chain outward_hook {
    type nat hook postrouting priority srcnat;
    ip daddr != { ${PRIVATE_RANGES.join(', ')} } snat to ip saddr map @outward;
  }
}
`

/** The namespace of a region's router. */
export function routerOf(region: string): string {
  return `net-${region}`
}

/** The words of ip-route(8) by which one router sends packets for an address to another. */
export function towards(other: string, address: string): string {
  return `via ${address.includes(':') ? '' : 'inet6 '}${linkLocal(other)} dev ${linkTo(other)}`
}

/** Makes the router of each region, a link between each two, and the routes to all subnets. */
export async function makeRouters(): Promise<void> {
  const names = REGIONS.map(({ name }) => name)
  await addNamespaces(names.map(routerOf))
  await Promise.all(
    names.flatMap((name) => [
      runIn(routerOf(name), 'sh', ['-c', SET]),
      runIn(routerOf(name), 'nft', ['-f', '-'], TRANSLATION),
    ]),
  )
  let index = FIRST_INDEX
  for (const [position, name] of names.entries()) {
    for (const other of names.slice(position + 1)) {
      const link = `link add name ${linkTo(other)} index ${index++} type veth`
      await ipIn(routerOf(name), [`${link} peer name ${linkTo(name)} index ${index++} netns ${routerOf(other)}`])
    }
  }
  await Promise.all(names.map((name) => ipIn(routerOf(name), linkCommands(name))))
}

/** Leads external addresses to internal ones, and back. */
export async function addNat(region: string, pairs: readonly (readonly [string, string])[]): Promise<void> {
  await runIn(routerOf(region), 'nft', ['-f', '-'], elements('add', pairs))
}

/** Ends that. */
export async function removeNat(region: string, pairs: readonly (readonly [string, string])[]): Promise<void> {
  // What is there already or no longer is both times what is wanted.
  await runIn(routerOf(region), 'nft', ['-f', '-'], elements('add', pairs) + elements('delete', pairs))
}

/** The regions as seen from one of them, that one first. */
export function byDistance(
  region: string,
): readonly { readonly region: string; readonly kilometres?: number | undefined }[] {
  return orderRegions(
    REGIONS.map(({ name }) => name),
    region,
    GOOGLE_REGIONS,
  )
}

function linkCommands(name: string): readonly string[] {
  const others = REGIONS.filter((region) => region.name !== name)
  return [
    'link set lo up',
    ...others.flatMap(({ name: other }) => [
      `link set ${linkTo(other)} addrgenmode none up`,
      `address add ${linkLocal(name)}/64 dev ${linkTo(other)} nodad`,
    ]),
    ...others.flatMap(({ name: other, subnet, subnet6 }) =>
      [subnet, subnet6].map((range) => `route add ${range} ${towards(other, range)}`),
    ),
  ]
}

function elements(action: 'add' | 'delete', pairs: readonly (readonly [string, string])[]): string {
  return pairs
    .flatMap(([external, internal]) => [
      `${action} element ${TABLE} inward { ${external} : ${internal} }\n`,
      `${action} element ${TABLE} outward { ${internal} : ${external} }\n`,
    ])
    .join('')
}

function linkTo(region: string): string {
  return `to-${region}`
}

function linkLocal(region: string): string {
  return `fe80::${REGIONS.findIndex(({ name }) => name === region) + 1}`
}
