import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Cidr, cidrSize, parseCidr } from '../address/cidr.ts'
import type { ControllerClient } from '../feed/controller-client.ts'
import type { SourcesLine } from '../feed/feed.ts'
import { replaceFile } from '../linux/replace-file.ts'
import { readPrivateTextFile } from '../linux/text-file.ts'
import type { Log } from '../telemetry/log.ts'

/** What trusted edges are found with. */
export type TrustedEdgesOptions = {
  readonly client: ControllerClient
  /** How this host is called at the controller. */
  readonly instance: string
  /** Where the last addresses are kept. */
  readonly file: string
  readonly log: Log
}

/**
 * The edges that a controller says an agent may trust. While the controller cannot be reached, those that it named last;
 * when it never was, nobody.
 */
export class TrustedEdges {
  readonly #options: TrustedEdgesOptions
  readonly #end = new AbortController()
  #subnets: readonly Cidr[]

  constructor(options: TrustedEdgesOptions) {
    this.#options = options
    this.#subnets = this.#read()
  }

  /** One for each address, as they are now. */
  subnets(): readonly Cidr[] {
    return this.#subnets
  }

  /** Follows the controller from now on. */
  start(onChange: () => void): void {
    const { client, instance, log } = this.#options
    const onLine = (value: unknown): void => {
      const line = value as SourcesLine
      if (line.type !== 'sources') return
      const subnets = parseAddresses(line.addresses)
      if (JSON.stringify(subnets) === JSON.stringify(this.#subnets)) return
      this.#subnets = subnets
      this.#write(line.addresses)
      onChange()
    }
    const pathOf = (): string => `/truepeer/v1/sources?${new URLSearchParams({ name: instance })}`
    void client.follow({ pathOf, onLine }, { log, signal: this.#end.signal })
  }

  /** Follows it no more. */
  stop(): void {
    this.#end.abort()
  }

  #read(): readonly Cidr[] {
    const { file, log } = this.#options
    try {
      return parseLastEdges(readPrivateTextFile(file))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT')
        log('info', 'nobody is trusted before the controller answers')
      else
        log('error', 'The last edges cannot be read: nobody is trusted before the controller answers', {
          file,
          problem: String(error),
        })
      return []
    }
  }

  #write(addresses: readonly string[]): void {
    const { file, log } = this.#options
    try {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
      replaceFile(file, JSON.stringify(addresses))
    } catch (error) {
      log('error', 'The edges cannot be kept for the next start', { file, problem: String(error) })
    }
  }
}

/** Reads what is kept of the edges that a controller named last. @throws Error */
export function parseLastEdges(text: string): readonly Cidr[] {
  return parseAddresses(JSON.parse(text))
}

/**
 * Takes single addresses only: no controller makes an agent trust a whole network.
 *
 * @throws Error when one of them is none: half a list would be a guess
 */
function parseAddresses(value: unknown): readonly Cidr[] {
  if (!Array.isArray(value)) throw new Error('The controller sends no list of edges')
  return value.map((text) => {
    const address = typeof text === 'string' ? parseCidr(text) : undefined
    if (address === undefined || cidrSize(address) !== 1) {
      throw new Error('The controller sends an edge without an address of its own')
    }
    return address
  })
}
