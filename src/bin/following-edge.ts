import type { EdgeControllerSettings } from '../cli/edge-controller.ts'
import type { ProgramContext } from '../dataplane/worker/program.ts'
import { type EdgeOptions, type RunningEdge, startEdge } from '../edge/edge.ts'
import { ControllerFollower } from '../edge/follow/controller-follower.ts'
import { controllerClient } from './controller-connection.ts'

type FollowingEdgeOptions = {
  readonly edge: Omit<EdgeOptions, 'strayedSockets' | 'unopenedFrontends' | 'readSnapshot'>
  readonly allowsLocalBackends: boolean
  readonly controller: EdgeControllerSettings
}

/** Starts an edge with the last configuration that it had, and lets it follow its controller. @throws Error */
export async function startFollowingEdge(
  { edge: options, allowsLocalBackends, controller }: FollowingEdgeOptions,
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
    neededAddresses: () => client.addresses(),
    onDrain: () => follower.stop(),
  } as const
  const edge = await startEdge({ ...options, ...followed }, context)
  follower.start(edge)
  return edge
}
