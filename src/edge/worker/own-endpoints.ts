import { randomInt } from 'node:crypto'
import { classifyAddress } from '../../address/address-class.ts'
import type { Endpoint } from '../../address/endpoint.ts'
import { isSameAddress, mapAddress } from '../../address/ip-address.ts'
import { KeyIndex } from '../../dataplane/flow/key-index.ts'
import type { PlannedGroup } from '../balance/plan.ts'

/** Four words of an address in its IPv6 form, and the port. */
const WORDS = 5
const PORT = 4

/**
 * Where the frontends for UDP and the backends of one worker are. No client is there: a datagram that says so has an
 * invented sender, and two frontends would send each other the answers of an app for ever, or an edge would send a backend
 * what a client has written.
 */
export class OwnEndpoints {
  readonly #frontends = new Set<Endpoint>()
  readonly #backends = new Set<readonly PlannedGroup[]>()
  /** Made when it is first asked for after a change: without flows, nobody does. */
  #index: KeyIndex | null = null
  readonly #key = new Int32Array(WORDS)

  /** Returns what takes it out again. */
  addFrontend({ address, port }: Endpoint): () => void {
    return this.#add(this.#frontends, { address, port })
  }

  /** Returns what takes them out again. */
  addBackends(groups: readonly PlannedGroup[]): () => void {
    return this.#add(this.#backends, [...groups])
  }

  /**
   * Reports whether a client may be at this address and port.
   *
   * @param to where its datagram was sent to: an own endpoint also where the frontend is on every address
   */
  mayBeClient(from: Endpoint, to: Endpoint): boolean {
    const { address, port } = from
    const kind = classifyAddress(address)
    if (port === 0 || kind === 'unspecified' || kind === 'multicast' || kind === 'broadcast') return false
    if (port === to.port && isSameAddress(address, to.address)) return false
    this.#index ??= this.#makeIndex()
    this.#setKey(from)
    return this.#index.find(this.#key) < 0
  }

  #add<T>(set: Set<T>, item: T): () => void {
    set.add(item)
    this.#index = null
    return () => {
      set.delete(item)
      this.#index = null
    }
  }

  #makeIndex(): KeyIndex {
    const all = [...this.#backends].flat().map(({ backends }) => backends)
    const count = all.reduce((sum, { ports }) => sum + ports.length, this.#frontends.size)
    const index = new KeyIndex(WORDS, Math.max(1, count), randomInt(2 ** 32))
    const key = this.#key
    let slot = 0
    const insert = (): void => {
      if (index.find(key) < 0) index.insert(slot++, key)
    }
    for (const frontend of this.#frontends) {
      this.#setKey(frontend)
      insert()
    }
    for (const { words, ports, families } of all) {
      for (const [at, port] of ports.entries()) {
        for (let word = 0; word < PORT; word++) key[word] = words[PORT * at + word]
        if (families[at] === 4) key[2] = 0xffff
        key[PORT] = port
        insert()
      }
    }
    return index
  }

  #setKey({ address, port }: Endpoint): void {
    const { w0, w1, w2, w3 } = mapAddress(address)
    const key = this.#key
    key[0] = w0
    key[1] = w1
    key[2] = w2
    key[3] = w3
    key[PORT] = port
  }
}
