import { runWorker } from '../../dataplane/worker/worker-thread.ts'
import { EdgeRole, type EdgeRoleOptions } from './edge-role.ts'
import { warmUpEdge } from './warm-up-edge.ts'

runWorker<EdgeRoleOptions>({
  make: (options, context) => new EdgeRole(options, context),
  warmUp: warmUpEdge,
})
