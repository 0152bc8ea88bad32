import { formatIpAddress, type IpAddress, parseIpAddress } from '../../address/ip-address.ts'
import { gateways, nameServers } from '../../linux/gateways.ts'

/** What each address is needed for, by its canonical text. */
export type NeededAddresses = ReadonlyMap<string, string>

/** Whom an edge has to reach, besides routers and servers of names. */
export type Needs = {
  readonly backends: readonly string[]
  /** From where backends are connected to. */
  readonly sourceAddresses: readonly IpAddress[]
  /** The controller's. */
  readonly neededAddresses?: (() => Promise<readonly string[]>) | undefined
}

/**
 * Finds the addresses that an edge must not put on its own host: whatever it sends there would come back to itself.
 *
 * @throws Error when the host cannot be asked
 */
export async function findNeeded({ backends, sourceAddresses, neededAddresses }: Needs): Promise<NeededAddresses> {
  const controller = (await neededAddresses?.()) ?? []
  const routers = await gateways()
  const needed = new Map<string, string>()
  const add = (addresses: readonly (IpAddress | undefined)[], what: string): void => {
    for (const address of addresses) if (address !== undefined) needed.set(formatIpAddress(address), what)
  }
  add(backends.map(parseIpAddress), 'a backend')
  add(sourceAddresses, 'an address of --source-ranges')
  add(nameServers(), 'a name server of this host')
  add(routers, 'a router of this host')
  add(controller.map(parseIpAddress), 'the controller')
  return needed
}
