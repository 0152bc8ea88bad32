import { readFileSync, readlinkSync, rmSync } from 'node:fs'
import { classifyAddress } from '../../address/address-class.ts'
import { formatIpAddress, type IpAddress, parseIpAddress } from '../../address/ip-address.ts'
import { addToLoopback, hostAddresses, takeFromLoopback } from '../../linux/host-addresses.ts'
import { makeDirectory } from '../../linux/make-directory.ts'
import { replaceFile } from '../../linux/replace-file.ts'
import { messageOf } from '../../text/error-message.ts'
import type { NeededAddresses } from './needed-addresses.ts'

/** Under /run, because it has to end when the addresses do: with the next boot. */
const DIRECTORY = '/run/truepeer'

/** What became of addresses that were to be put on the host, as canonical texts. */
export type Assignment = {
  /** Those that this process now answers for and did not before. */
  readonly added: readonly string[]
  /** Why not, for each that is not put there. */
  readonly refused: ReadonlyMap<string, string>
}

/** No address was to be put anywhere. */
export const NOTHING_ASSIGNED: Assignment = { added: [], refused: new Map() }

/**
 * The addresses of frontends that this process has put on the host, and takes away again.
 *
 * A note for each says which process will do that; it is named after the network namespace and the address. An address
 * that was there before and has no note is somebody else's and stays. One that has a note was put there by an edge: of
 * a process that was killed, or of one that is still draining. Whoever needs it writes its own process into the note,
 * and only that process takes it away.
 */
export class AssignedAddresses {
  readonly #held = new Map<string, IpAddress>()

  /**
   * Puts on the host what is not there yet, as far as that is possible, and is not needed elsewhere.
   *
   * @param findNeeded what must not be put there, or stay; is asked only where there is something to put or to keep
   * @throws Error when the host cannot be asked for its addresses
   */
  async add(addresses: readonly string[], findNeeded: () => Promise<NeededAddresses>): Promise<Assignment> {
    const all = assignable(addresses)
    if (all.length === 0) return NOTHING_ASSIGNED
    const unheld = all.filter((address) => !this.#held.has(formatIpAddress(address)))
    const present = unheld.length === 0 ? new Set<string>() : await hostAddresses()
    const isPresent = (address: IpAddress): boolean => present.has(formatIpAddress(address))
    // What is on the host already, and was not put there by an edge, is the host's own.
    const foreign = new Set(unheld.filter((address) => isPresent(address) && readNote(address) === undefined))
    const needed = neededOf(
      all.filter((address) => !foreign.has(address)),
      await findNeeded(),
    )
    const wanted = unheld.filter((address) => !foreign.has(address) && !needed.has(formatIpAddress(address)))
    const missing = wanted.filter((address) => !isPresent(address))
    const inherited = wanted.filter(isPresent)
    // Before anything is put on the host: a note that cannot be written is an error, which takes nothing back.
    for (const address of inherited) writeNote(address)
    const refused = new Map([...needed, ...(await put(missing))])
    const added = wanted.filter((address) => !refused.has(formatIpAddress(address)))
    for (const address of added) this.#held.set(formatIpAddress(address), address)
    return { added: added.map(formatIpAddress), refused }
  }

  /** Takes away those of the given addresses that this process answers for; waits until it is done. */
  release(addresses: Iterable<string>): void {
    const leaving: IpAddress[] = []
    for (const text of addresses) {
      const address = this.#held.get(text)
      if (address === undefined) continue
      this.#held.delete(text)
      if (readNote(address) !== process.pid) continue
      leaving.push(address)
      removeNote(address)
    }
    takeFromLoopback(leaving)
  }

  releaseAll(): void {
    this.release([...this.#held.keys()])
  }
}

/** Every host has its loopback addresses, and a wildcard is none. */
function assignable(addresses: readonly string[]): IpAddress[] {
  return [...new Set(addresses)]
    .map(parseIpAddress)
    .filter((address) => address !== undefined)
    .filter((address) => !['unspecified', 'loopback'].includes(classifyAddress(address)))
}

/** Puts addresses on the host together or, if that fails, each by itself. @returns why not, for each that cannot be */
async function put(addresses: readonly IpAddress[]): Promise<Assignment['refused']> {
  try {
    for (const address of addresses) writeNote(address)
    await addToLoopback(addresses)
    return new Map()
  } catch (error) {
    for (const address of addresses) removeNote(address)
    if (addresses.length === 1) return new Map([[formatIpAddress(addresses[0]), messageOf(error)]])
    const refused = new Map<string, string>()
    for (const address of addresses) for (const [text, problem] of await put([address])) refused.set(text, problem)
    return refused
  }
}

function neededOf(addresses: readonly IpAddress[], needed: NeededAddresses): Assignment['refused'] {
  const refused = addresses.map(formatIpAddress).filter((text) => needed.has(text))
  const remedy = 'give the forwarding rule another address'
  return new Map(
    refused.map((text) => [
      text,
      `The address "${text}" is not put on this host: it is that of ${needed.get(text)}; ${remedy}`,
    ]),
  )
}

function notePath(address: IpAddress): string {
  const namespace = readlinkSync('/proc/self/ns/net').replace(/[^0-9]/g, '')
  return `${DIRECTORY}/edge-address-${namespace}-${formatIpAddress(address)}`
}

/** The process that answers for the address; undefined: no edge does. */
function readNote(address: IpAddress): number | undefined {
  try {
    return Number(readFileSync(notePath(address), 'utf8'))
  } catch {
    return undefined
  }
}

function writeNote(address: IpAddress): void {
  const path = notePath(address)
  try {
    makeDirectory(DIRECTORY, 0o755)
    replaceFile(path, `${process.pid}\n`, 0o644)
  } catch (error) {
    const reason = messageOf(error)
    throw new Error(`"${path}" cannot be written (${reason}); run the edge as root, or without --assign-addresses`)
  }
}

function removeNote(address: IpAddress): void {
  rmSync(notePath(address), { force: true })
}
