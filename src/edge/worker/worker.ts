import { runWorker } from '../../dataplane/worker/worker-thread.ts'
import { EdgeRole } from './edge-role.ts'
import type { EdgeRoleOptions } from './edge-role-options.ts'
import type { EdgeService } from './edge-service.ts'

runWorker<EdgeRoleOptions, EdgeService>((options, context) => new EdgeRole(options, context))
