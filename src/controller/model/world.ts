// What the methods of the API are given, and what they ask of others: the hub of edges, their health, their OpenSSL, and
// whoever makes machines.

import type { Problem } from '../../compute/problem.ts'
import type { CheckedResource } from '../../compute/resources.ts'
import type { RefusedIn, Servable } from '../../snapshot/servable.ts'
import type { Snapshot } from '../../snapshot/snapshot.ts'
import type { Store } from '../store/store.ts'
import type { ReferenceIndex } from './reference-index.ts'

/** Health of a backend as edges see it. */
export type HealthState = 'HEALTHY' | 'UNHEALTHY' | 'DRAINING'

/** What connected edges report. */
export type HealthSource = {
  /** The health of a backend by its `backendKey`; undefined: no edge has probed it. */
  stateOf(key: string): HealthState | undefined
}

/**
 * What edges do with certificates and SSL policies. OpenSSL has to say it, which is not for this folder to ask.
 *
 * Edges take a configuration as a whole: one certificate that they refuse, and they stay with what they have.
 */
export type EdgeTls = {
  /** Why an edge would refuse the certificates, the key or the roots of a sound resource. */
  readonly certificateProblems: (checked: CheckedResource) => readonly Problem[]
  /** What edges would refuse of a snapshot that compiles. */
  readonly refusedIn: RefusedIn
  /** Cipher suites of SSL policies that no edge can offer, by registered name. */
  readonly unavailableFeatures: readonly string[]
}

/** Whoever hands snapshots to edges. */
export type Hub = {
  /**
   * Says that the resources have a new version, which `Api.publication` holds.
   *
   * With `changesListeners` it waits, at most 2 s, until every connected edge has applied it. Resolves with the names of
   * the edges that have not; never rejects.
   */
  published(version: number, changesListeners: boolean): Promise<readonly string[]>
}

/** What edges follow: the snapshot of one version, and why parts of the resources are not in it. */
export type Publication = {
  readonly version: number
  readonly snapshot: Snapshot
  readonly leftOut: Servable['leftOut']
}

/** Makes machines for instances that were given no address, such as hosts of a lab. */
export type InstanceProvider = {
  /** The address that the machine of a new instance will have; undefined: it makes none. */
  addressOf(zone: string, name: string): string | undefined
  /** Told when an instance was stored: RUNNING or TERMINATED; undefined: it was deleted. Must not throw. */
  changed(zone: string, name: string, status: string | undefined): void
}

/**
 * Is told of every answer, also of each part of a batch.
 *
 * @param method that of the API, such as `healthChecks.insert`, or another word of a small set
 */
export type AnswerListener = (method: string, status: number, tookMs: number) => void

/** What methods read besides the request. */
export type World = {
  readonly store: Store
  readonly references: ReferenceIndex
  readonly random: (count: number) => Uint8Array
  readonly health: HealthSource
  readonly edgeTls: EdgeTls
  readonly projects: readonly string[]
  readonly addressPools: readonly string[]
  readonly addresses: readonly string[]
  readonly provider: InstanceProvider | undefined
}

/** Something that a client should know about a change that was made. */
export type Warning = { readonly code: string; readonly message: string }
