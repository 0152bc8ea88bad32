import { networkInterfaces } from 'node:os'
import { classifyAddress } from '../address/address-class.ts'
import { type Endpoint, formatEndpoint, isSameEndpoint, type Protocol } from '../address/endpoint.ts'
import { formatIpAddress, type IpAddress, isSameAddress, parseIpAddress } from '../address/ip-address.ts'
import { isOwnAddress } from '../linux/route.ts'
import { findListener, isListening } from '../linux/socket-table.ts'
import { type Finding, fail, nameFor, ok, warn } from './finding.ts'
import { listenersOn } from './listener-programs.ts'
import { listenerElsewhere } from './other-namespaces.ts'
import type { Family } from './policy-rules.ts'
import { IN_CONTAINER, isForwarder, isTranslated } from './published-ports.ts'
import { familyName, sourceOfAnswers } from './routing.ts'
import type { SettingNames } from './setting-names.ts'

/** Addresses that no host has (RFC 5737, RFC 3849): only a wildcard listener would be found there. */
const NOWHERE = { 4: '192.0.2.255', 6: '2001:db8::ffff' } as const

/** Every address, as ss(8) prints it. */
const WILDCARD = /^(0\.0\.0\.0|\[::\]|\*):/

/** What it means that the app does not listen; as the agent has it. */
export type AppCheck = 'none' | 'close-port' | 'on-demand'

/** What the check of an app has to know beside its address. */
export type AppSurroundings = {
  /** Where the agent listens with this protocol, which may be the same port on another address. */
  readonly listens: readonly Endpoint[]
  readonly protocol: Protocol
  /** Ports that the firewall of host-setup closes. */
  readonly closedPorts: readonly number[]
  readonly names: SettingNames
}

/** The name of its findings. */
export function appCheckName(family: Family, protocol: Protocol): string {
  return nameFor(protocol, `app-${familyName(family).toLowerCase()}`)
}

/** Checks that the app listens on this host, and that nobody outside can go round the agent to it. */
export async function checkApp(
  family: Family,
  target: Endpoint,
  appCheck: AppCheck,
  { listens, protocol, closedPorts, names }: AppSurroundings,
): Promise<Finding> {
  const name = appCheckName(family, protocol)
  const text = formatEndpoint(target)
  const { port } = target
  const loopback = family === 4 ? '127.0.0.1' : '::1'
  const nameTarget = `with ${family === 4 ? names.target4 : names.target6}`
  if (listens.some((agent) => isSameEndpoint(agent, target))) {
    return fail(name, `the agent itself listens on ${text}`, `name the address of the app ${nameTarget}`)
  }
  if (!isOwnAddress(target.address)) {
    const detail = `${formatIpAddress(target.address)} is not an address of this host, and an agent serves only apps on its own host`
    return fail(name, detail, `run an agent on the host of the app, or name an address of this host ${nameTarget}`)
  }
  const socket = findListener(target, protocol)
  if (socket === undefined) return await checkAbsentApp(name, target, protocol, appCheck, nameTarget)
  const forwarder = (await listenersOn(port, protocol)).find(
    ({ name: program, at }) => isForwarder(program) && (at === text || WILDCARD.test(at)),
  )
  if (forwarder !== undefined) {
    const detail = `"${forwarder.name}" listens on ${text} and connects to the app by itself: the app sees its address`
    return fail(name, detail, IN_CONTAINER)
  }
  if (protocol === 'udp' && !isSameAddress(socket.address, target.address)) {
    const problem = await checkAnswers(name, family, target)
    if (problem !== undefined) return problem
  }
  if (closedPorts.includes(port)) return ok(name, `listens on ${text}; port ${port} is closed to the network`)
  const remedy = `bind the app to ${loopback}, or close the port with "truepeer host-setup apply --app-port ${port}"`
  const nowhere = parseIpAddress(NOWHERE[family])
  if (nowhere !== undefined && isListening({ address: nowhere, port }, protocol)) {
    return warn(name, `listens on every address, so that port ${port} can be reached without the agent`, remedy)
  }
  const open = ownAddresses(family).filter((address) => {
    const isAgents = listens.some((agent) => isSameEndpoint(agent, { address, port }))
    return !isAgents && isListening({ address, port }, protocol)
  })
  if (open.length > 0) {
    const addresses = open.map((address) => formatEndpoint({ address, port })).join(', ')
    return warn(name, `listens on ${addresses} as well, which can be reached without the agent`, remedy)
  }
  return ok(name, `listens on ${text}, on loopback only`)
}

/**
 * An app that receives datagrams on every address, and does not say from which its answers are to leave (ip(7)
 * IP_PKTINFO), leaves that to the kernel, which chooses as for a client on the internet. The agent hears only what comes
 * from the address that it has sent to.
 */
async function checkAnswers(name: string, family: Family, { address, port }: Endpoint): Promise<Finding | undefined> {
  const source = await sourceOfAnswers(family, port)
  if (source !== undefined && isSameAddress(source, address)) return undefined
  const text = formatIpAddress(address)
  const where = source === undefined ? 'nowhere' : `from ${formatIpAddress(source)}`
  const detail = `receives on every address: unless the app says where its answers are to leave from, they leave ${where} instead of from ${text}, and are lost`
  return warn(name, detail, `bind the app to ${text}`)
}

/** Nothing listens on the target: why, and whether that is as it should be. */
async function checkAbsentApp(
  name: string,
  target: Endpoint,
  protocol: Protocol,
  appCheck: AppCheck,
  nameTarget: string,
): Promise<Finding> {
  const { port } = target
  const text = formatEndpoint(target)
  if (await isTranslated(port, protocol)) {
    const detail = `nothing listens on ${text}: the firewall translates port ${port} to another address, and answers get lost`
    return fail(name, detail, IN_CONTAINER)
  }
  const elsewhere = listenerElsewhere(port, protocol)
  if (elsewhere !== undefined) {
    const { program, pid } = elsewhere
    const detail = `nothing listens on ${text}, but "${program}" (pid ${pid}) does in another network namespace, as in a container`
    return fail(name, detail, IN_CONTAINER)
  }
  const other = parseIpAddress(target.address.family === 4 ? '::1' : '127.0.0.1')
  if (other !== undefined && isListening({ address: other, port }, protocol)) {
    const [here, there] = target.address.family === 4 ? ['IPv6', 'IPv4'] : ['IPv4', 'IPv6']
    const detail = `nothing listens on ${text}, but on ${formatEndpoint({ address: other, port })}: the app serves ${here} only, and clients with ${there} are refused`
    return fail(name, detail, `let the app listen on both, or name its address, or none, ${nameTarget}`)
  }
  if (appCheck === 'on-demand') return ok(name, `nothing listens on ${text} now, which --app-check on-demand allows`)
  const start = `start the app there, or name its address, or none, ${nameTarget}`
  if (appCheck === 'none') return fail(name, `nothing listens on ${text}`, start)
  return warn(name, `nothing listens on ${text}, and the port of the agent is closed meanwhile`, start)
}

function ownAddresses(family: Family): IpAddress[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return all
    .map(({ address }) => parseIpAddress(address))
    .filter((address) => address !== undefined)
    .filter((address) => address.family === family && classifyAddress(address) !== 'loopback')
}
