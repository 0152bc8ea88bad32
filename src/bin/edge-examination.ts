import type { Endpoint } from '../address/endpoint.ts'
import { formatIpAddress, parseIpAddress } from '../address/ip-address.ts'
import type { EdgeCommand } from '../cli/edge.ts'
import { readLastGood } from '../edge/follow/last-good.ts'
import { ConfigurationError } from '../edge/frontends/configuration-error.ts'
import { tlsProblems, tlsWarnings } from '../edge/frontends/frontend-tls.ts'
import type { EdgeDoctorOptions } from '../host/edge-doctor.ts'
import { EMPTY_SNAPSHOT, type Snapshot } from '../snapshot/snapshot.ts'
import { snapshotWarnings } from '../snapshot/snapshot-warnings.ts'
import { messageOf } from '../text/error-message.ts'
import { reach } from '../verify/reach.ts'
import { askAboutInstance } from './controller-connection.ts'
import { readSnapshot } from './edge-configuration.ts'

const REACH_MS = 3_000

/** What the doctor has to know of an edge that is started so. */
export function edgeToExamine(command: EdgeCommand): EdgeDoctorOptions {
  const { configuration, sourceAddresses, assignsAddresses, maxConnections } = command
  const { snapshot, problems } = readForDoctor(command)
  const isFollower = configuration.kind === 'controller'
  // A controller that has nothing to serve yet is no mistake of this host.
  const isSilent = problems.length > 0 || (isFollower && snapshot.frontends.length === 0)
  return {
    problems,
    warnings: isSilent ? [] : [...snapshotWarnings(snapshot, command), ...tlsWarnings(snapshot)],
    frontends: snapshot.frontends.flatMap(endpointOf),
    services: snapshot.services.map(({ name, groups }) => ({
      name,
      backends: groups.flatMap(({ backends }) => backends.flatMap(endpointOf)),
    })),
    sourceAddresses,
    assignsAddresses,
    controller: isFollower ? { file: configuration.file, ask: () => askAboutInstance(configuration) } : undefined,
    maxConnections,
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
        ? (readLastGood(configuration.file)?.snapshot ?? EMPTY_SNAPSHOT)
        : readSnapshot(configuration, allowsLocalBackends)
    const refused = tlsProblems(snapshot)
    if (refused.length > 0) throw new ConfigurationError(refused)
    return { snapshot, problems: [] }
  } catch (error) {
    return { snapshot: EMPTY_SNAPSHOT, problems: messageOf(error).split('\n') }
  }
}

function endpointOf({ address: text, port }: { readonly address: string; readonly port: number }): Endpoint[] {
  const address = parseIpAddress(text)
  return address === undefined ? [] : [{ address, port }]
}
