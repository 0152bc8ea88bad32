// What an agent says at its start about its host: a few questions that take no program and no privilege beyond its own.
// `truepeer doctor agent` asks many more.
import { classifyAddress } from '../address/address-class.ts'
import { type Endpoint, formatEndpoint, type Protocol } from '../address/endpoint.ts'
import { formatIpAddress, type IpAddress } from '../address/ip-address.ts'
import { isOwnAddress } from '../linux/route.ts'
import { isListening } from '../linux/socket-table.ts'
import { familyName, hasFamily, IPV6_OFF } from './routing.ts'
import { connectToSelf, reachesSelfAsApp } from './self-connection.ts'
import { exchangeWithSelf } from './self-exchange.ts'

/** What has to be known of one listening port of an agent. */
export type ProblemListener = {
  readonly protocols: readonly Protocol[]
  readonly appTargets: readonly Endpoint[]
  readonly appCheck: 'none' | 'close-port' | 'on-demand'
  readonly mark: number
}

const MORE = '"truepeer doctor agent", with the flags of this agent, says more'

/** A sentence for each thing that is wrong with this host. */
export async function agentProblems(listeners: readonly ProblemListener[]): Promise<readonly string[]> {
  const problems: string[] = []
  const probes = new Map<string, Promise<readonly string[]>>()
  for (const { protocols, appTargets, appCheck, mark } of listeners) {
    const targets = protocols.flatMap((protocol) => appTargets.map((target) => ({ protocol, target })))
    for (const { protocol, target } of targets) {
      const problem = problemOf(target, protocol, appCheck)
      if (problem !== undefined) problems.push(problem)
      const { address } = target
      const key = `${protocol} ${formatIpAddress(address)} ${mark}`
      if (probes.has(key) || !hasFamily(address.family) || !isOwnAddress(address)) continue
      // Each takes a second and more where the answers do not come back.
      probes.set(key, routingProblems(address, protocol, mark))
    }
  }
  problems.push(...(await Promise.all(probes.values())).flat())
  return [...new Set(problems)]
}

function problemOf(target: Endpoint, protocol: Protocol, appCheck: ProblemListener['appCheck']): string | undefined {
  const text = formatEndpoint(target)
  if (!hasFamily(target.address.family)) return IPV6_OFF
  if (!isOwnAddress(target.address)) {
    return `The target "${text}" is not on this host: its clients time out; run an agent on the host of the app`
  }
  if (appCheck !== 'none' || isListening(target, protocol)) return undefined
  if (protocol === 'udp') {
    return `No app receives datagrams on the target "${text}": those of its clients are lost; start the app, or correct the target`
  }
  return `Nothing listens on the target "${text}": its clients are closed; start the app, or correct the target`
}

async function routingProblems(address: IpAddress, protocol: Protocol, mark: number): Promise<string[]> {
  const name = familyName(address.family)
  const problems: string[] = []
  const connection = await (protocol === 'tcp' ? connectToSelf(address, mark) : exchangeWithSelf(address, mark))
  if (connection.kind === 'failed' && connection.error === 'timeout') {
    problems.push(
      `Answers of an app on ${formatIpAddress(address)} to ${name} clients ${protocol === 'tcp' ? 'do not come back: all of them time out' : 'over UDP get lost'}; ` +
        `run "truepeer host-setup apply" as root; ${MORE}`,
    )
  } else if (connection.kind === 'failed') {
    problems.push(
      `An app on ${formatIpAddress(address)} cannot be reached from the address of an ${name} client ` +
        `(${connection.step}: ${connection.error}); ${MORE}`,
    )
  }
  if (protocol === 'tcp' && classifyAddress(address) === 'loopback' && (await reachesSelfAsApp(address))) {
    problems.push(
      `Connections that an app on ${formatIpAddress(address)} begins to the address of a client reach services of this ` +
        'host; install the Debian package nftables, and run "truepeer host-setup apply" as root',
    )
  }
  return problems
}
