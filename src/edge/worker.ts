import { runWorker } from '../dataplane/worker-thread.ts'
import { EdgeRole, type EdgeRoleOptions } from './edge-role.ts'

runWorker<EdgeRoleOptions>((options, context) => new EdgeRole(options, context))
