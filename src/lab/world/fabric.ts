import { parseCidr } from '../../address/cidr.ts'
import { CidrSet } from '../../address/cidr-set.ts'
import { type IpAddress, parseIpAddress } from '../../address/ip-address.ts'
import { INTERFACE_MTU, macOf } from '../google-interface.ts'
import { forceIpIn, ipIn, runIn } from './ip-commands.ts'
import { type LabRegion, REGIONS } from './places.ts'
import { addNat, makeRouters, removeNat, routerOf, towards } from './routers.ts'

/** How a host is connected: its namespace, which ip-netns(8) has a name for, its region, and its addresses. */
export type Attachment = {
  readonly namespace: string
  /** What its router calls the link to it; undefined: any name. */
  readonly device?: string
  readonly region: string
  readonly internal: readonly string[]
  /** Each IPv4 address leads to the internal one at the same position (1:1 NAT); an IPv6 address is the host's own. */
  readonly external: readonly string[]
}

/** What is to be taken away again. */
type Attached = Attachment & { readonly device: string }

const FIRST_INDEX = 1_000
const ROUTER_LINK_LOCAL = 'fe80::1'

/**
 * The network between all hosts of a lab: a router in each region, which are linked to one another, and a link from the
 * router to each host of the region. Addresses are single ones, as in Google's networks: hosts reach all others, also
 * those of their subnet, by the router.
 */
export class Fabric {
  readonly #attached = new Map<string, Attached>()
  #nextIndex = FIRST_INDEX

  /** Makes the routers. Only inside a lab's own mount namespace. */
  async start(): Promise<void> {
    await makeRouters()
  }

  /** Links a namespace, as eth0, to the router of its region. @throws ProgramError; nothing is left of the link then */
  async attach(attachment: Attachment): Promise<void> {
    const { namespace, external } = attachment
    const region = regionOf(attachment)
    // Ends with different indexes are up at once; see link() in src/lab/lab.ts.
    const index = this.#nextIndex
    this.#nextIndex += 2
    const attached = { device: `v${index}`, ...attachment }
    this.#attached.set(namespace, attached)
    try {
      await ipIn(routerOf(region.name), routerCommands(attached, region, index))
      await ipIn(namespace, hostCommands(attached, region))
      for (const other of others(region)) await ipIn(routerOf(other.name), routesFrom(region, attached, 'add'))
      if (external.length > 0) await addNat(region.name, translations(attached))
    } catch (error) {
      await this.detach(namespace)
      throw error
    }
  }

  /** Takes the link of a namespace away; that there is none is no error. */
  async detach(namespace: string): Promise<void> {
    const attached = this.#attached.get(namespace)
    if (attached === undefined) return
    this.#attached.delete(namespace)
    const region = regionOf(attached)
    await forceIpIn(routerOf(region.name), [`link delete ${attached.device}`])
    for (const other of others(region)) {
      await forceIpIn(routerOf(other.name), routesFrom(region, attached, 'delete'))
    }
    if (attached.external.length > 0) await removeNat(region.name, translations(attached))
  }

  /** Has the router of a region take rules, in the words of nft(8). @throws ProgramError */
  async filter(region: string, rules: string): Promise<void> {
    await runIn(routerOf(region), 'nft', ['-f', '-'], rules)
  }
}

function regionOf({ region }: Attachment): LabRegion {
  const found = REGIONS.find(({ name }) => name === region)
  if (found === undefined) {
    throw new Error(`The lab has no region "${region}"; use one of ${REGIONS.map(({ name }) => name).join(', ')}`)
  }
  return found
}

function others(region: LabRegion): readonly LabRegion[] {
  return REGIONS.filter((other) => other !== region)
}

function routerCommands(attached: Attached, region: LabRegion, index: number): readonly string[] {
  const { namespace, device } = attached
  const peer = `eth0 index ${index + 1} mtu ${INTERFACE_MTU} address ${macOf(mainAddress(attached))} netns ${namespace}`
  return [
    `link add name ${device} index ${index} mtu ${INTERFACE_MTU} type veth peer name ${peer}`,
    `link set ${device} alias ${namespace} addrgenmode none up`,
    `address add ${ROUTER_LINK_LOCAL}/64 dev ${device} nodad`,
    ...gateways(attached, region).map((gateway) => `address add ${gateway}/32 dev ${device}`),
    ...onInterface(attached).map((address) => `route add ${address} dev ${device}`),
  ]
}

function hostCommands(attached: Attached, region: LabRegion): readonly string[] {
  const own = onInterface(attached)
  const ipv6 = own.find(isIpv6)
  const ipv4 = own.find((address) => !isIpv6(address))
  const [gateway] = gateways(attached, region)
  return [
    'link set lo up',
    ...own.map((address) => `address add ${address}/${isIpv6(address) ? '128' : '32'} dev eth0 nodad`),
    'link set eth0 up',
    ...(gateway === undefined
      ? []
      : [
          `route add ${gateway} dev eth0 scope link src ${ipv4}`,
          `route add default via ${gateway} dev eth0 src ${ipv4}`,
        ]),
    ...(ipv6 === undefined ? [] : [`route add default via ${ROUTER_LINK_LOCAL} dev eth0 src ${ipv6}`]),
  ]
}

/** Where the other routers find a host. Subnets have routes of their own. */
function routesFrom(region: LabRegion, attached: Attached, action: 'add' | 'delete'): readonly string[] {
  const subnets = new CidrSet([region.subnet, region.subnet6].flatMap((text) => parseCidr(text) ?? []))
  return [...new Set([...attached.internal, ...attached.external])]
    .filter((address) => !subnets.has(parsed(address)))
    .map((address) => `route ${action} ${address} ${towards(region.name, address)}`)
}

/** Addresses that the host has itself. */
function onInterface({ internal, external }: Attachment): readonly string[] {
  return [...internal, ...external.filter(isIpv6)]
}

function translations({ internal, external }: Attachment): readonly (readonly [external: string, internal: string])[] {
  const inside = internal.filter((address) => !isIpv6(address))
  return external.filter((address) => !isIpv6(address)).map((address, index) => [address, inside[index]] as const)
}

/** The next hop of a host's default route, and of its other addresses: that of the subnet, or the first of the /24. */
function gateways({ internal }: Attachment, { subnet, gateway }: LabRegion): readonly string[] {
  const range = new CidrSet([subnet].flatMap((text) => parseCidr(text) ?? []))
  const ipv4 = internal.filter((address) => !isIpv6(address))
  return [...new Set(ipv4.map((address) => (range.has(parsed(address)) ? gateway : address.replace(/\d+$/, '1'))))]
}

/** The address that the MAC is made of: the IPv4 one, where there is one. */
function mainAddress({ internal }: Attachment): IpAddress {
  return internal.map(parsed).find(({ family }) => family === 4) ?? parsed(internal[0])
}

function parsed(address: string): IpAddress {
  const found = parseIpAddress(address)
  if (found === undefined) throw new Error(`"${address}" is not an address`)
  return found
}

function isIpv6(address: string): boolean {
  return address.includes(':')
}
