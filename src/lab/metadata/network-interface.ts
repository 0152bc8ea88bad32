import type { Cidr } from '../../address/cidr.ts'
import { CidrSet } from '../../address/cidr-set.ts'
import { formatIpAddress, type IpAddress, ipv4Address, parseIpAddress } from '../../address/ip-address.ts'
import { isMapping, type Mapping } from '../../compute/json-value.ts'
import { fields, lines, list, type MetadataNode, text } from './metadata-node.ts'

/** What Google's virtual machines have; larger packets are split. */
const MTU = '1460'

/** A network interface of an instance. */
export function networkInterfaceNode(one: Mapping, projectNumber: string, subnets: readonly Cidr[]): MetadataNode {
  const address = parseIpAddress(String(one.networkIP ?? ''))
  const subnet = address && subnets.find((cidr) => new CidrSet([cidr]).has(address))
  const ipv6 = ipv6AddressesOf(one)
  return fields({
    'access-configs': list(configsOf(one.accessConfigs).map(accessConfigNode)),
    'dns-servers': lines([]),
    'forwarded-ips': list([]),
    'forwarded-ipv6s': list([]),
    gateway: subnet && text(formatIpAddress(gatewayOf(subnet))),
    ip: address && text(formatIpAddress(address)),
    'ip-aliases': list([]),
    ipv6s: ipv6.length === 0 ? undefined : list(ipv6.map(text)),
    mac: address && text(macOf(address)),
    mtu: { kind: 'value', text: MTU, json: MTU },
    network: text(
      `projects/${projectNumber}/networks/${String(one.network ?? 'default')
        .split('/')
        .at(-1)}`,
    ),
    subnetmask: subnet && text(maskOf(subnet)),
    'target-instance-ips': list([]),
  })
}

/** As Google makes it of the address of the interface: `42:01:` and its four bytes. */
function macOf({ w3 }: IpAddress): string {
  const bytes = [24, 16, 8, 0].map((shift) => ((w3 >>> shift) & 0xff).toString(16).padStart(2, '0'))
  return ['42', '01', ...bytes].join(':')
}

function accessConfigNode({ natIP, type }: Mapping): MetadataNode {
  return fields({ 'external-ip': text(String(natIP ?? '')), type: text(String(type ?? 'ONE_TO_ONE_NAT')) })
}

function ipv6AddressesOf({ ipv6Address, ipv6AccessConfigs }: Mapping): readonly string[] {
  const external = configsOf(ipv6AccessConfigs).map(({ externalIpv6 }) => externalIpv6)
  return [ipv6Address, ...external]
    .filter((address): address is string => typeof address === 'string' && address !== '')
    .map((address) => address.split('/')[0])
}

function configsOf(configs: unknown): readonly Mapping[] {
  return Array.isArray(configs) ? configs.filter(isMapping) : []
}

/** The first address of a subnet that hosts may have. */
function gatewayOf({ address }: Cidr): IpAddress {
  return ipv4Address(address.w3 + 1)
}

function maskOf({ prefixLength }: Cidr): string {
  return formatIpAddress(ipv4Address(prefixLength === 0 ? 0 : -1 << (32 - prefixLength)))
}
