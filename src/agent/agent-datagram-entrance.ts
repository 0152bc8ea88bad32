import { type Endpoint, formatEndpoint } from '../address/endpoint.ts'
import { formatIpAddress } from '../address/ip-address.ts'
import { Uses } from '../dataplane/connection/uses.ts'
import { type Datagram, type DatagramEntrance, type Flow, Verdict } from '../dataplane/flow/datagram-entrance.ts'
import { FlowReporter } from '../dataplane/flow/flow-report.ts'
import type { RoleContext } from '../dataplane/worker/role.ts'
import { PEER_INTS } from '../linux/datagram.ts'
import { FLOW_NAMES } from '../linux/datagram-sockets.ts'
import { errnoName, isOutOfDescriptors } from '../linux/errno.ts'
import { ENDS_WORDS, readSimpleEnds, readV2Ends } from '../proxy-protocol/datagram-ends.ts'
import { asksForLoad } from '../proxy-protocol/load-report.ts'
import { type MalformedHeader, PROXY_V2_START_LENGTH } from '../proxy-protocol/proxy-header.ts'
import { readProxyDatagram } from '../proxy-protocol/read-proxy-header.ts'
import { readSimpleProxy } from '../proxy-protocol/simple-proxy.ts'
import { PROXY_V2_SIGNATURE } from '../proxy-protocol/v2-format.ts'
import type { DropReason, FlowEndReason } from '../telemetry/flow-reasons.ts'
import { type Counters, METRICS } from '../telemetry/metrics.ts'
import { Admission, type AdmissionContext } from './admission.ts'
import type { AgentDatagramEntranceOptions, UdpHeader } from './agent-role-options.ts'
import { connectFrom, ownerOf } from './connect-from.ts'
import type { NewestSockets } from './newest-sockets.ts'
import type { SourceHeader } from './source-policy.ts'

// The key of a flow: who sends it and, where every datagram says it, for whom. Who speaks for itself is told apart by its
// port, too. The last integer keeps flows of a listener that reads other headers now out of the way.
const PEER_AT = 0
const ENDS_AT = PEER_INTS
const MODE_AT = ENDS_AT + ENDS_WORDS
const MODES: Readonly<Record<UdpHeader, number>> = { every: 1, first: 2, alone: 3, spp: 4 }

/** The socket of a flow. */
type Wanted = {
  readonly source: Endpoint
  readonly target: Endpoint
  readonly showsPeer: boolean
  /** Tells it from others, see {@link hashOf}. */
  readonly hash: number
}

type DatagramHeader = SourceHeader & { readonly bytesRead: number }

/** A UDP port of an agent: trusts edges, reads headers, and sends on from the clients' addresses. */
export class AgentDatagramEntrance implements DatagramEntrance {
  readonly uses = new Uses(() => {})
  /** One edge has what another has not: a flood of one does not end the flows of all. */
  readonly groupsByPeer = true
  readonly flowsPerPeerMax: number
  readonly #options: AgentDatagramEntranceOptions
  readonly #admission: Admission
  readonly #reporter: FlowReporter
  readonly #counters: Counters
  readonly #headerLimits: { readonly v2LengthMax: number }
  readonly #mode: number
  /** Who is told apart by its socket has said once who its client is. */
  readonly #isBySocket: boolean
  readonly #newest: NewestSockets

  /** @param load the host's load, see `HostLoad` */
  constructor(
    options: AgentDatagramEntranceOptions,
    load: Float64Array,
    newest: NewestSockets,
    context: AdmissionContext & Pick<RoleContext, 'log'>,
  ) {
    this.#newest = newest
    this.flowsPerPeerMax = options.flowsPerEdgeMax
    this.#options = options
    this.#admission = new Admission(options, load, context)
    this.#reporter = new FlowReporter(context.log, options.verbosity)
    this.#counters = context.counters
    this.#headerLimits = { v2LengthMax: options.headerLengthMax }
    this.#mode = MODES[options.udpHeader]
    this.#isBySocket = options.udpHeader === 'first' || options.udpHeader === 'alone'
  }

  identify(datagram: Datagram, key: Int32Array): Verdict {
    const { batch, slot, bytes, start, end } = datagram
    key[MODE_AT] = this.#mode
    if (this.#isBySocket) {
      batch.copyPeer(slot, key, PEER_AT)
      return Verdict.Pass
    }
    const readEnds = this.#options.udpHeader === 'spp' ? readSimpleEnds : readV2Ends
    const length = readEnds(bytes, start, end, key, ENDS_AT)
    if (length === 0) return this.#identifyRest(datagram, key)
    batch.copyPeerAddress(slot, key, PEER_AT)
    datagram.start = start + length
    return Verdict.Pass
  }

