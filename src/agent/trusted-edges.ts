import { dirname } from 'node:path'
import { type Cidr, cidrSize, formatCidr, parseCidr } from '../address/cidr.ts'
import { formatIpAddress } from '../address/ip-address.ts'
import type { ControllerClient } from '../feed/controller-client.ts'
import { ALL_SOURCES_MAX, isEdgeSource } from '../feed/edge-source.ts'
import type { SourcesLine } from '../feed/feed.ts'
import { makeDirectory, makeWritableDirectory } from '../linux/make-directory.ts'
import { replaceFile } from '../linux/replace-file.ts'
import { isOwnAddress } from '../linux/route.ts'
import { readPrivateTextFile } from '../linux/text-file.ts'
import type { Log } from '../telemetry/log.ts'
import { messageOf } from '../text/error-message.ts'

/** The addresses of as many edges as an agent trusts fit into it. */
const LINE_BYTES_MAX = 1024 * 1024
const GENERATION_LENGTH_MAX = 64

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
  #last: LastEdges
  /** A list was not taken, and the operator has heard of it. */
  #isHeld = false

  constructor(options: TrustedEdgesOptions) {
    this.#options = options
    this.#last = this.#read()
  }

  /** One for each address, as they are now. */
  subnets(): readonly Cidr[] {
    return this.#last.subnets
  }

  /** Follows the controller from now on. */
  start(onChange: () => void): void {
    const { client, instance, file, log } = this.#options
    try {
      makeWritableDirectory(dirname(file), 0o700)
    } catch (error) {
      this.#onNotSaved(error)
    }
    const onLine = (value: unknown): void => {
      const line = value as SourcesLine
      if (line.type !== 'sources') return
      const last = { generation: generationOf(line.generation), subnets: parseAddresses(line.addresses) }
      if (this.#hold(last)) return
      const isSame = JSON.stringify(last.subnets) === JSON.stringify(this.#last.subnets)
      if (isSame && last.generation === this.#last.generation) return
      this.#last = last
      this.#write()
      if (isSame) return
      this.#warnOfOwn()
      onChange()
    }
    const pathOf = (): string => `/truepeer/v1/sources?${new URLSearchParams({ name: instance })}`
    const follower = { pathOf, onLine, lineBytesMax: LINE_BYTES_MAX }
    void client.follow(follower, { log, signal: this.#end.signal })
  }

  /**
   * A controller with another database that knows no edge was perhaps started with a wrong directory: it is no reason to
   * refuse all edges.
   */
  #hold({ generation, subnets }: LastEdges): boolean {
    const { file, log } = this.#options
    const { generation: known } = this.#last
    const holds = known !== '' && generation !== known && subnets.length === 0 && this.#last.subnets.length > 0
    if (holds && !this.#isHeld) {
      const remedy = `check its --data; if no edge should be trusted, remove ${JSON.stringify(file)} and restart the agent`
      log(
        'error',
        'The controller now uses another database, which has no edges; the edges known before are still trusted',
        { remedy },
      )
    }
    this.#isHeld = holds
    return holds
  }

  /** The edge may run here, which the operator has to know: it is not distinguished from others on this host. */
  #warnOfOwn(): void {
    const own = this.#last.subnets.filter(({ address }) => isOwnAddress(address)).map(formatCidr)
    if (own.length === 0) return
    const problem = 'an edge reports an address of this host: every user of this host can send headers as that edge'
    this.#options.log('warn', 'trusted edges', { addresses: own.slice(0, 20), problem })
  }

  /** Follows it no more. */
  stop(): void {
    this.#end.abort()
  }

  #read(): LastEdges {
    const { file, log } = this.#options
    try {
      return parseFile(readPrivateTextFile(file))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT')
        log('info', 'nobody is trusted until the controller answers')
      else
        log(
          'error',
          'The list of edges from the last run cannot be read; nobody is trusted until the controller answers',
          {
            file,
            problem: messageOf(error),
          },
        )
      return { generation: '', subnets: [] }
    }
  }

  #write(): void {
    const { file } = this.#options
    const { generation, subnets } = this.#last
    const addresses = subnets.map(({ address }) => formatIpAddress(address))
    try {
      makeDirectory(dirname(file), 0o700)
      replaceFile(file, JSON.stringify(generation === '' ? addresses : { generation, addresses }))
    } catch (error) {
      this.#onNotSaved(error)
    }
  }

  #onNotSaved(error: unknown): void {
    const { file, log } = this.#options
    log('error', 'The list of edges cannot be saved for the next start', { file, problem: messageOf(error) })
  }
}

/** What a controller said last; an older one does not name its generation: it is empty then. */
type LastEdges = { readonly generation: string; readonly subnets: readonly Cidr[] }

/** Reads what is kept of the edges that a controller named last. @throws Error */
export function parseLastEdges(text: string): readonly Cidr[] {
  return parseFile(text).subnets
}

function parseFile(text: string): LastEdges {
  const value: unknown = JSON.parse(text)
  if (Array.isArray(value)) return { generation: '', subnets: parseAddresses(value) }
  const { generation, addresses } = (value ?? {}) as { readonly generation?: unknown; readonly addresses?: unknown }
  return { generation: generationOf(generation), subnets: parseAddresses(addresses) }
}

function generationOf(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, GENERATION_LENGTH_MAX) : ''
}

/**
 * Takes single addresses of one host only: no controller makes an agent trust a whole network, or all who come from
 * loopback. Another address of its own host may be among them, and makes users of that host edges; see "What remains" in
 * docs/threat-model.md.
 *
 * @throws Error when one of them is none: half a list would be a guess
 */
function parseAddresses(value: unknown): readonly Cidr[] {
  if (!Array.isArray(value)) throw new Error('The controller sent an invalid list of edges')
  if (value.length > ALL_SOURCES_MAX) throw new Error(`The controller sent more than ${ALL_SOURCES_MAX} edges`)
  return value.map((text) => {
    const cidr = typeof text === 'string' ? parseCidr(text) : undefined
    if (cidr === undefined || cidrSize(cidr) !== 1 || !isEdgeSource(cidr.address)) {
      throw new Error('The controller sent an edge with an address that is not of a single host')
    }
    return cidr
  })
}
