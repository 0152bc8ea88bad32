import type { EdgeControllerSettings } from '../cli/edge-controller.ts'
import type { ProgramContext } from '../dataplane/worker/program.ts'
import { type EdgeOptions, type RunningEdge, startEdge } from '../edge/edge.ts'
import { ControllerFollower } from '../edge/follow/controller-follower.ts'
import { controllerClient } from './controller-connection.ts'

/** Starts an edge with the last configuration that it had, and lets it follow its controller. @throws Error */
export async function startFollowingEdge(
  options: Omit<EdgeOptions, 'strayedSockets' | 'readSnapshot'>,
  zone: string | undefined,
  settings: EdgeControllerSettings,
  context: ProgramContext,
): Promise<RunningEdge> {
  const follower = new ControllerFollower({
    client: controllerClient(settings),
    name: settings.name,
    region: options.localRegion,
    zone,
    sourceAddresses: options.sourceAddresses,
    file: settings.file,
    log: context.log,
  })
  const followed = { strayedSockets: 'wait', readSnapshot: () => follower.snapshot() } as const
  const edge = await startEdge({ ...options, ...followed }, context)
  follower.start(edge)
  return edge
}
