import { firstOf } from '../../text/counts.ts'
import type { LabHost } from './lab-status.ts'

const NAMES_MAX = 20

/** The host that somebody means, or why there is none, with the status of the answer. */
export type FoundHost =
  | { readonly kind: 'found'; readonly host: LabHost }
  | { readonly kind: 'none'; readonly status: 404 | 409; readonly problem: string }

/**
 * Finds the host that a name stands for. Clients and edges are the lab's own and in no zone: without a zone their names
 * are theirs, whatever instances are called, and an instance is found by its name alone where no other one has that.
 */
export function findHost(hosts: readonly LabHost[], name: string, zone: string | undefined): FoundHost {
  const named = hosts.filter((host) => host.name === name)
  const found =
    zone === undefined
      ? (named.find((host) => host.zone === undefined) ?? (named.length === 1 ? named[0] : undefined))
      : named.find((host) => host.zone === zone)
  if (found !== undefined) return { kind: 'found', host: found }
  const none = (status: 404 | 409, problem: string): FoundHost => ({ kind: 'none', status, problem })
  const zones = named.flatMap((host) => host.zone ?? []).sort()
  if (named.length === 0) {
    const names = [...new Set(hosts.map((host) => host.name))]
    return none(404, `There is no host "${name}"; there are ${firstOf(names, NAMES_MAX)}`)
  }
  if (zone === undefined) {
    return none(409, `There is an instance "${name}" in ${zones.join(' and in ')}; say which one with --zone`)
  }
  const others = zones.length > 0 ? `there is one in ${zones.join(' and in ')}` : `"${name}" is found without --zone`
  return none(404, `There is no instance "${name}" in ${zone}; ${others}`)
}
