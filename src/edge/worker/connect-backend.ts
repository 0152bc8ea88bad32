import { type IpAddress, parseIpAddress } from '../../address/ip-address.ts'
import type { Dial } from '../../dataplane/connection/connection-state.ts'
import { type ConnectSpec, connectFailure, connectSpec, openConnected, type SourcePort } from '../../linux/connect.ts'
import { EADDRINUSE, EADDRNOTAVAIL, EAGAIN } from '../../linux/errno.ts'
import type { Liveness } from '../../linux/liveness.ts'
import { sourceTowards } from '../../linux/route.ts'
import type { Candidate } from '../balance/choose-backend.ts'

/** The addresses of one family, and whose turn it is. */
type Sources = { readonly addresses: readonly IpAddress[]; turn: number }

/** Connects to backends from addresses of this host, by TCP or UDP. */
export class BackendConnector {
  readonly #liveness: Liveness
  readonly #sources4: Sources
  readonly #sources6: Sources
  /** Filled in anew by each attempt. */
  readonly #spec = connectSpec()

  /**
   * @param transport `dgram`: the sockets are connected at once, and hear nobody else
   * @param sourceAddresses the addresses to connect from, each in its turn; for a family without one the kernel chooses
   * @param turn which of them is the first
   */
  constructor(
    transport: ConnectSpec['transport'],
    liveness: Liveness,
    sourceAddresses: readonly string[],
    turn: number,
  ) {
    this.#spec.transport = transport
    const sources = sourceAddresses.map(parseIpAddress).filter((address) => address !== undefined)
    this.#liveness = liveness
    this.#sources4 = { addresses: sources.filter(({ family }) => family === 4), turn }
    this.#sources6 = { addresses: sources.filter(({ family }) => family === 6), turn }
  }

  /** Starts a connection; EADDRNOTAVAIL: no address has a port left for this backend, or this host has none of them. */
  connect(backend: Candidate): Dial {
    const sources = backend.endpoint.address.family === 4 ? this.#sources4 : this.#sources6
    if (sources.addresses.length > 0) return this.#connectFrom(sources, backend)
    const dialled = this.#attempt(backend, null, 'by-connect')
    if (dialled.kind !== 'failed' || dialled.error !== EADDRNOTAVAIL) return dialled
    // Where an agent on this host has bound clients' ports, connect(2) skips those.
    const source = sourceTowards(backend.endpoint)
    return source === undefined ? dialled : this.#attempt(backend, source, 'by-bind')
  }

  #connectFrom(sources: Sources, backend: Candidate): Dial {
    const { addresses, turn } = sources
    sources.turn = (turn + 1) % addresses.length
    let dialled = this.#attempt(backend, addresses[turn % addresses.length], 'by-connect')
    for (let attempt = 1; attempt < 2 * addresses.length; attempt++) {
      if (dialled.kind !== 'failed' || dialled.error !== EADDRNOTAVAIL) return dialled
      const source = addresses[(turn + attempt) % addresses.length]
      dialled = this.#attempt(backend, source, attempt < addresses.length ? 'by-connect' : 'by-bind')
    }
    return dialled
  }

  #attempt({ endpoint, isLoopback }: Candidate, source: IpAddress | null, port: SourcePort): Dial {
    this.#spec.destination = endpoint
    this.#spec.source = source
    this.#spec.sourcePort = port
    // A backend on this very host cannot vanish without its kernel saying so.
    this.#spec.liveness = isLoopback ? null : this.#liveness
    const fd = openConnected(this.#spec)
    if (fd >= 0) return { kind: 'connecting', fd, isLoopback }
    const { step, error } = connectFailure
    // bind(2) has another name for "no port left" than connect(2), and the one of UDP has a third.
    const hasNoPort = (step === 'bind' && error === EADDRINUSE) || (step === 'connect' && error === EAGAIN)
    return { kind: 'failed', error: hasNoPort ? EADDRNOTAVAIL : error }
  }
}
