import type { Position } from '../balancing/google-regions.ts'
import type { EdgeControllerSettings } from '../cli/edge-controller.ts'
import type { ProgramContext } from '../dataplane/worker/program.ts'
import { type EdgeOptions, type RunningEdge, startEdge } from '../edge/edge.ts'
import { ControllerFollower } from '../edge/follow/controller-follower.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'
import { type Place, snapshotWarnings } from '../snapshot/snapshot-warnings.ts'
import { messageOf } from '../text/error-message.ts'
import { controllerClient } from './controller-connection.ts'
import { readPositions } from './edge-place.ts'

type FollowingEdgeOptions = {
  readonly edge: Omit<EdgeOptions, 'strayedSockets' | 'unopenedFrontends' | 'readSnapshot'>
  readonly allowsLocalBackends: boolean
  readonly controller: EdgeControllerSettings
  readonly regionFile: string | undefined
  /** What warnings about a configuration depend on. */
  readonly surroundings: Place
}

/** Starts an edge with the last configuration that it had, and lets it follow its controller. @throws Error */
export async function startFollowingEdge(
  { edge: options, allowsLocalBackends, controller, regionFile, surroundings }: FollowingEdgeOptions,
  context: ProgramContext,
): Promise<RunningEdge> {
  const client = controllerClient(controller)
  const follower = new ControllerFollower({
    client,
    allowsLocalBackends,
    name: controller.name,
    region: options.place.region,
    zone: options.place.zone,
    sourceAddresses: options.sourceAddresses,
    file: controller.file,
    log: context.log,
  })
  const said = new Set<string>()
  /** Each warning once: every change of a resource at the controller is another configuration. */
  const warnedOf = (snapshot: Snapshot): Snapshot => {
    // A controller that has nothing to serve yet is no mistake of anybody.
    const warnings = snapshot.frontends.length === 0 ? [] : snapshotWarnings(snapshot, surroundings)
    for (const warning of warnings.filter((text) => !said.has(text))) {
      said.add(warning)
      context.log('warn', `The configuration: ${warning}`)
    }
    for (const text of said) if (!warnings.includes(text)) said.delete(text)
    return snapshot
  }
  const followed = {
    strayedSockets: 'wait',
    unopenedFrontends: 'left-out',
    readSnapshot: () => warnedOf(follower.snapshot()),
    readPositions: async () => (regionFile === undefined ? undefined : positionsNow(regionFile, context)),
    edges: follower.edges,
    neededAddresses: () => client.addresses(),
    onDrain: () => follower.stop(),
  } as const
  const edge = await startEdge({ ...options, ...followed }, context)
  follower.start(edge)
  return edge
}

/** What is wrong with the file of an operator here must not keep the controller's configuration away. */
async function positionsNow(path: string, { log }: ProgramContext): Promise<ReadonlyMap<string, Position> | undefined> {
  try {
    return await readPositions(path)
  } catch (error) {
    log('error', `Regions stay where they were: ${messageOf(error)}`)
    return undefined
  }
}
