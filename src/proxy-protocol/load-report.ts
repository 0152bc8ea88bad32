import { readTlvs, TlvType } from './tlv.ts'
import { writeProxyV2Local } from './write-v2.ts'

/**
 * The TLV, in the range for applications (proxy-protocol.txt §2.2), by which an edge asks an agent for its load: in a
 * version 2 header with the command LOCAL and no addresses. Its value is the version of the question, one byte.
 */
export const LOAD_REQUEST_TLV = 0xe5
const LOAD_REQUEST_VERSION = 1
const QUESTION_BYTES_MAX = 32
/** No agent takes more (`--max-connections`): whoever says so is none, and sums of so many stay whole numbers. */
const CONNECTIONS_MAX = 10_000_000
/** Padding at the end: an app that is no agent and shows what it gets line by line ends the line here. */
const LINE_END = { type: TlvType.noop, value: Uint8Array.of(0x0d, 0x0a) }
const V2_START_BYTES = 16
const FAMILY_AT = 13

/** The host's load: cells of shared memory that the main thread writes and the workers read, each from 0 to 1. */
export const LoadCell = { cpu: 0, memory: 1 } as const
export const LOAD_CELLS = 2

/** The answer, with the names of ORCA (xds.data.orca.v3.OrcaLoadReport) where it has one. */
export type LoadReport = {
  /** Part of the processors that was busy during the last second, 0 to 1. */
  readonly cpu_utilization: number
  /** Part of the memory that is not available, 0 to 1. */
  readonly mem_utilization: number
  /** Connections and flows that this agent has open. */
  readonly open_connections: number
  /** Those of them that came to the port which was asked, and lead to an app; undefined: an older agent. */
  readonly port_connections?: number
  /** Whether the app listens. */
  readonly app_listening: boolean
}

/** The header that asks for the load, as an edge sends it. */
export function loadQuestion(): Uint8Array {
  const bytes = new Uint8Array(QUESTION_BYTES_MAX)
  const tlv = { type: LOAD_REQUEST_TLV, value: Uint8Array.of(LOAD_REQUEST_VERSION) }
  return bytes.subarray(0, writeProxyV2Local(bytes, 0, { tlvs: [tlv, LINE_END] }))
}

/** Reads an answer; undefined when it is none: whoever answered is no agent, or a much newer one. */
export function parseLoadReport(text: string): LoadReport | undefined {
  let report: unknown
  try {
    report = JSON.parse(text)
  } catch {
    return undefined
  }
  return isLoadReport(report) ? report : undefined
}

function isLoadReport(value: unknown): value is LoadReport {
  if (typeof value !== 'object' || value === null) return false
  const fields = value as Record<string, unknown>
  const { cpu_utilization, mem_utilization, open_connections, port_connections, app_listening } = fields
  return (
    isFraction(cpu_utilization) &&
    isFraction(mem_utilization) &&
    isCount(open_connections) &&
    (port_connections === undefined || isCount(port_connections)) &&
    typeof app_listening === 'boolean'
  )
}

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= CONNECTIONS_MAX
}

function isFraction(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= 1
}

/** Reports whether the LOCAL header in `[0, headerEnd)` asks for the load. */
export function asksForLoad(bytes: Uint8Array, headerEnd: number): boolean {
  if (headerEnd <= V2_START_BYTES || bytes[FAMILY_AT] !== 0) return false
  return readTlvs(bytes, V2_START_BYTES, headerEnd).some(
    (tlv) => tlv.type === LOAD_REQUEST_TLV && tlv.value[0] === LOAD_REQUEST_VERSION,
  )
}

/** One JSON document on one line, as bytes. */
export function encodeLoadReport(report: LoadReport): Uint8Array {
  return Buffer.from(`${JSON.stringify(report)}\n`)
}
