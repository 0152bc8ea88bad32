// What goes between a controller and the edges that follow it: lines of JSON one way, reports the other.
import { isObjectOf, isOptional, isWhole, isWord, type Shape } from '../snapshot/shape.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'
import type { WhyQuestion } from '../telemetry/edge-why.ts'

/** Longer than the text of a configuration that an edge could serve, and so much that an edge can bear it. */
export const FEED_LINE_BYTES_MAX = 64 * 1024 * 1024

/** The format of what is written here; an edge refuses one that it does not know. */
export const FEED_FORMAT = 2

/** How a format that another process names is shown. */
export function shownFormat(format: unknown): string {
  return typeof format === 'number' ? `format ${format}` : 'no format that is a number'
}

/** A name of 16 bytes, a key of HMAC-SHA256 and one of AES-256. */
export const TICKET_KEY_BYTES = 80

/** Which configuration: versions of one generation grow; a restored database begins another generation. */
export type ConfigurationId = { readonly generation: string; readonly version: number }

/**
 * What an edge has: its digest is that of the snapshot, as the controller has sent it. A controller of another version may
 * make another snapshot of the same resources.
 */
export type HeldConfiguration = ConfigurationId & { readonly digest?: string | undefined }

/** Says whether a value from outside is a {@link ConfigurationId}. */
export const isConfigurationId = isObjectOf({ generation: isWord, version: isWhole(0, Number.MAX_SAFE_INTEGER) })

/** Of the edges of one controller. */
const EDGES_MAX = 1_000_000

/** How many edges share limits and targets, and which of them one is, in the order of their names. */
export type EdgeCount = { readonly count: number; readonly index: number }

/** Says whether a value from outside is an {@link EdgeCount}. */
export const isEdgeCount: Shape = (value) =>
  isObjectOf({ count: isWhole(1, EDGES_MAX) })(value) &&
  isObjectOf({ index: isWhole(0, (value as EdgeCount).count - 1) })(value)

/** Longer than an address with its port, and than the name of a forwarding rule. */
const ASKED_LENGTH_MAX = 128
const QUESTION_ID = /^[-0-9a-f]{36}$/

/** Says whether a value from outside can be a client, or a frontend, that is asked about. */
export const isAsked: Shape = (value) =>
  typeof value === 'string' && value.length > 0 && value.length <= ASKED_LENGTH_MAX

/** Says whether a value from outside is an {@link AskedQuestion}. */
export const isQuestion = isObjectOf({
  id: (value) => typeof value === 'string' && QUESTION_ID.test(value),
  client: isAsked,
  frontend: isOptional(isAsked),
})

/** Why does a client get the backend that it gets? The answer is posted under this id, a UUID. */
export type AskedQuestion = { readonly id: string } & WhyQuestion

/** One line from the controller. */
export type FeedLine =
  | (HeldConfiguration & { readonly type: 'snapshot'; readonly format: number; readonly snapshot: Snapshot })
  /** By which edges seal and open session tickets from now on: in hexadecimal, the one that seals first. */
  | { readonly type: 'tickets'; readonly keys: readonly string[] }
  /** Nothing is different for edges in this version. */
  | (ConfigurationId & { readonly type: 'version' })
  /** How many edges follow now, and which of them this one is, in the order of their names: they share targets. */
  | ({ readonly type: 'edges' } & EdgeCount)
  | ({ readonly type: 'why' } & AskedQuestion)
  /** Only says that the connection lives. */
  | { readonly type: 'alive' }

/** One line from the controller to an agent. */
export type SourcesLine =
  /** The addresses from which the edges connect to backends; older controllers leave the generation out. */
  | { readonly type: 'sources'; readonly generation?: string; readonly addresses: readonly string[] }
  | { readonly type: 'alive' }

/** What a controller knows of the host of an agent. */
export type InstanceAnswer = {
  /** The paths of the instances that have its name. */
  readonly instances: readonly string[]
  /** The addresses from which the edges connect to backends. */
  readonly edges: readonly string[]
}

/** How often a controller says at least something, in milliseconds. */
export const ALIVE_INTERVAL_MS = 2_000

/** Health of a backend as an edge sees it. */
export type ReportedHealth = 'HEALTHY' | 'UNHEALTHY' | 'DRAINING'

/** What an edge tells the controller about itself. */
export type EdgeReport = {
  readonly region: string | undefined
  readonly zone: string | undefined
  /** What it serves; version 0: nothing of this controller yet. */
  readonly applied: ConfigurationId
  /**
   * The latest version that it could not apply, and why; with the version of `applied`: what it has left out of that.
   * Undefined: it has applied the whole of the latest version.
   */
  readonly refused: (ConfigurationId & { readonly problems: readonly string[] }) | undefined
  /** By `backendKey`; what was not probed yet is left out. */
  readonly health: Readonly<Record<string, ReportedHealth>>
  /** The addresses from which it connects to backends. */
  readonly sources: readonly string[]
}

/** A report as it is sent. */
export type SentReport = Omit<EdgeReport, 'health'> & {
  /** What this health is called; older edges leave it out, and then every report has the health itself. */
  readonly healthId?: string | undefined
  /**
   * Left out where the last report of the edge had the same `healthId`: the controller has it. One that has not (it was
   * started again) answers with status 409, an older one with 400, and the edge sends it.
   */
  readonly health?: EdgeReport['health'] | undefined
}
