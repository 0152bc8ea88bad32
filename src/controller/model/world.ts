// What the methods of the API are given, and what they ask of others: the hub of edges, their health, their OpenSSL, and
// whoever makes machines.

import type { Problem } from '../../compute/problem.ts'
import type { CheckedResource } from '../../compute/resources.ts'
import type { ReportedHealth } from '../../feed/feed.ts'
import type { RefusedIn, Servable } from '../../snapshot/servable.ts'
import type { Snapshot } from '../../snapshot/snapshot.ts'
import type { Store, StoredResource } from '../store/store.ts'
import type { ReferenceIndex } from './reference-index.ts'

/** What connected edges report. */
export type HealthSource = {
  /** The health of a backend by its `backendKey`; undefined: no edge has probed it. */
  stateOf(key: string): ReportedHealth | undefined
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
   * Waits, at most 2 s or what the controller was started with, until every edge that is connected now has applied this
   * version of the configuration. Resolves with the names of the edges that have not, and why where they say so; never
   * rejects.
   */
  applied(version: number): Promise<readonly string[]>
  /** Reports whether an edge is connected. */
  hasEdges(): boolean
  /** Reports whether an edge that is connected cannot apply what it was sent: every later change waits for that, too. */
  isHeldUp(): boolean
}

/** What edges follow: the snapshot of one version, and why parts of the resources are not in it. */
export type Publication = {
  readonly version: number
  readonly snapshot: Snapshot
  readonly leftOut: Servable['leftOut']
}

/** What there has to be, as stored at a revision; of an instance `status` says whether it is to run. */
export type WantedMachines = {
  readonly revision: number
  readonly instances: readonly StoredResource[]
  readonly firewalls: readonly StoredResource[]
  /** With the metadata that all of their instances share. */
  readonly projects: readonly StoredResource[]
}

/** A part of what a machine has written to its first serial port, and where in all of that it begins and ends, in bytes. */
export type SerialOutput = { readonly contents: string; readonly start: number; readonly next: number }

/** What could not be brought to what is wanted: the path of an instance or a firewall, which may be gone by now, and why. */
export type MachineFailure = { readonly path: string; readonly message: string }

/** Makes machines for instances, such as hosts of a lab. */
export type InstanceProvider = {
  /** The zones that there are, as machines can be made in them only; undefined: any. */
  readonly zones?: readonly string[] | undefined
  /**
   * Brings all machines to what is wanted, and says what has failed; is asked again then, after a while. Rejects where it
   * cannot even try. Is never asked twice at a time, unless it goes on after the signal.
   */
  reconcile(wanted: WantedMachines, signal: AbortSignal): Promise<readonly MachineFailure[]>
  /**
   * What still goes on with the machine of an instance after a try, such as its end, and in the end why it has failed;
   * undefined: nothing does.
   */
  settled?(path: string): Promise<string | undefined> | undefined
  /**
   * What the machine of an instance has written to its serial port from `start` on, as far as it is kept; undefined: there
   * is no machine.
   */
  serialOutput(path: string, start: number): SerialOutput | undefined
  /** What the machine of an instance has written for others to read; not every provider has a way for that. */
  guestAttributes?(path: string): GuestAttributes
}

/** Values by namespace and key. */
export type GuestAttributes = ReadonlyMap<string, ReadonlyMap<string, string>>

/** What a machine does, which may be something else than what is wanted of it. */
export type MachineState = {
  readonly status: 'PROVISIONING' | 'STAGING' | 'RUNNING' | 'STOPPING' | 'TERMINATED'
  /** Why, where an operator should know. */
  readonly message?: string | undefined
}

/** Makes a provider, which may report what it sees of the machine of an instance at any time, by its path. */
export type MakeProvider = (report: (path: string, state: MachineState) => void) => InstanceProvider

/** What is known of machines. */
export type MachineSource = {
  /** As {@link InstanceProvider.zones}. */
  readonly zones: readonly string[] | undefined
  /** By the path of the instance; undefined: nothing was reported. */
  stateOf(path: string): MachineState | undefined
  /** As {@link InstanceProvider.serialOutput}. */
  serialOutput(path: string, start: number): SerialOutput | undefined
  /** As {@link InstanceProvider.guestAttributes}. */
  guestAttributes(path: string): GuestAttributes
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
  /** Ranges that instances get their addresses for the internet from; empty: that of the interface is theirs. */
  readonly natPools: readonly string[]
  /** The IPv6 range of the subnet of a region, for machines. */
  readonly ipv6Subnets: Readonly<Record<string, string>>
  /** Backends may be at loopback and link-local addresses. */
  readonly allowsLocalBackends?: boolean | undefined
  /** undefined: nobody makes machines, instances are existing hosts. */
  readonly machines: MachineSource | undefined
}

/** Something that a client should know about a change that was made. */
export type Warning = { readonly code: string; readonly message: string }
