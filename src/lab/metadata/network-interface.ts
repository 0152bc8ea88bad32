import type { Cidr } from '../../address/cidr.ts'
import { CidrSet } from '../../address/cidr-set.ts'
import { formatIpAddress, type IpAddress, ipv4Address, parseIpAddress } from '../../address/ip-address.ts'
import { type Mapping, mappingsOf } from '../../compute/json-value.ts'
import { INTERFACE_MTU, macOf } from '../google-interface.ts'
import { fields, lines, list, type MetadataNode, number, text } from './metadata-node.ts'

/** A network interface of an instance. */
export function networkInterfaceNode(one: Mapping, projectNumber: string, subnets: readonly Cidr[]): MetadataNode {
  const address = parseIpAddress(String(one.networkIP ?? ''))
  const subnet = address && subnets.find((cidr) => new CidrSet([cidr]).has(address))
  const ipv6 = ipv6AddressesOf(one)
  return fields({
    'access-configs': list(mappingsOf(one.accessConfigs).map(accessConfigNode)),
    'dns-servers': lines([]),
    'forwarded-ips': list([]),
    'forwarded-ipv6s': list([]),
    gateway: subnet && text(formatIpAddress(gatewayOf(subnet))),
    ip: address && text(formatIpAddress(address)),
    'ip-aliases': list([]),
    ipv6s: ipv6.length === 0 ? undefined : list(ipv6.map(text)),
    mac: address && text(macOf(address)),
    mtu: number(String(INTERFACE_MTU)),
    network: text(
      `projects/${projectNumber}/networks/${String(one.network ?? 'default')
        .split('/')
        .at(-1)}`,
    ),
    subnetmask: subnet && text(maskOf(subnet)),
    'target-instance-ips': list([]),
  })
}

function accessConfigNode({ natIP, type }: Mapping): MetadataNode {
  return fields({ 'external-ip': text(String(natIP ?? '')), type: text(String(type ?? 'ONE_TO_ONE_NAT')) })
}

function ipv6AddressesOf({ ipv6Address, ipv6AccessConfigs }: Mapping): readonly string[] {
  const external = mappingsOf(ipv6AccessConfigs).map(({ externalIpv6 }) => externalIpv6)
  return [ipv6Address, ...external]
    .filter((address): address is string => typeof address === 'string' && address !== '')
    .map((address) => address.split('/')[0])
}

/** The first address of a subnet that hosts may have. */
function gatewayOf({ address }: Cidr): IpAddress {
  return ipv4Address(address.w3 + 1)
}

function maskOf({ prefixLength }: Cidr): string {
  return formatIpAddress(ipv4Address(prefixLength === 0 ? 0 : -1 << (32 - prefixLength)))
}
