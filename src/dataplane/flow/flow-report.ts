import { type Endpoint, formatEndpoint } from '../../address/endpoint.ts'
import { formatIpAddress } from '../../address/ip-address.ts'
import { errnoName } from '../../linux/errno.ts'
import type { DropReason, FlowEndReason } from '../../telemetry/flow-reasons.ts'
import type { Log, LogFields } from '../../telemetry/log.ts'
import { Samples } from '../../telemetry/samples.ts'
import { addresses, type Verbosity } from '../connection/report.ts'
import type { Flow } from './datagram-entrance.ts'

/** Ends that say that something is not as it should be; all others are what flows come to, sooner or later. */
const TELLING_ENDS: ReadonlySet<FlowEndReason> = new Set(['drained', 'backend-unhealthy', 'shutdown'])

/** Makes the record of a flow that ends. */
type Describe = (flow: Flow, reason: FlowEndReason) => LogFields

/** Logs the records of flows that end, so much of them as the operator asked for, and a sample of what is dropped. */
export class FlowReporter {
  readonly #log: Log
  readonly #verbosity: Verbosity
  readonly #describe: Describe
  readonly #samples = new Samples()

  constructor(log: Log, verbosity: Verbosity, describe: Describe = flowRecord) {
    this.#log = log
    this.#verbosity = verbosity
    this.#describe = describe
  }

  /** Logs the record of a flow that ends, or not. */
  end(flow: Flow, reason: FlowEndReason): void {
    // Nobody answers there: the app is down, or the target is wrong.
    const hasFailed = flow.errors > 0 && flow.datagramsFromBackend === 0
    const isTold = this.#verbosity === 2 || (this.#verbosity === 1 && !flow.showsPeer)
    if (hasFailed && !isTold) {
      const told = this.#samples.take(`failed ${addressOf(flow.peer)}`, flow.endedMs)
      if (told !== undefined) this.#log('warn', 'flow', { ...this.#describe(flow, reason), ...told })
      return
    }
    if (this.#verbosity === 0 || (this.#verbosity === 1 && !hasFailed && !TELLING_ENDS.has(reason))) return
    this.#log(hasFailed ? 'warn' : 'info', 'flow', this.#describe(flow, reason))
  }

  /**
   * Logs that a datagram of this peer was dropped, one for each peer, reason and refusal in a minute.
   *
   * @param refusal what is wrong with its header, or the name of an error
   */
  drop(peer: Endpoint, reason: DropReason, refusal: string, nowMs: number): void {
    // Anybody may come, from any number of addresses: one record stands for all of them.
    const isAnybodys = reason === 'untrusted-peer' && this.#verbosity === 0
    const key = isAnybodys ? reason : `${reason} ${refusal} ${formatIpAddress(peer.address)}`
    const told = this.#samples.take(key, nowMs)
    if (told === undefined) return
    const fields = { peer: formatEndpoint(peer), reason, refusal: refusal || undefined }
    this.#log('warn', 'datagram dropped', { ...fields, ...told })
  }
}

/** Describes a flow that is open now. */
export function openFlow(flow: Flow, nowMs: number): LogFields {
  return { ...addresses(flow), ...totals(flow, nowMs), phase: 'flow' }
}

/** Describes a flow that ends. */
export function flowRecord(flow: Flow, reason: FlowEndReason): LogFields {
  return { ...addresses(flow), ...totals(flow, flow.endedMs), end: reason, refusal: flow.refusal || undefined }
}

function totals(flow: Flow, nowMs: number): LogFields {
  return {
    datagramsFromClient: flow.datagramsFromClient,
    bytesFromClient: flow.bytesFromClient,
    datagramsFromBackend: flow.datagramsFromBackend,
    bytesFromBackend: flow.bytesFromBackend,
    errors: flow.errors === 0 ? undefined : flow.errors,
    lastError: flow.lastError === 0 ? undefined : errnoName(flow.lastError),
    durationMs: Math.round(nowMs - flow.startedMs),
  }
}

function addressOf(peer: Endpoint | null): string {
  return peer === null ? '' : formatIpAddress(peer.address)
}
