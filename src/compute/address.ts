import { parseIpAddress } from '../address/ip-address.ts'
import { defineResource } from './resource.ts'
import { oneOf, optional, outputOnly, recorded, text, texts } from './schema.ts'
import { serverDefaults } from './server-defaults.ts'

/** Addresses (`compute#address`). */
export const addresses = defineResource(
  {
    kind: 'compute#address',
    scopes: ['global', 'region'],
    description: 'A named address that clients connect to.',
  },
  {
    address: optional(text('The IPv4 or IPv6 address.', { format: 'ip', examples: ['203.0.113.10'] })),
    addressType: oneOf('Who can reach the address.', ['EXTERNAL'], {
      default: serverDefaults.addresses.addressType,
      unsupported: ['INTERNAL', 'UNSPECIFIED_TYPE'],
      remedy: 'give EXTERNAL: the load balancer is an external one',
    }),
    ipVersion: optional(oneOf('Version of the address.', ['IPV4', 'IPV6', 'UNSPECIFIED_VERSION'])),
    networkTier: optional(
      oneOf('Recorded: there are no network tiers here.', ['PREMIUM', 'STANDARD', 'FIXED_STANDARD']),
    ),
    labels: optional(texts('Labels, by name.')),
    labelFingerprint: outputOnly('Hash of the labels.'),
    status: outputOnly('RESERVING, RESERVED or IN_USE.'),
    users: outputOnly('URLs of the resources that use the address.'),
    prefixLength: recorded('Length of a range; not used.'),
    purpose: recorded('Purpose of an internal address; not used.'),
    network: recorded('Network of an internal address; not used.'),
    subnetwork: recorded('Subnetwork of an internal address; not used.'),
    ipv6EndpointType: recorded('Kind of end point of an IPv6 address; not used.'),
    ipCollection: recorded('Where a server takes the address from; not used.'),
  },
  {
    rules: (rule) => [
      rule(['address', 'ipVersion'], ({ address, ipVersion }, report) => {
        if (address === undefined || ipVersion === undefined || ipVersion === 'UNSPECIFIED_VERSION') return
        const version = parseIpAddress(address)?.family === 4 ? 'IPV4' : 'IPV6'
        if (version !== ipVersion)
          report('ipVersion', `${ipVersion} is not the IP version of ${address}`, `give ${version}`)
      }),
    ],
  },
)