  meet(flow: Flow, datagram: Datagram): Verdict {
    // Since a reload, others may be trusted than when it was opened.
    if (flow.state !== this) {
      const peer = datagram.peer()
      if (!this.#admission.trusts(peer.address)) return this.#drop(datagram, peer, 'untrusted-peer')
      flow.state = this
    }
    if (this.#isBySocket) return this.#meetSocket(flow, datagram)
    const verdict = this.#options.udpHeader === 'spp' ? Verdict.Pass : this.#meetHeader(flow, datagram)
    return verdict === Verdict.Pass && this.#newest.isOvertaken(flow.entranceId) ? Verdict.Renew : verdict
  }

  open(flow: Flow, datagram: Datagram): number {
    const peer = datagram.peer()
    const header = this.#readHeader(datagram, peer)
    if (header === undefined) return -1
    const decision = this.#admission.decide(header, peer)
    if (decision.kind === 'refused') return this.#refuse(datagram, peer, 'source-refused', decision.reason)
    const showsPeer = decision.kind === 'peer'
    if (showsPeer && this.#options.local === 'check') {
      datagram.drop('local-probe')
      return -1
    }
    const source = showsPeer ? peer : decision.source
    const target = this.#admission.targetOf(source)
    if (target === null) return this.#refuse(datagram, peer, 'connect-failed', 'no-app-for-family')
    const hash = hashOf(peer, source, header.kind === 'proxied' ? header.destination : peer)
    const fd = this.#connect(flow, datagram, peer, { source, target, showsPeer, hash })
    if (fd < 0) return -1
    const start = datagram.batch.start(datagram.slot)
    datagram.start = start + header.bytesRead
    datagram.isPassedOn = this.#options.udpHeader !== 'alone' || datagram.start < datagram.end
    flow.source = source
    flow.target = target
    flow.peer = peer
    flow.showsPeer = showsPeer
    flow.idleMs = this.#options.idleMs
    flow.header = datagram.bytes.slice(start, datagram.start)
    flow.state = this
    if (this.#options.udpHeader === 'spp') flow.answerPrefix = flow.header
    Atomics.add(this.#options.portOpen, 0, 1)
    return fd
  }

  /** Only a socket with the same two ends will do: one from another port would be another client to the app. */
  renew({ source, target, entranceId }: Flow, datagram: Datagram): number {
    // If it cannot be had now, each further datagram would only find out the same.
    this.#newest.claimCell(entranceId)
    const peer = datagram.peer()
    const header = this.#readHeader(datagram, peer)
    if (source === null || target === null || header?.kind !== 'proxied') return -1
    const name = nameOf(hashOf(peer, source, header.destination))
    const options = { ...this.#options.connect, sourcePort: 'preserve' } as const
    const connected = connectFrom(source, target, ownerOf(source, peer, false), options, name)
    return connected.kind === 'connecting' ? connected.fd : -1
  }

  onEnd(flow: Flow, reason: FlowEndReason): void {
    Atomics.sub(this.#options.portOpen, 0, 1)
    this.#reporter.end(flow, reason)
  }

  /** What names no client, or no client for datagrams, or is no header. */
  #identifyRest(datagram: Datagram, key: Int32Array): Verdict {
    const { batch, slot, bytes, start } = datagram
    const peer = datagram.peer()
    const header = this.#readHeader(datagram, peer)
    if (header === undefined) return Verdict.Drop
    if (header.kind !== 'local') {
      const decision = this.#admission.decide(header, peer)
      this.#refuse(datagram, peer, 'source-refused', decision.kind === 'refused' ? decision.reason : '')
      return Verdict.Drop
    }
    if (asksForLoad(bytes.subarray(start), header.bytesRead)) {
      this.#counters.add(METRICS.local.slot)
      return datagram.answer(this.#admission.loadReport(this.#admission.targetOf(peer)))
    }
    batch.copyPeer(slot, key, PEER_AT)
    datagram.start = start + header.bytesRead
    return Verdict.Pass
  }

  /** The addresses are those of the flow; whatever else is in the header may have changed. */
  #meetHeader(flow: Flow, datagram: Datagram): Verdict {
    const start = datagram.batch.start(datagram.slot)
    const length = datagram.start - start
    if (length === flow.header.length && beginsWith(datagram.bytes, start, flow.header)) return Verdict.Pass
    if (this.#readHeader(datagram, datagram.peer()) === undefined) return Verdict.Drop
    flow.header = datagram.bytes.slice(start, datagram.start)
    return Verdict.Pass
  }

  /**
   * All that comes from this socket of the edge is the client's, but for the header if the edge repeats it. Another one may
   * be that of another client, for whom the edge uses the socket now, or forged by this one: nobody can say whose the
   * datagrams are from now on, so none is taken until the flow has been silent for long enough to be forgotten. What is
   * dropped breaks the silence, too: a client that goes on sending keeps the edge from forgetting it, and would have its
   * next header read as the edge's.
   */
  #meetSocket(flow: Flow, datagram: Datagram): Verdict {
    const { bytes, start, end } = datagram
    if (flow.refusal !== '') {
      datagram.drop('header-changed')
      return Verdict.Done
    }
    const { header } = flow
    if (end - start >= header.length && beginsWith(bytes, start, header)) {
      datagram.start = start + header.length
      return this.#options.udpHeader === 'alone' && datagram.start === end ? Verdict.Done : Verdict.Pass
    }
    if (end - start < PROXY_V2_START_LENGTH || !beginsWith(bytes, start, PROXY_V2_SIGNATURE)) return Verdict.Pass
    flow.refusal = 'header-changed'
    this.#refuse(datagram, datagram.peer(), 'header-changed', '')
    return Verdict.Done
  }

  /** Reads the header of a datagram of a trusted edge; undefined: it is dropped. */
  #readHeader(datagram: Datagram, peer: Endpoint): DatagramHeader | undefined {
    if (!this.#admission.trusts(peer.address)) {
      this.#drop(datagram, peer, 'untrusted-peer')
      return undefined
    }
    const { bytes, end } = datagram
    const start = datagram.batch.start(datagram.slot)
    const header: DatagramHeader | MalformedHeader =
      this.#options.udpHeader === 'spp'
        ? readSimpleProxy(bytes, start, end)
        : readProxyDatagram(bytes, start, end, this.#headerLimits)
    if (header.kind !== 'malformed') return header
    this.#counters.add(METRICS.malformed.slots[header.reason])
    this.#refuse(datagram, peer, header.reason === 'not-proxy' ? 'header-missing' : 'header-malformed', header.reason)
    return undefined
  }

  /** Opens the socket of a flow; returns -1 where there is none, and the datagram is dropped. */
  #connect(flow: Flow, datagram: Datagram, peer: Endpoint, { source, target, showsPeer, hash }: Wanted): number {
    const { connect } = this.#options
    const connected = connectFrom(source, target, ownerOf(source, peer, showsPeer), connect, nameOf(hash))
    if (connected.kind === 'refused') {
      this.#counters.add(METRICS.sourceRefused.slots[connected.reason])
      return this.#refuse(datagram, peer, 'source-refused', connected.reason)
    }
    if (connected.kind === 'failed' && isOutOfDescriptors(connected.error)) {
      datagram.drop('flow-limit')
      return -1
    }
    if (connected.kind === 'failed') return this.#refuse(datagram, peer, 'connect-failed', errnoName(connected.error))
    if (connected.fallback !== undefined) this.#counters.add(METRICS.sourcePortFallbacks.slots[connected.fallback])
    else if (!showsPeer && source.port !== 0 && connect.sourcePort !== 'ephemeral') {
      flow.entranceId = this.#newest.claim(hash)
    }
    return connected.fd
  }

  #refuse(datagram: Datagram, peer: Endpoint, reason: DropReason, refusal: string): -1 {
    datagram.drop(reason)
    this.#reporter.drop(peer, reason, refusal, performance.now())
    return -1
  }

  #drop(datagram: Datagram, peer: Endpoint, reason: DropReason): typeof Verdict.Drop {
    this.#refuse(datagram, peer, reason, '')
    return Verdict.Drop
  }
}

/** The same number in every worker and process, for the same edge, client and destination. */
function hashOf({ address }: Endpoint, source: Endpoint, destination: Endpoint): number {
  let hash = 0
  for (const character of `${formatIpAddress(address)} ${formatEndpoint(source)} ${formatEndpoint(destination)}`) {
    hash = (Math.imul(hash, 31) + character.charCodeAt(0)) | 0
  }
  return hash
}

/** See `flow` of `ConnectSpec`. */
function nameOf(hash: number): number {
  return (hash ^ (hash >>> 16)) & (FLOW_NAMES - 1)
}

function beginsWith(bytes: Uint8Array, start: number, front: ArrayLike<number>): boolean {
  for (let i = 0; i < front.length; i++) if (bytes[start + i] !== front[i]) return false
  return true
}
