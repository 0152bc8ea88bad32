import type { Endpoint } from '../../address/endpoint.ts'
import type { IpAddress } from '../../address/ip-address.ts'
import type { DatagramBatch } from '../../linux/datagram.ts'
import type { DropReason, FlowEndReason } from '../../telemetry/flow-reasons.ts'
import { type Datagram, Verdict } from './datagram-entrance.ts'
import type { Port } from './port.ts'

/** The one datagram of a worker that is being looked at: a slot of the batch that has come in. */
export class Arrival implements Datagram {
  readonly batch: DatagramBatch
  readonly bytes: Uint8Array
  slot = 0
  start = 0
  end = 0
  dropReason: DropReason | null = null
  endReason: FlowEndReason = 'replaced'
  isPassedOn = true
  readonly #send: (arrival: Arrival, bytes: Uint8Array) => void
  readonly #makeWay: (client: IpAddress) => boolean
  #port: Port | null = null

  /**
   * @param send sends bytes to the sender of the datagram
   * @param makeWay see {@link Datagram.makeWay}
   */
  constructor(
    batch: DatagramBatch,
    send: (arrival: Arrival, bytes: Uint8Array) => void,
    makeWay: (client: IpAddress) => boolean,
  ) {
    this.batch = batch
    this.bytes = batch.bytes
    this.#send = send
    this.#makeWay = makeWay
  }

  /** Looks at the datagram in this slot, which has come in at this port. */
  lookAt(slot: number, port: Port): void {
    this.slot = slot
    this.#port = port
    this.start = this.batch.start(slot)
    this.end = this.batch.end(slot)
    this.dropReason = null
    this.isPassedOn = true
  }

  /** Where it has come in. */
  get port(): Port {
    if (this.#port === null) throw new Error('There is no datagram yet')
    return this.#port
  }

  peer(): Endpoint {
    return this.batch.peer(this.slot)
  }

  local(): Endpoint {
    const { endpoint } = this.port
    const address = this.batch.local(this.slot)
    return address === undefined ? endpoint : { address, port: endpoint.port }
  }

  drop(reason: DropReason): typeof Verdict.Drop {
    this.dropReason = reason
    return Verdict.Drop
  }

  answer(bytes: Uint8Array): typeof Verdict.Done {
    this.#send(this, bytes)
    return Verdict.Done
  }

  makeWay(client: IpAddress): boolean {
    return this.#makeWay(client)
  }
}
