import { networkInterfaces } from 'node:os'
import { classifyAddress } from '../address/address-class.ts'
import { type Endpoint, formatEndpoint, isSameEndpoint } from '../address/endpoint.ts'
import { type IpAddress, parseIpAddress } from '../address/ip-address.ts'
import { isListening } from '../linux/socket-table.ts'
import { type Finding, fail, ok, warn } from './finding.ts'
import { type Family, familyName } from './routing.ts'
import type { SettingNames } from './setting-names.ts'

/** Addresses that no host has (RFC 5737, RFC 3849): only a wildcard listener would be found there. */
const NOWHERE = { 4: '192.0.2.255', 6: '2001:db8::ffff' } as const

/** What the check of an app has to know beside its address. */
export type AppSurroundings = {
  /** Where the agent listens, which may be the same port on another address. */
  readonly listens: readonly Endpoint[]
  /** Ports that the firewall of host-setup closes. */
  readonly closedPorts: readonly number[]
  readonly names: SettingNames
}

/** Checks that the app listens, and that nobody outside can go round the agent to it. */
export function checkApp(family: Family, target: Endpoint, { listens, closedPorts, names }: AppSurroundings): Finding {
  const name = `app-${familyName(family).toLowerCase()}`
  const text = formatEndpoint(target)
  const { port } = target
  const loopback = family === 4 ? '127.0.0.1' : '::1'
  const nameTarget = `with ${family === 4 ? names.target4 : names.target6}`
  if (listens.some((agent) => isSameEndpoint(agent, target))) {
    return fail(name, `the agent itself listens on ${text}`, `name the address of the app ${nameTarget}`)
  }
  if (!isListening(target)) {
    return fail(name, `nothing listens on ${text}`, `start the app there, or name its address ${nameTarget}`)
  }
  if (closedPorts.includes(port)) return ok(name, `listens on ${text}; port ${port} is closed to the outside`)
  const remedy = `bind the app to ${loopback}, or close the port with "truepeer host-setup apply --app-port ${port}"`
  const nowhere = parseIpAddress(NOWHERE[family])
  if (nowhere !== undefined && isListening({ address: nowhere, port })) {
    return warn(name, `listens on every address: port ${port} can be reached without the agent`, remedy)
  }
  const open = ownAddresses(family).filter((address) => {
    const isAgents = listens.some((agent) => isSameEndpoint(agent, { address, port }))
    return !isAgents && isListening({ address, port })
  })
  if (open.length > 0) {
    const addresses = open.map((address) => formatEndpoint({ address, port })).join(', ')
    return warn(name, `listens on ${addresses} as well, which can be reached without the agent`, remedy)
  }
  return ok(name, `listens on ${text}, on loopback only`)
}

function ownAddresses(family: Family): IpAddress[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return all
    .map(({ address }) => parseIpAddress(address))
    .filter((address) => address !== undefined)
    .filter((address) => address.family === family && classifyAddress(address) !== 'loopback')
}
