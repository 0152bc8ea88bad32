import type { Position } from '../balancing/google-regions.ts'
import type { EdgeControllerSettings } from '../cli/edge-controller.ts'
import type { ProgramContext } from '../dataplane/worker/program.ts'
import { type EdgeOptions, type RunningEdge, startEdge } from '../edge/edge.ts'
import { ControllerFollower } from '../edge/follow/controller-follower.ts'
import { messageOf } from '../text/error-message.ts'
import { controllerClient } from './controller-connection.ts'
import { readPositions } from './edge-place.ts'

type FollowingEdgeOptions = {
  readonly edge: Omit<EdgeOptions, 'strayedSockets' | 'unopenedFrontends' | 'readSnapshot'>
  readonly allowsLocalBackends: boolean
  readonly controller: EdgeControllerSettings
  readonly regionFile: string | undefined
}

/** Starts an edge with the last configuration that it had, and lets it follow its controller. @throws Error */
export async function startFollowingEdge(
  { edge: options, allowsLocalBackends, controller, regionFile }: FollowingEdgeOptions,
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
  const followed = {
    strayedSockets: 'wait',
    unopenedFrontends: 'left-out',
    readSnapshot: () => follower.snapshot(),
    readPositions: async () => (regionFile === undefined ? undefined : positionsNow(regionFile, context)),
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
