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
   * Puts on the host what is not there yet: all of it or, on an error, nothing.
   *
   * @param findNeeded what must not be put there, or stay; is asked only where there is something to put or to keep
   * @returns those that this process now answers for and did not before
   * @throws Error with the remedy
   */
  async add(addresses: readonly string[], findNeeded: () => Promise<NeededAddresses>): Promise<readonly string[]> {
    const all = assignable(addresses)
    const wanted = all.filter((address) => !this.#held.has(formatIpAddress(address)))
    if (all.length === 0) return []
    const present = wanted.length === 0 ? new Set<string>() : await hostAddresses()
    const isPresent = (address: IpAddress): boolean => present.has(formatIpAddress(address))
    const missing = wanted.filter((address) => !isPresent(address))
    const inherited = wanted.filter((address) => isPresent(address) && readNote(address) !== undefined)
    // What is on the host already, and was not put there by an edge, is the host's own.
    const foreign = new Set(wanted.filter((address) => isPresent(address) && !inherited.includes(address)))
    refuseNeeded(
      all.filter((address) => !foreign.has(address)),
      await findNeeded(),
    )
    try {
      for (const address of missing) writeNote(address)
      await addToLoopback(missing)
    } catch (error) {
      for (const address of missing) removeNote(address)
      throw error
    }
    for (const address of inherited) writeNote(address)
    const added = [...missing, ...inherited]
    for (const address of added) this.#held.set(formatIpAddress(address), address)
    return added.map(formatIpAddress)
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

/** @throws Error that names each of them */
function refuseNeeded(addresses: readonly IpAddress[], needed: NeededAddresses): void {
  const refused = addresses.map(formatIpAddress).filter((text) => needed.has(text))
  if (refused.length === 0) return
  const lines = refused.map((text) => {
    const remedy = 'give the forwarding rule another address'
    return `The address "${text}" is not put on this host: it is that of ${needed.get(text)}; ${remedy}`
  })
  throw new Error(lines.join('\n'))
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
