import type { Endpoint } from '../address/endpoint.ts'
import { formatIpAddress, parseIpAddress } from '../address/ip-address.ts'
import type { EdgeCommand } from '../cli/edge.ts'
import { readLastGood } from '../edge/follow/last-good.ts'
import { linesOf } from '../edge/frontends/configuration-error.ts'
import type { EdgeDoctorOptions } from '../host/edge-doctor.ts'
import { EMPTY_SNAPSHOT, type Snapshot } from '../snapshot/snapshot.ts'
import { reach } from '../verify/reach.ts'
import { askAsEdge } from './controller-connection.ts'
import { readChecked, servable, warningsOf } from './edge-configuration.ts'

const REACH_MS = 3_000

/** What the doctor has to know of an edge that is started so. */
export function edgeToExamine(command: EdgeCommand): EdgeDoctorOptions {
  const { configuration, sourceAddresses, assignsAddresses, maxConnections, flowsMax } = command
  const { snapshot, problems } = readForDoctor(command)
  const isFollower = configuration.kind === 'controller'
  // A controller that has nothing to serve yet is no mistake of this host.
  const isSilent = problems.length > 0 || (isFollower && snapshot.frontends.length === 0)
  return {
    problems,
    warnings: isSilent ? [] : warningsOf(snapshot, command),
    frontends: snapshot.frontends.filter(({ protocol }) => protocol === 'TCP').flatMap(endpointOf),
    datagramFrontends: snapshot.frontends.filter(({ protocol }) => protocol === 'UDP').flatMap(endpointOf),
    // Whether a datagram has arrived, nobody says.
    services: snapshot.services.filter(isOfTcp).map(({ name, groups }) => ({
      name,
      backends: groups.flatMap(({ backends }) => backends.flatMap(endpointOf)),
    })),
    sourceAddresses,
    assignsAddresses,
    controller: isFollower ? { ...configuration, ask: () => askAsEdge(configuration) } : undefined,
    maxConnections,
    flowsMax,
    reach: ({ address, port }) => reach(formatIpAddress(address), port, REACH_MS),
  }
}

function readForDoctor({ configuration, allowsLocalBackends }: EdgeCommand): {
  readonly snapshot: Snapshot
  readonly problems: readonly string[]
} {
  try {
    const snapshot =
      configuration.kind === 'controller'
        ? servable(readLastGood(configuration.file)?.snapshot ?? EMPTY_SNAPSHOT)
        : readChecked(configuration, allowsLocalBackends)
    return { snapshot, problems: [] }
  } catch (error) {
    return { snapshot: EMPTY_SNAPSHOT, problems: linesOf(error) }
  }
}

function isOfTcp({ flows }: Snapshot['services'][number]): boolean {
  return flows === undefined
}

function endpointOf({ address: text, port }: { readonly address: string; readonly port: number }): Endpoint[] {
  const address = parseIpAddress(text)
  return address === undefined ? [] : [{ address, port }]
}
